//! What follows a failure: whether it is worth a retry, and how long until then.

use std::sync::Arc;
use std::time::Duration;

use divan::Bencher;
use tidegate::core::{
    Class, Classification, Config, ConnectFailure, Event, Failure, Jitter, Phase, RetryPolicy, RetryState,
    TlsProblem,
};

use crate::fixture::{Fixture, refused};

#[derive(Clone, Copy, Debug)]
enum Policy {
    Fixed,
    Exponential(Jitter),
    Custom,
}

impl Policy {
    fn policy(self) -> RetryPolicy {
        let (base, cap) = (Duration::from_millis(250), Duration::from_secs(30));
        match self {
            Self::Fixed => RetryPolicy::fixed(base),
            Self::Exponential(jitter) => RetryPolicy::exponential(base, cap).jitter(jitter),
            Self::Custom => {
                RetryPolicy::custom(base, |state, _| RetryState { delay: state.delay * 2, ..state })
            }
        }
    }
}

/// An attempt fails, and the next is set.
#[divan::bench(args = [
    Policy::Fixed,
    Policy::Exponential(Jitter::None),
    Policy::Exponential(Jitter::Full),
    Policy::Exponential(Jitter::Equal),
    Policy::Custom,
])]
fn delay(bencher: Bencher<'_, '_>, policy: Policy) {
    bencher
        .with_inputs(|| {
            let mut fixture = Fixture::new(Config::builder().retry(policy.policy()));
            fixture.bring_to(Phase::Connecting);
            let event = Event::ConnectFailed { id: fixture.id(), failure: refused() };
            (fixture, Some(event))
        })
        .bench_local_refs(|(fixture, event)| {
            if let Some(event) = event.take() {
                fixture.tell(event);
            }
        });
}

/// Of each kind that is looked at differently.
fn failures() -> [Failure; 4] {
    [
        Failure::rejected(503, None),
        Failure::rejected(404, None),
        Failure::Connect(ConnectFailure::Tls { problem: TlsProblem::UnknownIssuer, detail: String::new() }),
        refused(),
    ]
}

/// Four failures, each of another kind.
#[divan::bench(args = ["standard", "any_http_error", "custom"])]
fn classify_four(bencher: Bencher<'_, '_>, name: &str) {
    let classification =
        match name {
            "standard" => Classification::Standard,
            "any_http_error" => Classification::AnyHttpError,
            _ => Classification::Custom(Arc::new(|failure| {
                if failure.is_timeout() { Class::Retry } else { Class::Fatal }
            })),
        };
    let failures = failures();
    bencher.bench_local(move || {
        for failure in divan::black_box(&failures) {
            divan::black_box(classification.classify(failure));
        }
    });
}
