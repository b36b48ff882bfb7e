//! The world of the suite: a runtime whose threads are loom's, and whose network does what a script says.
//!
//! loom runs a scenario once for every order in which its threads may touch what they share: the locks and wakers of
//! the driver, compiled with `--cfg loom`. A lost wake-up is a deadlock, which loom reports. `.ci/loom` runs the suite.
#![cfg(loom)]
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod explore;
mod runtime;
mod world;

pub use explore::{Extent, block_on, explore};
pub use runtime::{Connection, Timer};
pub use world::{Clock, Step, Task, World};
