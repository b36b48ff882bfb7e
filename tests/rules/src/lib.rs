//! The rules of `docs/design.md` as one checker. Property suite, fuzz targets and model hold a feed to it.
//!
//! It shares no code with the machine: it is a second, much simpler view of the same feed, made from what can be seen of it
//! (what is told to it, what it asks for, its getters).
//!
//! | to change | open |
//! |---|---|
//! | which rules there are | `rule.rs` |
//! | what must hold after a step | `rules.rs`; in `rules/`: deadlines, the queue, frames, notices |
//! | the configuration and handler that a feed is judged by | `setup.rs` |
//! | the handler that does what messages say | `numbers.rs` |
//! | a call of the machine, and what can be seen of it | `call.rs` |
//! | a feed, driven by operations that a generator draws | `run.rs` |

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "it watches, and most of what it sees concerns another rule"
)]

mod call;
mod numbers;
mod rule;
mod rules;
mod run;
mod setup;

pub use call::{Ask, Call, Output, View, is_stray};
pub use numbers::{Item, Numbers, Script, Then};
pub use rule::{Broken, Rule, Verdict};
pub use rules::{Rules, Step};
pub use run::{Op, Run, Sort, Who, Why};
pub use setup::Setup;
