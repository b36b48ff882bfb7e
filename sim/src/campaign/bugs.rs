//! Whether the simulator would notice a bug. In the table, a feed gets another configuration or handler than the checker
//! goes by; bugs of the code itself are patches, in `sim/bugs`, that `.ci/bugs` applies to a copy of the tree.

use std::mem;
use std::time::Duration;

use tidegate_driver::core::{Class, Classification, ConnectFailure, Failure};

use super::{Case, Mode, Subscriber};
use crate::report::Report;
use crate::settings::{Backoff, Settings};

/// A bug that takes more seeds counts as not found. The gate simulates many times as many.
const SEEDS: u64 = 500;

const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What a feed gets.
#[derive(Clone, Copy)]
enum Given {
    Options(fn(&mut Settings)),
    Classes(fn(&Failure) -> Class),
    Handler(fn(&mut Subscriber)),
}
use Given::{Classes, Handler, Options};

/// Each with the rule that it breaks.
const BUGS: [(&str, &str, Given); 20] = [
    ("C3", "an upgrade that is never answered is waited for", Options(|it| it.connect_timeout = YEAR)),
    (
        "C5",
        "a peer that answers Close and keeps TCP open is waited for",
        Options(|it| it.close_timeout = YEAR),
    ),
    ("R2", "one attempt too many", Options(|it| it.max_retries = it.max_retries.map(|most| most + 1))),
    (
        "R2",
        "one attempt too few",
        Options(|it| it.max_retries = it.max_retries.map(|most| most.saturating_sub(1))),
    ),
    (
        "R3",
        "the delay doubles beyond its cap",
        Options(|it| {
            if let Backoff::Exponential { cap, .. } = &mut it.backoff {
                *cap = YEAR;
            }
        }),
    ),
    ("R4", "the retry budget is never restored", Options(|it| it.stable_after = YEAR)),
    ("R5", "Retry-After is not heeded", Options(|it| it.max_retry_after = Duration::ZERO)),
    ("R5", "Retry-After may be a year", Options(|it| it.max_retry_after = YEAR)),
    ("R6", "what no retry mends is retried", Classes(|_| Class::Retry)),
    (
        "R6",
        "any status ends the feed",
        Classes(|failure| {
            let refused = matches!(failure, Failure::Connect(ConnectFailure::Rejected { .. }));
            if refused { Class::Fatal } else { Classification::Standard.classify(failure) }
        }),
    ),
    (
        "B1",
        "subscriptions are sent once, and not again",
        Handler(|it| {
            let mut most = u32::MAX;
            it.subscribe = Box::new(move |count| (0..count.min(mem::take(&mut most))).collect());
        }),
    ),
    (
        "B1",
        "subscriptions go out in reverse",
        Handler(|it| it.subscribe = Box::new(|count| (0..count).rev().collect())),
    ),
    ("B2", "Live although acknowledgements are still to come", Handler(|it| it.acks = false)),
    ("B3", "an acknowledgement that never comes is waited for", Options(|it| it.bootstrap_timeout = YEAR)),
    (
        "L2",
        "silence is noticed a second late",
        Options(|it| it.idle_timeout = it.idle_timeout.map(|idle| idle + Duration::from_secs(1))),
    ),
    ("L3", "no ping goes out", Options(|it| it.ping_interval = None)),
    ("L3", "a ping without an answer has no deadline", Options(|it| it.pong_timeout = YEAR)),
    ("L5", "a pause has no end", Options(|it| it.max_pause = None)),
    ("D3", "the queue takes one item more than its bound", Options(|it| it.buffer += 1)),
    ("D3", "the queue is not bounded in bytes", Options(|it| it.buffer_bytes = usize::MAX)),
];

impl Given {
    /// Runs `case`, whose checker knows nothing of this.
    fn run(self, case: &Case) -> Report {
        let mut simulation = case.simulation();
        let rules = simulation.rules();
        let journal = simulation.journal(&rules);
        match self {
            Options(change) => change(&mut simulation.settings),
            Classes(classify) => {
                simulation = simulation.classification(move || Classification::Custom(Box::new(classify)));
            }
            Handler(change) => {
                let mut make =
                    mem::replace(&mut simulation.handler, Box::new(|_| unreachable!("replaced below")));
                simulation.handler = Box::new(move |feed| {
                    let mut handler = make(feed);
                    change(&mut handler);
                    handler
                });
            }
        }
        simulation.run_by(&rules, journal)
    }
}

/// How many seeds it takes until a rule is broken, and which.
fn find(run: impl Fn(&Case) -> Report) -> Option<String> {
    (0..SEEDS).find_map(|seed| {
        let mut cases = [Mode::Safety, Mode::Liveness].map(|mode| Case::new(seed, mode)).into_iter();
        let violation = cases.find_map(|case| run(&case).violation)?;
        Some(format!("after {} of {SEEDS} seeds, {}", seed + 1, violation.rule))
    })
}

#[test]
fn each_bug_of_the_table_is_found() {
    let mut hidden = Vec::new();
    for (rule, bug, given) in BUGS {
        let found = find(|case| given.run(case));
        println!("bug: {rule}  {bug}: {}", found.as_deref().unwrap_or("NOT FOUND"));
        if found.is_none() {
            hidden.push(bug);
        }
    }
    assert!(hidden.is_empty(), "not found: {hidden:?}");
}

#[test]
#[ignore = "fails in a tree that has a bug, which `.ci/bugs` makes"]
fn nothing_is_found() {
    if let Some(found) = find(Case::run) {
        panic!("{found}");
    }
}
