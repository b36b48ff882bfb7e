//! Whether the simulator would notice a bug. In the table, a feed gets another configuration or handler than the checker
//! goes by; bugs of the code itself are patches, in `sim/bugs`, that `.ci/bugs` applies to a copy of the tree.

use std::mem;
use std::time::Duration;

use tidegate_driver::core::{
    Backoff, Class, Classification, Config, ConfigBuilder, ConnectFailure, Failure, RetryPolicy,
};

use super::{Case, Mode, Subscriber};
use crate::report::Report;

/// A bug that takes more seeds counts as not found. The gate simulates many times as many.
const SEEDS: u64 = 500;

const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What a feed gets.
#[derive(Clone, Copy)]
enum Given {
    /// Made from the options that the checker goes by.
    Options(fn(ConfigBuilder, &Config) -> ConfigBuilder),
    Handler(fn(&mut Subscriber)),
}
use Given::{Handler, Options};

/// Each with the rule that it breaks.
const BUGS: [(&str, &str, Given); 19] = [
    ("C3", "an upgrade that is never answered is waited for", Options(|it, _| it.connect_timeout(YEAR))),
    (
        "C5",
        "a peer that answers Close and keeps TCP open is waited for",
        Options(|it, _| it.close_timeout(YEAR)),
    ),
    ("R2", "one attempt too many", Options(|it, was| retries(it, was, 1))),
    ("R2", "one attempt too few", Options(|it, was| retries(it, was, -1))),
    (
        "R3",
        "the delay doubles beyond its cap",
        Options(|it, was| match (was.retry().backoff(), was.retry().retries()) {
            (Backoff::Exponential { base, jitter, .. }, None) => {
                it.retry(RetryPolicy::exponential(*base, YEAR).jitter(*jitter).unlimited())
            }
            _ => it,
        }),
    ),
    ("R4", "the retry budget is never restored", Options(|it, _| it.stable_after(YEAR))),
    ("R5", "Retry-After is not heeded", Options(|it, _| it.max_retry_after(Duration::ZERO))),
    ("R5", "Retry-After may be a year", Options(|it, _| it.max_retry_after(YEAR))),
    ("R6", "what no retry mends is retried", Options(|it, _| it.classify(|_| Class::Retry))),
    (
        "R6",
        "any status ends the feed",
        Options(|it, _| {
            it.classify(|failure| {
                let refused = matches!(failure, Failure::Connect(ConnectFailure::Rejected { .. }));
                if refused { Class::Fatal } else { Classification::Standard.classify(failure) }
            })
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
    ("B3", "an acknowledgement that never comes is waited for", Options(|it, _| it.bootstrap_timeout(YEAR))),
    (
        "L2",
        "silence is noticed a second late",
        Options(|it, was| {
            was.idle_timeout().map_or(it.clone(), |idle| it.idle_timeout(idle + Duration::from_secs(1)))
        }),
    ),
    (
        "L3",
        "a ping without an answer has no deadline",
        Options(|it, was| if was.ping_interval().is_some() { it.pong_timeout(YEAR) } else { it }),
    ),
    ("L5", "a pause has no end", Options(|it, _| it.max_pause(YEAR))),
    ("D3", "the queue takes one item more than its bound", Options(|it, was| it.buffer(was.buffer() + 1))),
    ("D3", "the queue is not bounded in bytes", Options(|it, _| it.buffer_bytes(usize::MAX))),
];

/// As many retries, and `more`, if there is a limit.
fn retries(it: ConfigBuilder, was: &Config, more: i32) -> ConfigBuilder {
    match was.retry().retries() {
        Some(limit) => it.retry(was.retry().clone().max_retries(limit.saturating_add_signed(more))),
        None => it,
    }
}

impl Given {
    /// Runs `case`, whose checker knows nothing of this.
    fn run(self, case: &Case) -> Report {
        let mut simulation = case.simulation();
        let rules = simulation.rules();
        let journal = simulation.journal(&rules);
        match self {
            Options(change) => {
                let was = simulation.options.config.clone();
                simulation = simulation.change(|it| change(it, &was));
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
