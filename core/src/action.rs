//! Actions, which the machine asks for, and notices, which it reports.

use core::time::Duration;

use crate::failure::{Failure, StopReason};
use crate::frame::ConnectionId;

/// An action for the embedding loop to carry out.
///
/// Take actions with [`Machine::poll_action`](crate::Machine::poll_action), in order, until it returns `None`.
///
/// This enum is exhaustive, since a loop must carry out every action. A new action breaks its build until it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start an attempt. Report its outcome with [`Connected`](crate::Event::Connected) or
    /// [`ConnectFailed`](crate::Event::ConnectFailed).
    Connect {
        /// Id of the attempt.
        id: ConnectionId,
    },
    /// Drop the socket or the attempt now, without a closing handshake.
    Abort {
        /// The connection.
        id: ConnectionId,
    },
    /// Pass a notice to observers.
    Notify(Notice),
}

/// A report about the feed for logs, metrics and observers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The connection turned Live. Sent exactly once per Live connection.
    Success {
        /// The connection.
        id: ConnectionId,
    },
    /// The attempt failed before it was Live. Sent exactly once per failed attempt.
    Failure {
        /// The attempt.
        id: ConnectionId,
        /// The reason.
        failure: Failure,
    },
    /// A Live connection ended, and not by a timeout. Each Live connection ends in exactly one `Disconnected` or
    /// `Timeout`.
    Disconnected {
        /// The connection.
        id: ConnectionId,
        /// The reason. `None` if the application ended the connection, by a shutdown or by a panic of its code.
        failure: Option<Failure>,
    },
    /// A liveness clock ended a Live connection.
    Timeout {
        /// The connection.
        id: ConnectionId,
        /// The failure that names the clock.
        failure: Failure,
    },
    /// The feed turned Live (1), or stopped being Live (0).
    Status {
        /// Whether the feed is Live.
        live: bool,
    },
    /// A ping was answered.
    Pong {
        /// The connection.
        id: ConnectionId,
        /// Time from the ping's hand-over to the transport until the pong arrived.
        round_trip: Duration,
    },
    /// The overflow policy dropped items. A [`Delivery::Dropped`](crate::Delivery::Dropped) announces them in-band as
    /// well.
    Dropped {
        /// Number of items dropped since the last such notice was taken.
        count: u64,
    },
    /// Reading is paused, because the queue is full.
    Paused {
        /// The connection.
        id: ConnectionId,
    },
    /// Reading resumed.
    Resumed {
        /// The connection.
        id: ConnectionId,
        /// Length of the pause.
        paused_for: Duration,
    },
    /// The feed waits, and then makes another attempt.
    Retry {
        /// Number of the retry in this streak, starting at 1.
        attempt: u32,
        /// Time until the attempt.
        delay: Duration,
    },
    /// An attempt starts.
    Connecting {
        /// The attempt.
        id: ConnectionId,
    },
    /// The feed ended permanently.
    Stopped {
        /// The reason.
        reason: StopReason,
    },
}

impl Notice {
    /// Returns the notice's name, such as `success`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Success { .. } => "success",
            Self::Failure { .. } => "failure",
            Self::Disconnected { .. } => "disconnected",
            Self::Timeout { .. } => "timeout",
            Self::Status { .. } => "status",
            Self::Pong { .. } => "pong",
            Self::Dropped { .. } => "dropped",
            Self::Paused { .. } => "paused",
            Self::Resumed { .. } => "resumed",
            Self::Retry { .. } => "retry",
            Self::Connecting { .. } => "connecting",
            Self::Stopped { .. } => "stopped",
        }
    }

    /// Returns the connection or attempt that the notice is about, if it is about one.
    #[must_use]
    pub const fn connection(&self) -> Option<ConnectionId> {
        match self {
            Self::Success { id }
            | Self::Failure { id, .. }
            | Self::Disconnected { id, .. }
            | Self::Timeout { id, .. }
            | Self::Pong { id, .. }
            | Self::Paused { id }
            | Self::Resumed { id, .. }
            | Self::Connecting { id } => Some(*id),
            Self::Status { .. } | Self::Dropped { .. } | Self::Retry { .. } | Self::Stopped { .. } => None,
        }
    }

    /// Returns the failure that ended an attempt or a connection, if the notice reports one.
    ///
    /// `None` for [`Stopped`](Self::Stopped): an earlier notice has reported its failure.
    #[must_use]
    pub const fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failure { failure, .. } | Self::Timeout { failure, .. } => Some(failure),
            Self::Disconnected { failure, .. } => failure.as_ref(),
            Self::Success { .. }
            | Self::Status { .. }
            | Self::Pong { .. }
            | Self::Dropped { .. }
            | Self::Paused { .. }
            | Self::Resumed { .. }
            | Self::Retry { .. }
            | Self::Connecting { .. }
            | Self::Stopped { .. } => None,
        }
    }

    /// Returns a short, stable name for the reason of an end, for metric labels.
    ///
    /// This is [`Failure::kind`], [`StopReason::kind`], or `shutdown` for a connection that the application ended.
    #[must_use]
    pub const fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Failure { failure, .. }
            | Self::Timeout { failure, .. }
            | Self::Disconnected { failure: Some(failure), .. } => Some(failure.kind()),
            Self::Disconnected { failure: None, .. } => Some("shutdown"),
            Self::Stopped { reason } => Some(reason.kind()),
            Self::Success { .. }
            | Self::Status { .. }
            | Self::Pong { .. }
            | Self::Dropped { .. }
            | Self::Paused { .. }
            | Self::Resumed { .. }
            | Self::Retry { .. }
            | Self::Connecting { .. } => None,
        }
    }

    /// Returns the duration that the notice reports: a ping's round trip, or the length of a pause.
    ///
    /// `None` for [`Retry`](Self::Retry), since its delay has not been measured.
    #[must_use]
    pub const fn duration(&self) -> Option<Duration> {
        match self {
            Self::Pong { round_trip: duration, .. } | Self::Resumed { paused_for: duration, .. } => {
                Some(*duration)
            }
            Self::Success { .. }
            | Self::Failure { .. }
            | Self::Disconnected { .. }
            | Self::Timeout { .. }
            | Self::Status { .. }
            | Self::Dropped { .. }
            | Self::Paused { .. }
            | Self::Retry { .. }
            | Self::Connecting { .. }
            | Self::Stopped { .. } => None,
        }
    }
}
