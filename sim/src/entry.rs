//! Entries of the journal: everything about a run that can be seen from outside, for the checker and the trace.

use std::fmt;
use std::time::Duration;

use tidegate_driver::core::{Delivery, Failure, Frame, Notice, Phase, Stats, StopReason, Timestamp};

use crate::fault::FaultKind;

/// Something that happened.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    /// The feed asked for a connection.
    Connect {
        id: u64,
    },
    /// The upgrade is complete.
    Opened {
        id: u64,
    },
    /// The attempt failed.
    DialFailed {
        id: u64,
        failure: Failure,
    },
    /// The feed dropped the attempt, or the connection.
    Gone {
        id: u64,
    },
    /// The feed gave the transport a frame.
    Sent {
        id: u64,
        frame: Frame,
    },
    /// Everything sent is with the operating system.
    Flushed {
        id: u64,
    },
    /// Something is in the socket of the feed, even if its runtime has not noticed.
    Arrived {
        id: u64,
    },
    /// The feed took a frame from the transport.
    Read {
        id: u64,
        frame: Frame,
    },
    /// The feed read that the connection broke.
    Broke {
        id: u64,
        failure: Failure,
    },
    Notice(Notice),
    /// The application asked for a message to be sent.
    Ordered {
        number: u64,
    },
    /// The consumer was given something: items as the trace shows them, if there is one.
    Consumed(Delivery<String>),
    /// The consumer's stream ended.
    Ended {
        reason: Option<StopReason>,
    },
    /// The application shut the feed down.
    Shutdown,
    /// The consumer was dropped.
    Abandoned,
    /// A function of the application panicked.
    Panicked,
    Fault {
        id: u64,
        kind: FaultKind,
        number: u64,
    },
    /// The server resets all connections, and is down until then.
    Outage {
        until: Timestamp,
    },
    /// The clock jumped forward.
    Jumped {
        to: Timestamp,
    },
    /// The faults end; the feed must be Live this much later.
    Healed {
        bound: Duration,
    },
    /// All tasks wait.
    Quiet {
        phase: Phase,
        stats: Stats,
        alarm: Option<Timestamp>,
        waits_for: Awaited,
        /// The consumer waits for a delivery.
        waits: bool,
    },
    /// The run is over, and everything has ended.
    Over,
}

/// What a feed waits for while all tasks wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Awaited {
    Start,
    Resolver,
    Upgrade,
    Writing,
    Ready,
    Messages,
    Consumer,
    Close,
    Retry,
    Nothing,
}

impl fmt::Display for Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "its first poll",
            Self::Resolver => "the resolver",
            Self::Upgrade => "the server's answer to the upgrade",
            Self::Writing => "its frames to be written",
            Self::Ready => "ready()",
            Self::Messages => "messages",
            Self::Consumer => "its consumer, which is behind",
            Self::Close => "the end of the connection",
            Self::Retry => "the next attempt",
            Self::Nothing => "nothing more",
        })
    }
}

/// What is recorded of a delivery: the item as `show` has it, or no text at all.
pub(crate) fn shown<T>(delivery: &Delivery<T>, show: impl FnOnce(&T) -> String) -> Delivery<String> {
    match delivery {
        Delivery::Opened { id } => Delivery::Opened { id: *id },
        Delivery::Live { id } => Delivery::Live { id: *id },
        Delivery::Item(item) => Delivery::Item(show(item)),
        Delivery::Interrupted { id, failure } => Delivery::Interrupted { id: *id, failure: failure.clone() },
        Delivery::Dropped { count } => Delivery::Dropped { count: *count },
    }
}
