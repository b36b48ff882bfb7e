//! Property-test your reconnect logic: a tidegate feed, core and driver as they are, under a virtual clock, a simulated
//! network and server, and seeded faults.
//!
//! No threads, no sockets, no real time: hours pass in a second, and the same seed gives the same run, to the byte. After
//! every step the rules of tidegate's design are checked from outside; your own come on top, with
//! [`on_delivery`](SimulationBuilder::on_delivery). `docs/guide/test-your-handler.md` shows how.
//!
//! | to change | open |
//! |---|---|
//! | what goes wrong, and how often | `fault.rs`; which of it strikes, `injector.rs` |
//! | what it does to attempts, frames, handlers | `dial.rs`, `internet.rs`, `saboteur.rs` |
//! | which rules are checked | `check/` |
//! | what is seen of a run; which events of the core that were | `entry.rs`; `coverage.rs` |
//! | clock and plan; tasks, timers | `world.rs`; `runtime.rs` |
//! | what a run consists of; its loop; its consumer | `simulation.rs`; `run.rs`; `consumer.rs` |
//! | how a failure is made small | `shrink.rs` |
//! | what the command draws from a seed | `campaign.rs`, `campaign/draw.rs` |
//! | which bugs it must find | `campaign/bugs.rs` |
#![forbid(unsafe_code)]

pub mod campaign;
mod check;
mod connection;
mod consumer;
mod coverage;
mod dial;
mod entry;
mod fault;
mod injector;
mod internet;
mod journal;
mod pace;
mod report;
mod run;
mod runtime;
mod saboteur;
mod server;
mod shrink;
mod simulation;
mod transport;
mod world;

pub use coverage::{Coverage, EventKind};
pub use fault::{FaultKind, Faults};
pub use injector::InjectedFault;
pub use pace::Pace;
pub use report::{FeedReport, Report, Violation};
pub use runtime::{SimAlarm, SimRuntime};
pub use server::{Dial, Peer, Server, Silent};
pub use shrink::{Shrunk, shrink};
pub use simulation::{Simulation, SimulationBuilder};
pub use tidegate_driver::core;
pub use transport::SimTransport;
pub use world::Network;

/// The guide's code, run as it stands; it lies outside of the package.
#[cfg(doctest)]
#[doc = include_str!("../../docs/guide/test-your-handler.md")]
pub struct Guide;
