//! The phases of a feed, the data that is valid in each, and the transitions between them.

use core::fmt;

use crate::bootstrap::Bootstrap;
use crate::demand::Reading;
use crate::failure::{Failure, StopReason};
use crate::frame::ConnectionId;
use crate::liveness::Liveness;
use crate::time::{Deadline, Timestamp};
use crate::timers::Timers;

/// The phase of a feed, for display, metrics and waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The feed has not started.
    Idle,
    /// An attempt is in progress.
    Connecting,
    /// A connection is open, but not Live yet: bootstrap frames or the handler's declaration are outstanding.
    Bootstrapping,
    /// A connection is open and ready: bootstrap frames have been sent.
    Live,
    /// A closing handshake is in progress.
    Closing,
    /// There is no connection. The next attempt starts after a delay.
    Waiting,
    /// The feed ended permanently.
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

    /// Returns a short, stable name in lower case.
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

/// A transition from one phase to another, and its cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The phase before.
    pub from: Phase,
    /// The phase after.
    pub to: Phase,
    /// The cause, in a few words.
    pub cause: &'static str,
}

const fn moves(from: Phase, to: Phase, cause: &'static str) -> Transition {
    Transition { from, to, cause }
}

/// All transitions.
///
/// Any other transition panics in builds with debug assertions. The property suite checks that each one here occurs.
/// The diagram in the README is drawn from this table.
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
    moves(Phase::Live, Phase::Closing, "shutdown, peer closes, fault, or stale"),
    moves(Phase::Live, Phase::Waiting, "lost, silent, or overflow"),
    moves(Phase::Live, Phase::Stopped, "no retries left"),
    moves(Phase::Closing, Phase::Waiting, "socket gone or close timeout"),
    moves(
        Phase::Closing,
        Phase::Stopped,
        "socket gone or close timeout, after a shutdown, fatal, or no retries left",
    ),
    moves(Phase::Waiting, Phase::Connecting, "delay over"),
    moves(Phase::Waiting, Phase::Stopped, "shutdown"),
];

/// The state of a feed. Each variant holds only the data that is valid in it.
pub(crate) enum State<S> {
    Idle,
    Active(Slot<S>),
    Waiting { until: Timestamp },
    Stopped { reason: StopReason },
}

/// An attempt, or the connection that it became (C1).
pub(crate) struct Slot<S> {
    pub(crate) id: ConnectionId,
    pub(crate) stage: Stage<S>,
}

pub(crate) enum Stage<S> {
    Connecting { deadline: Timestamp },
    Open(OpenConnection<S>),
    Closing { deadline: Timestamp, then: AfterClose },
}

/// The step after a closing handshake.
#[derive(Clone, Debug)]
pub(crate) enum AfterClose {
    /// Retry or stop, because of this failure (R1).
    Retry(Failure),
    /// Stop, as the application requested.
    ShutDown,
}

impl AfterClose {
    /// Returns why the connection ends. `None` if the application ended it.
    pub(crate) const fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Retry(failure) => Some(failure),
            Self::ShutDown => None,
        }
    }
}

/// An open connection.
pub(crate) struct OpenConnection<S> {
    pub(crate) session: S,
    pub(crate) liveness: Liveness,
    pub(crate) progress: Progress,
    pub(crate) timers: Timers,
}

#[derive(Debug)]
pub(crate) enum Progress {
    Bootstrapping(Bootstrap),
    Live { since: Timestamp },
}

impl<S> OpenConnection<S> {
    /// While reading is paused, timers stand still, and the handler may not emit (D3).
    fn deadline(&self, reading: Reading) -> Deadline {
        let timers = match reading {
            Reading::On => self.timers.deadline(),
            Reading::Paused { .. } => Deadline::Never,
        };
        self.liveness.deadline(reading).min(self.progress.deadline(reading)).min(timers)
    }
}

impl Progress {
    pub(crate) fn deadline(&self, reading: Reading) -> Deadline {
        match self {
            Self::Bootstrapping(bootstrap) => bootstrap.deadline(reading),
            Self::Live { .. } => Deadline::Never,
        }
    }
}

impl<S> Stage<S> {
    const fn phase(&self) -> Phase {
        match self {
            Self::Connecting { .. } => Phase::Connecting,
            Self::Open(OpenConnection { progress: Progress::Bootstrapping(_), .. }) => Phase::Bootstrapping,
            Self::Open(OpenConnection { progress: Progress::Live { .. }, .. }) => Phase::Live,
            Self::Closing { .. } => Phase::Closing,
        }
    }

    fn deadline(&self, reading: Reading) -> Deadline {
        match self {
            Self::Connecting { deadline } | Self::Closing { deadline, .. } => Deadline::At(*deadline),
            Self::Open(connection) => connection.deadline(reading),
        }
    }

    fn failure_deadline(&self, reading: Reading) -> Deadline {
        match self {
            Self::Connecting { deadline } => Deadline::At(*deadline),
            Self::Open(OpenConnection { liveness, progress, .. }) => {
                liveness.failure_deadline(reading).min(progress.deadline(reading))
            }
            // The connection has failed already.
            Self::Closing { .. } => Deadline::Never,
        }
    }
}

impl<S> State<S> {
    pub(crate) const fn phase(&self) -> Phase {
        match self {
            Self::Idle => Phase::Idle,
            Self::Active(slot) => slot.stage.phase(),
            Self::Waiting { .. } => Phase::Waiting,
            Self::Stopped { .. } => Phase::Stopped,
        }
    }

    /// Returns the current attempt or connection (C1, C2).
    pub(crate) const fn connection(&self) -> Option<ConnectionId> {
        match self {
            Self::Active(slot) => Some(slot.id),
            Self::Idle | Self::Waiting { .. } | Self::Stopped { .. } => None,
        }
    }

    /// Returns the next deadline at which the attempt or connection fails.
    pub(crate) fn failure_deadline(&self, reading: Reading) -> Deadline {
        match self {
            Self::Active(slot) => slot.stage.failure_deadline(reading),
            Self::Idle | Self::Waiting { .. } | Self::Stopped { .. } => Deadline::Never,
        }
    }

    pub(crate) fn deadline(&self, reading: Reading) -> Deadline {
        match self {
            Self::Active(slot) => slot.stage.deadline(reading),
            Self::Waiting { until } => Deadline::At(*until),
            Self::Idle | Self::Stopped { .. } => Deadline::Never,
        }
    }
}

/// Shows all but the session, which belongs to the application.
impl<S> fmt::Debug for State<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Idle => f.write_str("Idle"),
            Self::Active(Slot { id, stage }) => match stage {
                Stage::Connecting { deadline } => write!(f, "Connecting({id}, {deadline:?})"),
                Stage::Open(OpenConnection { session: _, liveness, progress, timers }) => {
                    write!(f, "Open({id}, {liveness:?}, {progress:?}, {timers:?})")
                }
                Stage::Closing { deadline, then } => write!(f, "Closing({id}, {deadline:?}, {then:?})"),
            },
            Self::Waiting { until } => write!(f, "Waiting({until:?})"),
            Self::Stopped { reason } => write!(f, "Stopped({reason:?})"),
        }
    }
}
