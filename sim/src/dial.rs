//! Attempts to connect.

use std::time::Duration;

use fastrand::Rng;
use tidegate_driver::core::{ConnectFailure, ConnectionId, Failure, Severity, TlsProblem};

use crate::connection::ConnectionKey;
use crate::entry::Entry;
use crate::fault::{FaultKind, Stage};
use crate::injector::PlannedFault;
use crate::internet::PASSING;
use crate::server::Dial;
use crate::world::{Place, Sabotage, State, span};

/// What the resolver does.
pub(crate) enum Resolution {
    /// Answers after this time, mostly zero.
    After(Duration),
    Fails,
    Panics,
}

impl State {
    /// Begins an attempt. Returns what its resolver does.
    pub(crate) fn announce(&mut self, feed: usize, id: ConnectionId) -> Resolution {
        let id = id.get();
        let mut fate = self.injector.strike(Stage::Attempt, self.now);
        self.record(feed, &Entry::Connect { id });
        let panics = |sabotage| sabotage == Sabotage::Panic(Place::Resolver);
        let resolution = match &mut fate {
            _ if self.take_sabotage(feed, panics).is_some() => Resolution::Panics,
            Some(PlannedFault { kind: FaultKind::ResolverSlow, number, rng, .. }) => {
                let (number, late) = (*number, span(rng, PASSING.0, PASSING.1));
                self.record(feed, &Entry::Fault { id, kind: FaultKind::ResolverSlow, number });
                Resolution::After(late)
            }
            Some(PlannedFault { kind: FaultKind::Resolver, number, .. }) => {
                let number = *number;
                self.record(feed, &Entry::Fault { id, kind: FaultKind::Resolver, number });
                let failure = Failure::Connect(ConnectFailure::Resolve {
                    detail: "no token".to_owned(),
                    severity: Severity::Retryable,
                });
                self.record(feed, &Entry::DialFailed { id, failure });
                Resolution::Fails
            }
            Some(_) | None => Resolution::After(Duration::ZERO),
        };
        self.feeds[feed].announced = (id, fate);
        resolution
    }

    /// Dials for the announced attempt. Returns the outcome, and after what time it is known.
    pub(crate) fn dial(&mut self, feed: usize) -> (ConnectionKey, Dial, Duration) {
        let (announced, fate) = &mut self.feeds[feed].announced;
        let id = self.servers.count_attempt().unwrap_or(*announced);
        let fate = fate.take();
        let key = ConnectionKey { feed, id };
        let round_trip = self.latency() + self.latency();
        if let Some(mut fault) = fate
            && let Some((dial, trips)) = failed_dial(&mut fault)
        {
            self.record(feed, &Entry::Fault { id, kind: fault.kind, number: fault.number });
            return (key, dial, round_trip * trips);
        }
        if self.is_down() {
            let failure =
                Failure::Connect(ConnectFailure::Tcp { detail: "refused during an outage".to_owned() });
            return (key, Dial::Fail(failure), round_trip);
        }
        let dial = self.servers.dial(key);
        // TCP, TLS, upgrade.
        (key, dial, round_trip * 3)
    }
}

/// Returns the outcome of an attempt with a fault, and after how many round trips; `None` for faults of the resolver.
#[expect(clippy::wildcard_enum_match_arm, reason = "the other kinds are of open connections")]
fn failed_dial(fault: &mut PlannedFault) -> Option<(Dial, u32)> {
    let detail = "by the simulation".to_owned();
    let fail = |failure| Dial::Fail(Failure::Connect(failure));
    Some(match fault.kind {
        FaultKind::Lookup => (fail(ConnectFailure::Lookup { detail }), 1),
        FaultKind::Refused => (fail(ConnectFailure::Tcp { detail }), 1),
        FaultKind::Tls => {
            let problems = [
                TlsProblem::Expired,
                TlsProblem::Revoked,
                TlsProblem::NoCommonProtocol,
                TlsProblem::Protocol,
                TlsProblem::Other,
            ];
            let problem = problems[fault.rng.usize(0..problems.len())];
            (fail(ConnectFailure::Tls { problem, detail }), 2)
        }
        FaultKind::TlsUnknownIssuer => {
            (fail(ConnectFailure::Tls { problem: TlsProblem::UnknownIssuer, detail }), 2)
        }
        FaultKind::TlsWrongHost => (fail(ConnectFailure::Tls { problem: TlsProblem::WrongHost, detail }), 2),
        FaultKind::Garbage => (fail(ConnectFailure::Upgrade { detail }), 3),
        FaultKind::Rejected => (rejection(&mut fault.rng, false), 3),
        FaultKind::RejectedForGood => (rejection(&mut fault.rng, true), 3),
        FaultKind::SynLost | FaultKind::UpgradeSilent => (Dial::Hang, 0),
        FaultKind::Resolver | FaultKind::ResolverSlow => return None,
        other => unreachable!("{other} is no fault of an attempt"),
    })
}

/// Draws any status but 101 that is fatal, or that is not (R6).
fn rejection(rng: &mut Rng, fatal: bool) -> Dial {
    let common: &[u16] =
        if fatal { &[400, 401, 403, 404, 410, 501] } else { &[302, 408, 425, 429, 500, 502, 503] };
    let status = if rng.bool() {
        common[rng.usize(0..common.len())]
    } else {
        let any: Vec<u16> = (200..600)
            .filter(|status| {
                (matches!(status, 400..=499 | 501) && ![408, 425, 429].contains(status)) == fatal
            })
            .collect();
        any[rng.usize(0..any.len())]
    };
    let after = Duration::from_secs(rng.u64(1..400));
    let retry_after = rng.bool().then_some(after);
    Dial::Fail(Failure::rejected(status, retry_after))
}
