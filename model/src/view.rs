//! What a feed shows: its public face, and the digest that tells states apart.

use std::fmt::Write as _;

use tidegate_core::{ConnectionId, Deadline, Feed, Phase, Stats, StopReason};

use crate::handler::Numbers;
use crate::world::Millis;

/// What can be seen of a feed from outside, with times relative to now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct View {
    pub(crate) phase: Phase,
    pub(crate) connection: Option<ConnectionId>,
    /// Milliseconds until the deadline; zero or less is due.
    pub(crate) due_in: Option<i64>,
    pub(crate) wants_frames: bool,
    pub(crate) end: Option<End>,
    pub(crate) stats: Stats,
}

/// Why the feed stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Shutdown,
    Exhausted,
    Fatal,
    Panicked,
}

impl View {
    pub(crate) fn of(feed: &Feed<Numbers>, now: Millis) -> Self {
        let due_in = match feed.deadline() {
            // Rounded up: a deadline is never met early.
            Deadline::At(at) => Some(relative(at.as_nanos() + 999_999, now).div_euclid(1_000_000)),
            Deadline::Never => None,
        };
        let end = feed.stopped().map(|reason| match reason {
            StopReason::Shutdown => End::Shutdown,
            StopReason::RetriesExhausted { .. } => End::Exhausted,
            StopReason::Fatal { .. } => End::Fatal,
            StopReason::HandlerPanicked => End::Panicked,
        });
        Self {
            phase: feed.phase(),
            connection: feed.connection(),
            due_in,
            wants_frames: feed.wants_frames(),
            end,
            stats: feed.stats(),
        }
    }

    pub(crate) const fn is_linked(&self) -> bool {
        matches!(self.phase, Phase::Bootstrapping | Phase::Live)
    }

    pub(crate) const fn is_held_back(&self) -> bool {
        self.is_linked() && !self.wants_frames
    }
}

/// Everything that decides what the feed does next, as text with times relative to now. Feeds with the same digest
/// do the same from here on.
///
/// It is complete because `Feed`'s `Debug` is: that one takes the machine apart field by field, so that a new field
/// cannot be forgotten, and leaves out only
/// - the configuration, which is the same for all states of a world;
/// - the effects, which are empty between two calls;
/// - what is the application's: the handler, of which the number of the next item is all that changes (added here);
///   the session, which is the connection's id; and what items and frames hold. An item's weight says which it is, and
///   the actions that wait (frames show their length alone) are known to the rules, which are part of the state.
///
/// The figures at its end only count, but for the attempts, which give the next connection its id (added here).
pub(crate) fn digest(feed: &Feed<Numbers>, now: Millis) -> String {
    let all = format!("{feed:?}");
    let (state, _figures) = all.split_once(", stats: Stats {").expect("the figures stand at the end");
    let mut digest = String::with_capacity(state.len());
    let mut parts = state.split("Timestamp(");
    digest.extend(parts.next());
    for part in parts {
        let (nanos, rest) = part.split_once(')').expect("a timestamp is a number in brackets");
        let nanos = nanos.parse().expect("a timestamp is a number in brackets");
        _ = write!(digest, "@{}{rest}", relative(nanos, now));
    }
    _ = write!(digest, " {} {}", feed.handler().next, feed.stats().attempts);
    digest
}

/// Nanoseconds from now.
fn relative(nanos: u64, now: Millis) -> i64 {
    i64::try_from(nanos).unwrap_or(i64::MAX) - i64::from(now) * 1_000_000
}
