//! Every case for every adapter, over real sockets. `cargo test --test conformance -- --table` tells of each.

mod suite;

use std::process::ExitCode;

use tidegate_tests::harness::{self, Concurrency};

fn main() -> ExitCode {
    harness::main::<suite::Conformance>(Concurrency::Any)
}
