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
    /// The consumer was given something.
    Consumed(Delivery<()>),
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
        /// The consumer waits for a delivery.
        waits: bool,
    },
    /// The run is over, and everything has ended.
    Over,
}

/// What is recorded of a delivery.
pub(crate) fn without_item<T>(delivery: &Delivery<T>) -> Delivery<()> {
    match delivery {
        Delivery::Opened { id } => Delivery::Opened { id: *id },
        Delivery::Live { id } => Delivery::Live { id: *id },
        Delivery::Item(_) => Delivery::Item(()),
        Delivery::Interrupted { id, failure } => Delivery::Interrupted { id: *id, failure: failure.clone() },
        Delivery::Dropped { count } => Delivery::Dropped { count: *count },
    }
}

impl fmt::Display for Entry {
    /// One line; payloads are shown by their length, as everywhere.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect { id } => write!(f, "{id} connect"),
            Self::Opened { id } => write!(f, "{id} opened"),
            Self::DialFailed { id, failure } => write!(f, "{id} attempt failed: {failure}"),
            Self::Gone { id } => write!(f, "{id} dropped by the feed"),
            Self::Sent { id, frame } => write!(f, "{id} sent {frame:?}"),
            Self::Flushed { id } => write!(f, "{id} flushed"),
            Self::Arrived { id } => write!(f, "{id} something arrived"),
            Self::Read { id, frame } => write!(f, "{id} read {frame:?}"),
            Self::Broke { id, failure } => write!(f, "{id} broke: {failure}"),
            Self::Notice(notice) => write!(f, "notice {notice:?}"),
            Self::Ordered { number } => write!(f, "application sends {number}"),
            Self::Consumed(consumed) => write!(f, "consumer got {consumed:?}"),
            Self::Ended { reason: None } => f.write_str("consumer's stream ended"),
            Self::Ended { reason: Some(reason) } => write!(f, "consumer's stream ended: {reason}"),
            Self::Shutdown => f.write_str("application shuts down"),
            Self::Abandoned => f.write_str("application drops the feed"),
            Self::Panicked => f.write_str("PANIC in a function of the application"),
            Self::Fault { id, kind, number } => write!(f, "{id} FAULT {number}: {kind}"),
            Self::Outage { until } => write!(f, "OUTAGE until {}", Moment(*until)),
            Self::Over => f.write_str("the run is over"),
            Self::Jumped { to } => write!(f, "CLOCK jumps to {}", Moment(*to)),
            Self::Healed { bound } => write!(f, "FAULTS end; live within {bound:?}"),
            Self::Quiet { phase, stats, alarm, waits: _ } => {
                write!(f, "quiet in {phase}, {} queued", stats.queued)?;
                alarm.map_or(Ok(()), |at| write!(f, ", alarm at {}", Moment(at)))
            }
        }
    }
}

/// Virtual seconds.
pub(crate) struct Moment(pub(crate) Timestamp);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        write!(f, "{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
    }
}
