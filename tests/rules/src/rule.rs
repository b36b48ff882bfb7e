//! The rules by name.

use std::fmt;

/// A rule of the design that can be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// Every phase that must has a deadline.
    P1,
    /// After a Tick the deadline lies ahead, and an early one changes nothing.
    P2,
    /// The same events give the same machine.
    P3,
    /// One connection at most.
    C1,
    /// Ids grow; a foreign event changes nothing and is counted.
    C2,
    /// An attempt has connect_timeout.
    C3,
    /// A closing socket is gone within close_timeout.
    C5,
    /// Every failure is followed by a retry or the end.
    R1,
    /// As many retries as configured, then the end at once.
    R2,
    /// Delays are the policy's, capped and spread.
    R3,
    /// Only a stable connection ends the streak.
    R4,
    /// Retry-After is a lower bound.
    R5,
    /// Fatal failures end the feed, and no others.
    R6,
    /// No socket and no Connect while waiting.
    R7,
    /// Bootstrap frames come first, in order, on every connection.
    B1,
    /// Live when all is flushed and the handler agrees, not before.
    B2,
    /// Bootstrap_timeout bounds the bootstrap, and stands still while reading is held back.
    B3,
    /// No success after a refusal.
    B4,
    /// Silence is seen at its deadline, neither late nor early.
    L2,
    /// Pings go out in time; pong_timeout bounds the answer, and ends no connection early.
    L3,
    /// A mute feed is seen at its deadline, neither late nor early.
    L4,
    /// While reading is held back only max_pause counts; then the clocks start over.
    L5,
    /// One call of the handler per data frame.
    H2,
    /// What the handler emits is counted, no more and no less.
    H3,
    /// The handler is woken at the time it asked for.
    H4,
    /// No panic, and one that is reported ends the feed.
    H5,
    /// No more items than requested.
    D1,
    /// Items in order, each once, interruptions told.
    D2,
    /// The queue is bounded, and a frame beyond that ends the connection.
    D3,
    /// Reading is held back between full and half; drops are told.
    D4,
    /// Sending while Live only, and never on a later connection.
    O1,
    /// What is on its way out is bounded.
    O3,
    /// A shutdown says Close(1000) and ends in Stopped.
    S1,
    /// Stopped absorbs.
    S2,
    /// Status follows Live, and moves are those of the table.
    T1,
    /// Each connection is told of exactly once.
    T2,
}

/// A rule that was broken, and how.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Broken {
    /// Which.
    pub rule: Rule,
    /// What was seen.
    pub detail: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.rule, self.detail)
    }
}

/// Whether all rules hold.
pub type Verdict = Result<(), Broken>;

macro_rules! hold {
    ($cond:expr, $rule:ident, $($detail:tt)+) => {
        if !$cond {
            return Err($crate::Broken { rule: $crate::Rule::$rule, detail: format!($($detail)+) });
        }
    };
}
pub(crate) use hold;
