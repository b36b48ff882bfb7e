//! Properties: whatever happens, in whatever order, the rules hold after every step.

mod draw;

use std::panic::{AssertUnwindSafe, catch_unwind};

use draw::{ops, setups};
use proptest::prelude::*;
use proptest::test_runner::Config as Runs;
use tidegate_core::{Config, RetryPolicy, TRANSITIONS, Transition};
use tidegate_rules::{Numbers, Op, Run, Setup, Sort, Who, Why};

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
fn plain(retry: RetryPolicy) -> Setup {
    let config = Config::builder().retry(retry).build().expect("it is valid");
    Setup { seed: 0, config, handler: Numbers { bootstrap: 1, refuses: true, ..Numbers::default() } }
}

#[test]
fn every_transition_occurs() {
    let (endless, none) = (RetryPolicy::default().unlimited(), RetryPolicy::default().max_retries(0));
    let scripts: [(&RetryPolicy, &[Op]); 10] = [
        (&endless, &[Op::Shutdown]),
        (&endless, &[Op::Start, Op::Shutdown]),
        (&endless, &[Op::Start, REFUSED, Op::Shutdown]),
        (&endless, &[Op::Start, REFUSED, DUE, CONNECTED]),
        (&endless, &[Op::Start, CONNECTED, LOST]),
        (&endless, &[Op::Start, CONNECTED, CLOSE, LOST]),
        (&none, &[Op::Start, CONNECTED, LOST]),
        (&endless, &[Op::Start, CONNECTED, FLUSHED, LOST]),
        (&none, &[Op::Start, CONNECTED, FLUSHED, LOST]),
        (&endless, &[Op::Start, CONNECTED, FLUSHED, Op::Shutdown, DUE]),
    ];
    let mut moves = Vec::new();
    for (retry, ops) in scripts {
        let mut run = Run::new(plain(retry.clone()));
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
