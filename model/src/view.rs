//! When a feed has something to do, and the digest that tells states apart.

use std::fmt::Write as _;

use tidegate_core::{Deadline, Machine, Timestamp};
use tidegate_rules::{Numbers, View};

use crate::world::Millis;

/// Milliseconds until the deadline; zero or less is due.
pub(crate) fn due_in(view: &View) -> Option<i64> {
    let Deadline::At(at) = view.deadline else { return None };
    let nanos = i128::from(at.as_nanos()) - i128::from(view.now.as_nanos());
    // Rounded up: a deadline is never met early.
    i64::try_from((nanos + 999_999).div_euclid(1_000_000)).ok()
}

pub(crate) fn at(now: Millis) -> Timestamp {
    Timestamp::from_millis(now.into())
}

/// Everything that decides what the feed does next, as text with times relative to now. Feeds with the same digest
/// do the same from here on.
///
/// It is complete because `Machine`'s `Debug` is: that one takes the machine apart field by field, so that a new field
/// cannot be forgotten, and leaves out only
/// - the configuration, which is the same for all states of a world;
/// - what a handler has asked for, which is nothing between two calls;
/// - what is the application's: the handler, of which the number of the next item is all that changes (added here);
///   the session, which is the connection's id; and what items and frames hold. An item's weight says which it is, and
///   the actions that wait (frames show their length alone) are known to the rules, which are part of the state.
///
/// The figures at its end only count, but for the attempts, which give the next connection its id (added here).
pub(crate) fn digest(feed: &Machine<Numbers>, now: Millis) -> String {
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
