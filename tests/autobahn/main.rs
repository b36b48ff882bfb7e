//! Each adapter as a client of the Autobahn testsuite, over ws and wss.
//!
//! `TIDEGATE_WSTEST` names the program; else it is `wstest` on the path, and without it all is skipped.

use std::process::ExitCode;

use tidegate_tests::case::{Cases, Suite};
use tidegate_tests::harness::{self, Concurrency};
use tidegate_tests::prelude::*;

mod autobahn;

struct Autobahn;

impl Suite for Autobahn {
    fn cases<A: Adapter>(cases: &mut Cases) {
        autobahn::cases::<A>(cases);
    }
}

fn main() -> ExitCode {
    harness::main::<Autobahn>(Concurrency::Processors)
}
