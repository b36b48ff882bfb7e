//! The rules by name.

use std::fmt;

macro_rules! rules {
    ($($rule:ident $words:literal,)+) => {
        /// A rule that can be broken.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "the design has them by these names")]
        pub enum Rule { $($rule),+ }

        impl Rule {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$rule),+];

            /// Name and text, such as `C1: one connection at most`.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$rule => concat!(stringify!($rule), ": ", $words)),+ }
            }
        }
    };
}

rules! {
    P1 "every phase that must has a deadline",
    P2 "after a Tick the deadline lies ahead, and an early one changes nothing",
    P3 "the same events give the same machine",
    C1 "one connection at most",
    C2 "ids grow; a foreign event changes nothing and is counted",
    C3 "an attempt has connect_timeout",
    C5 "a closing socket is gone within close_timeout",
    R1 "every failure is followed by a retry or the end",
    R2 "as many retries as configured, then the end at once",
    R3 "delays are the policy's, capped and spread",
    R4 "only a stable connection ends the streak",
    R5 "Retry-After is a lower bound",
    R6 "fatal failures end the feed, and no others",
    R7 "no socket and no Connect while waiting",
    B1 "bootstrap frames come first, in order, on every connection",
    B2 "Live when all is flushed and the handler agrees, not before",
    B3 "bootstrap_timeout bounds the bootstrap, and stands still while reading is held back",
    B4 "no success after a refusal",
    L2 "silence is seen at its deadline, neither late nor early",
    L3 "pings go out in time; pong_timeout bounds the answer, and ends no connection early",
    L4 "a mute feed is seen at its deadline, neither late nor early",
    L5 "while reading is held back only max_pause counts; then the clocks start afresh",
    H2 "one call of the handler per data frame",
    H3 "what the handler emits is counted, no more and no less",
    H4 "the handler is woken at the time it asked for",
    H5 "no panic, and one that is reported ends the feed",
    D1 "no more items than requested",
    D2 "items in order, each once, interruptions told",
    D3 "the queue is bounded, and a frame beyond that ends the connection",
    D4 "reading is held back between full and half; drops are told",
    O1 "sending while Live only, and never on a later connection",
    O3 "what is on its way out is bounded",
    S1 "a shutdown says Close(1000) and ends in Stopped",
    S2 "Stopped absorbs",
    T1 "status follows Live, and moves are those of the table",
    T2 "each connection is told of exactly once",
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
