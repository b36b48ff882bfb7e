//! A runtime for tests: the test is the clock, the peer and the executor. No threads, no sleeping, no real time.
#![allow(dead_code, unused_imports, unused_macros, reason = "each suite uses its part")]

mod connection;
mod rig;
mod world;

use std::time::Duration;

use tidegate_driver::FeedBuilder;
use tidegate_driver::core::{Config, ConfigBuilder, Failure, Frame, Message, RetryPolicy};

pub(crate) use connection::{Gate, Peer};
pub(crate) use rig::{Mode, Rig};
pub(crate) use world::{Dial, Wakes, World};

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

/// Retries a second apart; the other options have their defaults.
pub(crate) fn config() -> ConfigBuilder {
    Config::builder().retry(RetryPolicy::fixed(SECOND))
}

pub(crate) fn builder(world: &World) -> FeedBuilder<World> {
    FeedBuilder::new(world.clone(), URL).config(config()).seed(7)
}

pub(crate) fn text(text: &str) -> Frame {
    Message::from(text).into()
}

/// `item 0`, `item 1` and so on, as the consumer sees them.
pub(crate) fn items(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| format!("item {number}")).collect()
}

pub(crate) fn reset() -> Failure {
    Failure::io("reset by the test")
}
