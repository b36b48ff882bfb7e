//! Everything the machine asks for, and what it reports.

use alloc::string::String;
use core::time::Duration;

use crate::failure::{Failure, StopReason};
use crate::frame::ConnectionId;

/// Something to carry out. Take them with [`Machine::poll_action`](crate::Machine::poll_action), in order, until there are
/// none.
///
/// Exhaustive, since a loop has to carry out each of them: one that is new must not compile until it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Dial. Answer with `Connected` or `ConnectFailed`.
    Connect {
        /// What the attempt is called.
        id: ConnectionId,
    },
    /// Drop the socket, or the attempt, now.
    Abort {
        /// Which connection.
        id: ConnectionId,
    },
    /// Tell whoever watches.
    Notify(Notice),
}

/// What the machine reports of itself (T1). The first five are the reference's telemetry events.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The connection turned Live. Exactly once per Live connection (T2).
    Success {
        /// Which connection.
        id: ConnectionId,
    },
    /// The attempt failed before it was Live. Exactly once per failed attempt (T2).
    Failure {
        /// Which attempt.
        id: ConnectionId,
        /// Why.
        failure: Failure,
    },
    /// A Live connection ended other than by a timeout. Each ends in exactly one of this and `Timeout` (T2).
    Disconnected {
        /// Which connection.
        id: ConnectionId,
        /// Why; `None` if the application ended it: by a shutdown, or because its handler panicked.
        failure: Option<Failure>,
    },
    /// A liveness clock ended a Live connection.
    Timeout {
        /// Which connection.
        id: ConnectionId,
        /// Which clock.
        failure: Failure,
    },
    /// 1 when Live, 0 when no longer.
    Status {
        /// Whether the feed is Live.
        live: bool,
    },
    /// A ping was answered.
    Pong {
        /// On which connection.
        id: ConnectionId,
        /// From the ping's hand-over to the transport to the pong's arrival here.
        round_trip: Duration,
    },
    /// Items were dropped by the overflow policy; announced in-band as well (D4).
    Dropped {
        /// How many since the last such notice was taken.
        count: u64,
    },
    /// Reading is held back: the queue is full (D4).
    Paused {
        /// On which connection.
        id: ConnectionId,
    },
    /// Reading goes on.
    Resumed {
        /// On which connection.
        id: ConnectionId,
        /// How long it was held back.
        paused_for: Duration,
    },
    /// Another attempt follows.
    Retry {
        /// Which retry of this streak, from 1.
        attempt: u32,
        /// How long until then.
        delay: Duration,
    },
    /// An attempt begins.
    Connecting {
        /// Which attempt.
        id: ConnectionId,
    },
    /// The feed ended for good.
    Stopped {
        /// Why.
        reason: StopReason,
    },
}

impl Notice {
    /// The last part of its telemetry name, such as `success`.
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

    /// Returns the connection or attempt that it is about, if it is about one.
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

    /// Returns the failure that ended an attempt or a connection, if it reports one. [`Stopped`](Self::Stopped) does not: its
    /// failure has been reported.
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

    /// Returns the short, stable name of why something ended: [`Failure::kind`], [`StopReason::kind`], or `shutdown` for a
    /// connection that the application ended.
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

    /// Returns the time that was measured: a ping's round trip, or how long reading was held back. A delay that is to come is
    /// none.
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

    /// Its telemetry name, `<telemetry_id>.connection.<name>` (T1).
    #[must_use]
    pub fn telemetry_name(&self, telemetry_id: &str) -> String {
        alloc::format!("{telemetry_id}.connection.{}", self.name())
    }
}
