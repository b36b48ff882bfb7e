//! What the suites of tidegate share: a scripted server, feeds on any adapter and run in either way, waiting with a
//! bound, and a harness that runs each case for every adapter and reports on it.
//!
//! Nothing here needs the runtime under test: servers have threads of their own, and so do the timers.
//!
//! | to change | open |
//! |---|---|
//! | which adapters are tested | `adapter.rs`: a file for each, and a line in [`adapter::each`] |
//! | how a feed is run | `mode.rs` |
//! | how cases are declared | `case.rs` |
//! | what a case may need of the machine | `needs.rs` |
//! | single connections, without a feed | `once.rs` |
//! | servers that no one here wrote | `peers.rs` |
//! | faults of the network, without root and with | `fault_proxy.rs`, `netns.rs` |
//! | the Autobahn testsuite | `autobahn.rs` |
//! | certificates | `pki.rs` |
//! | how cases run | `harness.rs` |
//! | what is printed at the end | `report.rs` |
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

pub mod adapter;
pub mod autobahn;
pub mod case;
#[cfg(test)]
mod facade;
pub mod fault_proxy;
pub mod harness;
pub mod lines;
pub mod mode;
pub mod needs;
#[cfg(target_os = "linux")]
pub mod netns;
pub mod notices;
pub mod once;
pub mod peers;
pub mod pki;
mod report;
pub mod server;
pub mod wait;

/// The same types for every adapter.
pub use tidegate::{Connector, Limits, TlsOptions};

/// What nearly every case uses.
pub mod prelude {
    pub use crate::adapter::{Adapter, World};
    pub use crate::cases;
    pub use crate::lines::*;
    pub use crate::mode::*;
    pub use crate::notices::*;
    pub use crate::wait::*;
}

/// The examples of the README compile. Here, because they need a runtime and the facade's own package has none.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

/// The examples of the guide compile.
#[cfg(doctest)]
#[doc = include_str!("../../docs/guide/custom-runtime.md")]
pub struct CustomRuntimeGuide;
