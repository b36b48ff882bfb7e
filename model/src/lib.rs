//! Model checking of the state machine: the real [`tidegate_core::Machine`], and everything that can happen to it, in every
//! order, within small bounds.
//!
//! Each [`World`] is a configuration and bounds. From each state every possible event is tried, and whatever it leads to
//! that was not seen before is tried further. The rules of `docs/design.md` are judged after every step
//! ([`tidegate_rules::Rules`]); from
//! every state on two environments are followed to their end: a calm one, in which the feed must recover, and a silent
//! one, in which it must not hang.
//!
//! A feed cannot be cloned (it holds closures), so a state is the list of what was done to it, and each step replays that
//! on a fresh feed: P3, which is checked on the way, makes it the same one. `view.rs` says when two states are the same.
//!
//! `cargo test -p tidegate-model` checks the small bounds; `cargo run --release -p tidegate-model -- 1` wider ones.

#![allow(clippy::wildcard_enum_match_arm, reason = "it watches: most of what it sees concerns others")]

mod check;
mod environment;
mod op;
mod report;
#[cfg(test)]
mod soundness;
mod state;
mod view;
mod world;

pub use op::{Op, Refusal, Who};
pub use report::check_all;
pub use state::State;
pub use world::{Budget, World, worlds};
