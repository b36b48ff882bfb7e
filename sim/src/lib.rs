//! Property-test your reconnect logic: a tidegate feed, with the real core and driver, under a virtual clock, a simulated
//! network and server, and seeded faults.
//!
//! No threads, no sockets, no real time: hours pass in a second, and the same seed gives the same run, byte for byte. After
//! every step the rules of tidegate's design are checked from outside; add your own with
//! [`rule`](SimulationBuilder::rule). [The guide](https://github.com/tidegate/tidegate/blob/main/docs/guide/test-your-handler.md) shows how.
//!
//! | to change | open |
//! |---|---|
//! | the kinds of faults, how often they strike; which one strikes | `fault.rs`; `injector.rs` |
//! | what faults do to attempts, connections, handlers | `dial.rs`, `internet.rs`, `saboteur.rs` |
//! | which rules are checked | `check/` |
//! | what is recorded of a run; its lines; which events of the core those were | `entry.rs`; `trace.rs`; `coverage.rs` |
//! | the clock and scheduled events; tasks and timers | `world.rs`; `runtime.rs` |
//! | connections; the feed's end of one | `connection.rs`; `transport.rs` |
//! | a world that a test steps by hand | `by_hand.rs` |
//! | what a run consists of; its start and its loop; its consumer; rules of the user's | `simulation.rs`; `start.rs`, `run.rs`; `consumer.rs`; `rule.rs` |
//! | faults and answers that are written down; strategies for them; runs made of bytes | `scenario.rs`; `strategies.rs`; `fuzz.rs` |
//! | many seeds; how a failure is made smaller | `seeds.rs`; `shrink.rs` |
//! | what the command draws from a seed | `campaign.rs`, `campaign/draw.rs` |
//! | which bugs it must find | `campaign/bugs.rs` |
#![forbid(unsafe_code)]

mod by_hand;
pub mod campaign;
mod check;
mod connection;
mod consumer;
mod coverage;
mod dial;
mod entry;
mod fault;
#[cfg(feature = "arbitrary")]
mod fuzz;
mod injector;
mod internet;
mod journal;
mod pace;
mod report;
mod rule;
mod run;
mod runtime;
mod saboteur;
mod scenario;
mod seeds;
mod server;
mod shrink;
mod simulation;
mod start;
#[cfg(feature = "proptest")]
pub mod strategies;
mod trace;
mod transport;
mod world;

pub use by_hand::Remote;
pub use connection::Gate;
pub use coverage::{Coverage, EventKind};
pub use fault::{FaultKind, Faults};
#[cfg(feature = "arbitrary")]
pub use fuzz::fuzz;
pub use injector::InjectedFault;
pub use pace::Pace;
pub use report::{FeedReport, Report, Violation};
pub use rule::Observed;
pub use runtime::{SimAlarm, SimRuntime};
pub use scenario::{Answer, Scenario};
pub use server::{Dial, Peer, Server, Silent};
pub use shrink::{Shrunk, shrink};
pub use simulation::{Simulation, SimulationBuilder};
pub use tidegate_driver::{self as driver, core};
pub use transport::SimTransport;
pub use world::Network;

/// The code of the guide, which is outside of the package, as tests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/guide/test-your-handler.md")]
pub struct Guide;
