//! Feeds in a simulated world that the test steps by hand. No threads, no sleeping, no real time.
#![allow(dead_code, unused_imports, unused_macros, reason = "each suite uses its part")]

mod rig;
mod world;

use std::time::Duration;

use tidegate_driver::FeedBuilder;
use tidegate_driver::core::{Config, ConfigBuilder, RetryPolicy};

pub(crate) use rig::{Mode, Rig};
pub(crate) use tidegate_sim::{Dial, Gate, Remote};
pub(crate) use world::{Wakes, World};

/// Makes one test of each case for a feed in a task, and one for a feed in the stream itself.
macro_rules! in_both_modes {
    ($($case:ident),* $(,)?) => {
        mod in_task {
            $(#[test] fn $case() { super::$case(super::Mode::Task); })*
        }
        mod in_stream {
            $(#[test] fn $case() { super::$case(super::Mode::Stream); })*
        }
    };
}
pub(crate) use in_both_modes;

pub(crate) const URL: &str = "wss://feed.example:8443/v1?token=hush";

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// Retries a second apart, at most five, and no pings; the other options have their defaults.
pub(crate) fn config() -> ConfigBuilder {
    Config::builder().retry(RetryPolicy::fixed(SECOND).max_retries(5)).ping_interval(None)
}

pub(crate) fn builder(world: &World) -> FeedBuilder<World> {
    FeedBuilder::new(world.clone(), URL).config(config()).seed(7)
}

/// `item 0`, `item 1` and so on, as the consumer sees them.
pub(crate) fn items(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| format!("item {number}")).collect()
}
