//! Properties: whatever happens, in whatever order, the rules hold after every step.

mod draw;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use draw::{ops, setups};
use proptest::prelude::*;
use proptest::test_runner::Config as Runs;
use tidegate_core::{Overflow, TRANSITIONS, Transition};
use tidegate_rules::{Clocks, Numbers, Op, Retry, Run, Setup, Sort, Who, Why};

proptest! {
    #![proptest_config(Runs { cases: Runs::default().cases.max(1200), failure_persistence: None, ..Runs::default() })]

    /// Each that is a [`tidegate_rules::Rule`].
    #[test]
    fn the_rules_hold_whatever_happens(setup in setups(), ops in ops()) {
        let mut run = Run::new(setup);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            run.all(&ops)?;
            run.replay()
        }));
        let verdict = match outcome {
            Ok(verdict) => verdict.map_err(|broken| broken.to_string()),
            Err(panic) => {
                let words = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
                Err(format!("panic: {}", words.unwrap_or("without words")))
            }
        };
        if let Err(broken) = verdict {
            return Err(TestCaseError::fail(format!("{broken}\n{}", run.log())));
        }
    }
}

const CONNECTED: Op = Op::Connected(Who::Current);
const FLUSHED: Op = Op::Flushed(Who::Current);
const LOST: Op = Op::Lost(Who::Current, Why::Reset);
const CLOSE: Op = Op::Frame(Who::Current, Sort::Close(None));
const REFUSED: Op = Op::ConnectFailed(Who::Current, Why::Reset);
const DUE: Op = Op::TickAtDeadline(0);

/// One bootstrap frame, the second upgrade refused, no clocks.
fn plain(max_retries: Option<u32>) -> Setup {
    let span = Duration::from_millis(10);
    Setup {
        seed: 0,
        connect_timeout: span,
        bootstrap_timeout: span,
        close_timeout: span,
        stable_after: span,
        max_retry_after: span,
        clocks: Clocks::default(),
        buffer: 4,
        buffer_bytes: 64,
        overflow: Overflow::Pause,
        send_buffer: 1,
        retry: Retry::fixed(span, max_retries),
        any_http_error: false,
        handler: Numbers { bootstrap: 1, refuses: true, ..Numbers::default() },
    }
}

#[test]
fn every_transition_occurs() {
    let scripts: [(Option<u32>, &[Op]); 10] = [
        (None, &[Op::Shutdown]),
        (None, &[Op::Start, Op::Shutdown]),
        (None, &[Op::Start, REFUSED, Op::Shutdown]),
        (None, &[Op::Start, REFUSED, DUE, CONNECTED]),
        (None, &[Op::Start, CONNECTED, LOST]),
        (None, &[Op::Start, CONNECTED, CLOSE, LOST]),
        (Some(0), &[Op::Start, CONNECTED, LOST]),
        (None, &[Op::Start, CONNECTED, FLUSHED, LOST]),
        (Some(0), &[Op::Start, CONNECTED, FLUSHED, LOST]),
        (None, &[Op::Start, CONNECTED, FLUSHED, Op::Shutdown, DUE]),
    ];
    let mut moves = Vec::new();
    for (max_retries, ops) in scripts {
        let mut run = Run::new(plain(max_retries));
        run.all(ops).unwrap_or_else(|broken| panic!("{broken}\n{}", run.log()));
        moves.extend(run.moves());
    }
    for Transition { from, to, cause } in TRANSITIONS {
        assert!(moves.contains(&(*from, *to)), "{from} to {to} ({cause}) never occurs");
    }
}

#[test]
fn every_transition_is_listed_once() {
    for (index, row) in TRANSITIONS.iter().enumerate() {
        let again = TRANSITIONS[index + 1..].iter().any(|other| (other.from, other.to) == (row.from, row.to));
        assert!(!again, "{} to {}", row.from, row.to);
    }
}
