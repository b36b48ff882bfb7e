//! Cases that need the process for themselves: open files, threads, tasks, logs. One at a time.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod leaks;
mod many;
mod secrets;

use std::process::ExitCode;

use tidegate_tests::case::{Cases, Suite};
use tidegate_tests::harness::{self, Concurrency};
use tidegate_tests::prelude::*;

struct Alone;

impl Suite for Alone {
    fn cases<A: Adapter>(cases: &mut Cases) {
        leaks::cases::<A>(cases);
        many::cases::<A>(cases);
        secrets::cases::<A>(cases);
    }
}

fn main() -> ExitCode {
    harness::main::<Alone>(Concurrency::One)
}
