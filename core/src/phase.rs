//! The phases of a feed, the data that is valid in each, and the moves between them.

use core::fmt;

use crate::bootstrap::Bootstrap;
use crate::failure::{Failure, StopReason};
use crate::frame::ConnectionId;
use crate::liveness::Liveness;
use crate::outbox::Outbox;
use crate::time::{Deadline, Timestamp};

/// Where a feed stands, without the data: for display, metrics and waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Not started.
    Idle,
    /// An attempt is under way.
    Connecting,
    /// Connected; what the bootstrap owes is still outstanding.
    Bootstrapping,
    /// Connected and ready: subscriptions are out, items flow.
    Live,
    /// A closing handshake is under way.
    Closing,
    /// No connection; the next attempt is a matter of time.
    Waiting,
    /// Ended for good.
    Stopped,
}

impl Phase {
    /// All phases, in the order of a feed's life.
    pub const ALL: [Self; 7] = [
        Self::Idle,
        Self::Connecting,
        Self::Bootstrapping,
        Self::Live,
        Self::Closing,
        Self::Waiting,
        Self::Stopped,
    ];

    /// A short, stable name in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Connecting => "connecting",
            Self::Bootstrapping => "bootstrapping",
            Self::Live => "live",
            Self::Closing => "closing",
            Self::Waiting => "waiting",
            Self::Stopped => "stopped",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One move from a phase to another, and what causes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The phase it leaves.
    pub from: Phase,
    /// The phase it enters.
    pub to: Phase,
    /// What causes it, in a few words.
    pub cause: &'static str,
}

const fn moves(from: Phase, to: Phase, cause: &'static str) -> Transition {
    Transition { from, to, cause }
}

/// Every move there is. A move that is not here panics in builds with debug assertions, and the property suite holds
/// that each one here happens; the picture in the README is drawn from it.
pub const TRANSITIONS: &[Transition] = &[
    moves(Phase::Idle, Phase::Connecting, "start"),
    moves(Phase::Idle, Phase::Stopped, "shutdown"),
    moves(Phase::Connecting, Phase::Bootstrapping, "upgraded"),
    moves(Phase::Connecting, Phase::Closing, "bootstrap refused"),
    moves(Phase::Connecting, Phase::Waiting, "failed or timed out"),
    moves(Phase::Connecting, Phase::Stopped, "shutdown, fatal, or no retries left"),
    moves(Phase::Bootstrapping, Phase::Live, "all flushed, handler ready"),
    moves(Phase::Bootstrapping, Phase::Closing, "shutdown, peer closes, or fault"),
    moves(Phase::Bootstrapping, Phase::Waiting, "lost or timed out"),
    moves(Phase::Bootstrapping, Phase::Stopped, "no retries left"),
    moves(Phase::Live, Phase::Closing, "shutdown, peer closes, fault, or mute"),
    moves(Phase::Live, Phase::Waiting, "lost, silent, or overflow"),
    moves(Phase::Live, Phase::Stopped, "no retries left"),
    moves(Phase::Closing, Phase::Waiting, "socket gone or close timeout"),
    moves(Phase::Closing, Phase::Stopped, "socket gone or close timeout, after a shutdown or for good"),
    moves(Phase::Waiting, Phase::Connecting, "delay over"),
    moves(Phase::Waiting, Phase::Stopped, "shutdown"),
];

/// Where a feed stands: each state holds only the data that is valid in it.
#[repr(u8)]
pub(crate) enum State<S> {
    Idle,
    Connecting { id: ConnectionId, deadline: Timestamp },
    Bootstrapping { link: Link<S>, bootstrap: Bootstrap },
    Live { link: Link<S>, since: Timestamp },
    Closing { id: ConnectionId, deadline: Timestamp, then: Then },
    Waiting { until: Timestamp },
    Stopped { reason: StopReason },
}

/// What follows a closing handshake.
#[derive(Debug)]
pub(crate) enum Then {
    /// The retry path: the connection ended for this reason (R1).
    Retry(Failure),
    /// The end, as the application asked.
    ShutDown,
}

/// An open connection.
pub(crate) struct Link<S> {
    pub(crate) id: ConnectionId,
    pub(crate) session: S,
    pub(crate) liveness: Liveness,
    pub(crate) outbox: Outbox,
    /// When the handler wants to be woken (H4).
    pub(crate) wake: Deadline,
}

