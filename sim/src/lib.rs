//! Property-test your reconnect logic: a tidegate feed, core and driver as they are, under a virtual clock, a simulated
//! network and server, and seeded faults.
//!
//! No threads, no sockets, no real time: hours pass in a second, and the same seed gives the same run, to the byte. After
//! every step the rules of tidegate's design are checked from outside; your own come on top, with
//! [`on_delivery`](SimulationBuilder::on_delivery). `docs/guide/test-your-handler.md` shows how.
//!
//! | to change | open |
//! |---|---|
//! | what goes wrong, and how often | `fault.rs` |
//! | what it does to frames and attempts | `internet.rs` |
//! | which rules are checked | `check/` |
//! | what is seen of a run | `entry.rs` |
//! | clock and plan; tasks, timers | `world.rs`; `runtime.rs` |
//! | what a run consists of; its loop | `simulation.rs`; `run.rs` |
//! | what the command draws from a seed | `campaign.rs` |
#![forbid(unsafe_code)]

pub mod campaign;
mod check;
mod entry;
mod fault;
mod internet;
mod journal;
mod pace;
mod report;
mod run;
mod runtime;
mod server;
mod settings;
mod simulation;
mod transport;
mod wire;
mod world;

pub use fault::{FaultKind, Faults};
pub use pace::Pace;
pub use report::{Report, Violation};
pub use runtime::{SimAlarm, SimRuntime};
pub use server::{Dial, Peer, Server, Silent};
pub use settings::{Backoff, Settings};
pub use simulation::{Simulation, SimulationBuilder};
pub use tidegate_driver::core;
pub use transport::SimTransport;
pub use world::Network;

/// The guide's code, run as it stands; it lies outside of the package.
#[cfg(doctest)]
#[doc = include_str!("../../docs/guide/test-your-handler.md")]
pub struct Guide;
