//! Every case once, for any runtime; named after the rules of `docs/design.md` that it holds the feed to.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

/// Instantiates each case for both ways to run a feed.
macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        mod spawned {
            $(#[test] fn $case() { crate::common::run(super::$case::<crate::common::Task>()); })*
        }
        mod inline {
            $(#[test] fn $case() { crate::common::run(super::$case::<crate::common::NoTask>()); })*
        }
    };
}

/// Instantiates cases that only mean something where the feed runs while its consumer does not.
macro_rules! spawned_cases {
    ($($case:ident),* $(,)?) => {
        mod only_spawned {
            $(#[test] fn $case() { crate::common::run(super::$case::<crate::common::Task>()); })*
        }
    };
}

mod bootstrap;
mod cancelling;
mod connecting;
mod demand;
mod handlers;
mod interruption;
mod liveness;
mod retrying;
mod sending;
mod stopping;
mod telemetry;
