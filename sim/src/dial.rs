//! What becomes of attempts.

use std::time::Duration;

use fastrand::Rng;
use tidegate_driver::core::{ConnectFailure, ConnectionId, Failure, TlsProblem};

use crate::entry::Entry;
use crate::fault::{FaultKind, Stage};
use crate::injector::Planned;
use crate::internet::PASSING;
use crate::server::Dial;
use crate::world::{Line, Place, Sabotage, State, span};

/// What the resolver does.
pub(crate) enum Resolution {
    /// It answers after this time, which is mostly none.
    After(Duration),
    Fails,
    Panics,
}

impl State {
    /// An attempt begins.
    pub(crate) fn announce(&mut self, feed: usize, id: ConnectionId) -> Resolution {
        let id = id.get();
        let mut fate = self.injector.strike(Stage::Attempt);
        self.record(feed, &Entry::Connect { id });
        let panics = |sabotage| sabotage == Sabotage::Panic(Place::Resolver);
        let resolution = match &mut fate {
            _ if self.take_sabotage(feed, panics).is_some() => Resolution::Panics,
            Some(Planned { kind: FaultKind::ResolverSlow, number, rng, .. }) => {
                let (number, late) = (*number, span(rng, PASSING.0, PASSING.1));
                self.record(feed, &Entry::Fault { id, kind: FaultKind::ResolverSlow, number });
                Resolution::After(late)
            }
            Some(Planned { kind: FaultKind::Resolver, number, .. }) => {
                let number = *number;
                self.record(feed, &Entry::Fault { id, kind: FaultKind::Resolver, number });
                let failure = Failure::Connect(ConnectFailure::Resolve { detail: "no token".to_owned() });
                self.record(feed, &Entry::DialFailed { id, failure });
                Resolution::Fails
            }
            Some(_) | None => Resolution::After(Duration::ZERO),
        };
        self.stations[feed].announced = (id, fate);
        resolution
    }

    /// What becomes of the attempt that was announced, and when.
    pub(crate) fn dial(&mut self, feed: usize) -> (Line, Dial, Duration) {
        let (id, fate) = std::mem::take(&mut self.stations[feed].announced);
        let line = Line { feed, id };
        let round_trip = self.latency() + self.latency();
        if let Some(mut fault) = fate
            && let Some((dial, trips)) = failed_dial(&mut fault)
        {
            self.record(feed, &Entry::Fault { id, kind: fault.kind, number: fault.number });
            return (line, dial, round_trip * trips);
        }
        if self.is_down() {
            let failure =
                Failure::Connect(ConnectFailure::Tcp { detail: "refused during an outage".to_owned() });
            return (line, Dial::Fail(failure), round_trip);
        }
        let dial = self.server.as_mut().map_or(Dial::Accept, |server| server.on_dial(id));
        // TCP, TLS, upgrade.
        (line, dial, round_trip * 3)
    }
}

/// What the fault makes of an attempt, and after how many round trips.
fn failed_dial(fault: &mut Planned) -> Option<(Dial, u32)> {
    let detail = "by the simulation".to_owned();
    let tls = |problem, detail| (Dial::Fail(Failure::Connect(ConnectFailure::Tls { problem, detail })), 2);
    Some(match fault.kind {
        FaultKind::Lookup => (Dial::Fail(Failure::Connect(ConnectFailure::Lookup { detail })), 1),
        FaultKind::Refused => (Dial::Fail(Failure::Connect(ConnectFailure::Tcp { detail })), 1),
        FaultKind::Tls => {
            let problems = [
                TlsProblem::Expired,
                TlsProblem::Revoked,
                TlsProblem::NoCommonProtocol,
                TlsProblem::Protocol,
                TlsProblem::Other,
            ];
            tls(problems[fault.rng.usize(0..problems.len())], detail)
        }
        FaultKind::TlsUnknownIssuer => tls(TlsProblem::UnknownIssuer, detail),
        FaultKind::TlsWrongHost => tls(TlsProblem::WrongHost, detail),
        FaultKind::Garbage => (Dial::Fail(Failure::Connect(ConnectFailure::Upgrade { detail })), 3),
        FaultKind::Rejected => (rejection(&mut fault.rng, false), 3),
        FaultKind::RejectedForGood => (rejection(&mut fault.rng, true), 3),
        FaultKind::SynLost | FaultKind::UpgradeSilent => (Dial::Hang, 0),
        // Over by now.
        FaultKind::Resolver | FaultKind::ResolverSlow => return None,
        // Not of attempts.
        FaultKind::AcceptThenClose
        | FaultKind::RepliesPartial
        | FaultKind::RepliesMissing
        | FaultKind::RepliesTwice
        | FaultKind::HandlerRefuses
        | FaultKind::Reset
        | FaultKind::Fin
        | FaultKind::HalfOpen
        | FaultKind::HalfOpenInbound
        | FaultKind::HalfOpenOutbound
        | FaultKind::Stall
        | FaultKind::WriteStall
        | FaultKind::Delay
        | FaultKind::Throttle
        | FaultKind::Mute
        | FaultKind::Close
        | FaultKind::CloseKeepsOpen
        | FaultKind::Protocol
        | FaultKind::Flood
        | FaultKind::ClockJump
        | FaultKind::HandlerFault
        | FaultKind::HandlerReconnect
        | FaultKind::HandlerFatal
        | FaultKind::Panic => return None,
    })
}

/// Any status there is but 101, of those that end the feed or of those that do not (R6).
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
