//! What namespaces do to plain TCP: packets that are lost, links that are cut, and nothing left behind.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

#[cfg(target_os = "linux")]
mod cases;

#[cfg(target_os = "linux")]
use cases::trials;
use libtest_mimic::Arguments;

#[cfg(not(target_os = "linux"))]
fn trials() -> Vec<libtest_mimic::Trial> {
    Vec::new()
}

fn main() {
    libtest_mimic::run(&Arguments::from_args(), trials()).exit();
}
