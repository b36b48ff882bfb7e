//! Deliberate bugs, most of them ones that hand-written reconnect loops have, the reference's among them. The simulator
//! must find each (section 7 of the design). They exist under `--cfg tidegate_bugs` alone, which nothing but that check
//! sets: in any other build [`bug!`] is `false`.

/// Whether the bug of this name is on; with two values, the wrong one if it is, the right one otherwise.
macro_rules! bug {
    ($name:ident) => {{
        #[cfg(tidegate_bugs)]
        let on = $crate::bugs::is_on($crate::bugs::Bug::$name);
        #[cfg(not(tidegate_bugs))]
        let on = false;
        on
    }};
    ($name:ident: $wrong:expr, not $right:expr) => {
        if bug!($name) { $wrong } else { $right }
    };
}
pub(crate) use bug;

#[cfg(tidegate_bugs)]
pub use list::*;

#[cfg(tidegate_bugs)]
mod list {
    use core::sync::atomic::{AtomicU8, Ordering};

    /// One bug at most, for the whole process.
    static ON: AtomicU8 = AtomicU8::new(u8::MAX);

    /// Turns one bug on, and all others off.
    pub fn turn_on(bug: Option<Bug>) {
        ON.store(bug.map_or(u8::MAX, |bug| bug as u8), Ordering::Relaxed);
    }

    /// Whether this one is on.
    pub fn is_on(bug: Bug) -> bool {
        ON.load(Ordering::Relaxed) == bug as u8
    }

    macro_rules! bugs {
        ($($name:ident: $rule:literal, $text:literal;)+) => {
            /// A deliberate bug.
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            #[repr(u8)]
            pub enum Bug {
                $(#[doc = $text] $name,)+
            }

            impl Bug {
                /// All of them.
                pub const ALL: &'static [Self] = &[$(Self::$name),+];

                /// The rule that it breaks.
                pub const fn rule(self) -> &'static str {
                    match self { $(Self::$name => $rule,)+ }
                }

                /// What goes wrong.
                pub const fn text(self) -> &'static str {
                    match self { $(Self::$name => $text,)+ }
                }
            }
        };
    }

    bugs! {
        DuplicateConnect: "C1", "an answered Close dials at once, and again after the delay";
        AbortIsIgnored: "C1", "an aborted connection keeps its socket";
        NoUpgradeDeadline: "C3", "an upgrade that is never answered is waited for, as in the reference";
        NoCloseDeadline: "C5", "a peer that answers Close and keeps TCP open is waited for";
        DropBypassesRetry: "R1", "a dropped connection is dialled again at once, as in the reference";
        TimeoutBypassesRetry: "R1", "a silent connection is dialled again at once, as in the reference";
        OneRetryMore: "R2", "one attempt too many";
        OneRetryFewer: "R2", "one attempt too few";
        DelayBeyondCap: "R3", "the delay doubles beyond its cap";
        StreakResetAtConnect: "R4", "the retry budget is restored by the upgrade";
        StreakNeverReset: "R4", "the retry budget is never restored";
        RetryAfterIgnored: "R5", "Retry-After is not heeded";
        RetryAfterWithoutCap: "R5", "Retry-After may be a year";
        FatalIsRetried: "R6", "what no retry mends is retried";
        AnyStatusIsFatal: "R6", "a 503 ends the feed, as in the reference";
        NoBootstrapOnReconnect: "B1", "subscriptions are sent once, and not again";
        BootstrapOutOfOrder: "B1", "subscriptions go out in reverse";
        LiveBeforeFlush: "B2", "Live although subscriptions are still on their way out";
        LiveBeforeAcks: "B2", "Live although the handler still waits for acknowledgements";
        NoBootstrapDeadline: "B3", "an acknowledgement that never comes is waited for";
        PausePutsOff: "B3", "each pause puts the end of the bootstrap off";
        ControlFramesNotHeard: "L1", "pings and pongs do not count as life";
        IdleRoundedUp: "L2", "silence is looked for once a second, as in the reference";
        VerdictWithoutLook: "L2", "a deadline is judged before what has arrived is read";
        PongNotCounted: "L3", "a pong does not end the wait for it";
        NoPing: "L3", "no ping goes out";
        PongTimeoutForgotten: "L3", "a ping without an answer has no deadline";
        MuteUnnoticed: "L4", "any frame counts as an item";
        OldTimerAlive: "L5", "the clocks of a new connection go on from an old one's";
        ClocksRunWhilePaused: "L5", "the idle clock runs while reading is held back";
        NoPauseDeadline: "L5", "a pause has no end";
        QueueOffByOne: "D3", "the queue takes one item more than its bound";
        BytesUnbounded: "D3", "the queue is not bounded in bytes";
        DemandIgnored: "D1", "items come without being asked for";
        OrderLost: "D2", "an item overtakes another";
        NeverResumed: "D4", "reading that was held back stays so";
        ReadsWhilePaused: "D4", "the loop reads although it is held back";
        DropUntold: "D4", "dropped items are not announced in-band";
        OldFramesAccepted: "C2", "what an aborted connection still had is read on the next";
        InterruptionUntold: "D2", "a break in continuity is not announced in-band";
        SendSurvives: "O1", "a message accepted on one connection goes out on the next";
        ShutdownWaits: "S1", "a shutdown while waiting for a retry comes after it";
        NoticeAtUpgrade: "T2", "success is told at the upgrade, and again at Live";
        StatusStaysUp: "T1", "the status stays 1 when the connection is gone";
        AlarmNotMoved: "P1", "the alarm is not moved to an earlier deadline";
        FlushForgotten: "B2", "what was written is not reported as flushed";
        ConsumerNotWoken: "D2", "a delivery does not wake the consumer";
    }
}