impl<S> Link<S> {
    /// While reading is held back the handler is not woken: it might emit (D3).
    pub(crate) fn deadline(&self) -> Deadline {
        let wake = if self.liveness.is_paused() { Deadline::Never } else { self.wake };
        self.liveness.deadline().min(wake)
    }
}

impl<S> State<S> {
    pub(crate) const fn phase(&self) -> Phase {
        match self {
            Self::Idle => Phase::Idle,
            Self::Connecting { .. } => Phase::Connecting,
            Self::Bootstrapping { .. } => Phase::Bootstrapping,
            Self::Live { .. } => Phase::Live,
            Self::Closing { .. } => Phase::Closing,
            Self::Waiting { .. } => Phase::Waiting,
            Self::Stopped { .. } => Phase::Stopped,
        }
    }

    /// The connection or attempt that is current (C1, C2).
    pub(crate) const fn connection(&self) -> Option<ConnectionId> {
        match self {
            Self::Connecting { id, .. } | Self::Closing { id, .. } => Some(*id),
            Self::Bootstrapping { link, .. } | Self::Live { link, .. } => Some(link.id),
            Self::Idle | Self::Waiting { .. } | Self::Stopped { .. } => None,
        }
    }

    /// How many messages wait on the open connection, the bootstrap's aside (O3).
    pub(crate) fn sending(&self) -> usize {
        match self {
            Self::Bootstrapping { link, .. } | Self::Live { link, .. } => link.outbox.pending(),
            Self::Idle
            | Self::Connecting { .. }
            | Self::Closing { .. }
            | Self::Waiting { .. }
            | Self::Stopped { .. } => 0,
        }
    }

    pub(crate) const fn link_mut(&mut self) -> Option<&mut Link<S>> {
        match self {
            Self::Bootstrapping { link, .. } | Self::Live { link, .. } => Some(link),
            Self::Idle
            | Self::Connecting { .. }
            | Self::Closing { .. }
            | Self::Waiting { .. }
            | Self::Stopped { .. } => None,
        }
    }

    /// The open connection, if it is this one and reading is not held back.
    #[inline]
    pub(crate) fn reading(&mut self, id: ConnectionId) -> Option<&mut Link<S>> {
        self.link_mut().filter(|link| link.id == id && !link.liveness.is_paused())
    }

    /// The part of [`Self::deadline`] at which the attempt or connection fails. One that is closing has failed already.
    pub(crate) fn failure_deadline(&self) -> Deadline {
        match self {
            Self::Idle | Self::Closing { .. } | Self::Waiting { .. } | Self::Stopped { .. } => {
                Deadline::Never
            }
            Self::Connecting { deadline, .. } => Deadline::At(*deadline),
            Self::Bootstrapping { link, bootstrap } => {
                link.liveness.failure_deadline().min(bootstrap.deadline())
            }
            Self::Live { link, .. } => link.liveness.failure_deadline(),
        }
    }

    pub(crate) fn deadline(&self) -> Deadline {
        match self {
            Self::Idle | Self::Stopped { .. } => Deadline::Never,
            Self::Connecting { deadline: at, .. }
            | Self::Closing { deadline: at, .. }
            | Self::Waiting { until: at } => Deadline::At(*at),
            Self::Bootstrapping { link, bootstrap } => link.deadline().min(bootstrap.deadline()),
            Self::Live { link, .. } => link.deadline(),
        }
    }
}

impl<S> fmt::Debug for State<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Idle => f.write_str("Idle"),
            Self::Connecting { id, deadline } => {
                f.debug_struct("Connecting").field("id", id).field("deadline", deadline).finish()
            }
            Self::Bootstrapping { link, bootstrap } => {
                f.debug_struct("Bootstrapping").field("link", link).field("bootstrap", bootstrap).finish()
            }
            Self::Live { link, since } => {
                f.debug_struct("Live").field("link", link).field("since", since).finish()
            }
            Self::Closing { id, deadline, then } => {
                let mut out = f.debug_struct("Closing");
                out.field("id", id).field("deadline", deadline).field("then", then).finish()
            }
            Self::Waiting { until } => f.debug_struct("Waiting").field("until", until).finish(),
            Self::Stopped { reason } => f.debug_struct("Stopped").field("reason", reason).finish(),
        }
    }
}

/// All but the session, which is the application's own.
impl<S> fmt::Debug for Link<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, session: _, liveness, outbox, wake } = self;
        f.debug_struct("Link")
            .field("id", id)
            .field("liveness", liveness)
            .field("outbox", outbox)
            .field("wake", wake)
            .finish_non_exhaustive()
    }
}
