//! The simulator finds each deliberate bug of core and driver, and says after how many seeds:
//! `RUSTFLAGS="--cfg tidegate_bugs" cargo test -r -p tidegate-sim --test bugs -- --nocapture`. Without the `cfg` there
//! are no bugs to find.
#![cfg(tidegate_bugs)]

use tidegate_sim::campaign::{self, Mode};
use tidegate_sim::core::bugs::{Bug, turn_on};

/// A bug that hides for longer than this counts as not found; the gate runs ten times as many.
const SEEDS: u64 = 2_000;

/// The first seed that finds what is wrong, and what it says.
fn find(seeds: u64) -> Option<(u64, String)> {
    (0..seeds).find_map(|seed| {
        let mut runs = [Mode::Safety, Mode::Liveness].into_iter();
        let violation = runs.find_map(|mode| campaign::run(seed, mode, false).violation)?;
        Some((seed, violation.rule))
    })
}

#[test]
fn each_deliberate_bug_is_found() {
    // The panics of code under test are findings.
    std::panic::set_hook(Box::new(|_| {}));
    assert_eq!(find(100), None, "without a bug there is nothing to find");
    let mut hidden = Vec::new();
    println!("{} deliberate bugs\nrule  after seeds  bug: found by", Bug::ALL.len());
    for bug in Bug::ALL {
        turn_on(Some(*bug));
        let (rule, text) = (bug.rule(), bug.text());
        match find(SEEDS) {
            Some((seed, by)) => println!("{rule:<6}{:>11}  {text}: {by}", seed + 1),
            None => {
                println!("{rule:<6}{:>11}  {text}", "NOT FOUND");
                hidden.push(*bug);
            }
        }
    }
    turn_on(None);
    let _ = std::panic::take_hook();
    assert!(hidden.is_empty(), "not found in {SEEDS} seeds: {hidden:?}");
}
