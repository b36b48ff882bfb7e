//! The bootstrap of a connection: what must be done before it is Live (B1-B5).

use core::time::Duration;

use crate::demand::Reading;
use crate::outbox::Sequence;
use crate::time::{Deadline, Timestamp};

/// The condition for a connection to be Live (B2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Readiness {
    /// All bootstrap frames are flushed to the operating system. The default.
    #[default]
    WhenFlushed,
    /// In addition, the handler has called [`Context::ready`](crate::Context::ready), for instance because it has seen
    /// every acknowledgement.
    WhenDeclared,
}

/// Steps that a bootstrapping connection has yet to complete.
#[derive(Debug)]
pub(crate) struct Bootstrap {
    owed: Outstanding,
    end: Timestamp,
    last_frame: Sequence,
}

#[derive(Debug)]
enum Outstanding {
    FlushAndReady,
    Flush,
    Ready,
    Nothing,
}

impl Bootstrap {
    /// `last_frame` is the place of the last bootstrap frame.
    pub(crate) fn new(readiness: Readiness, last_frame: Sequence, timeout: Duration, now: Timestamp) -> Self {
        let owed = match readiness {
            Readiness::WhenFlushed => Outstanding::Flush,
            Readiness::WhenDeclared => Outstanding::FlushAndReady,
        };
        Self { owed, end: now.saturating_add(timeout), last_frame }
    }

    /// Notes that all frames up to `flushed` are with the operating system.
    pub(crate) fn flushed(&mut self, flushed: Sequence) {
        if flushed < self.last_frame {
            return;
        }
        self.owed = match self.owed {
            Outstanding::FlushAndReady | Outstanding::Ready => Outstanding::Ready,
            Outstanding::Flush | Outstanding::Nothing => Outstanding::Nothing,
        };
    }

    /// Notes that the handler has declared the connection ready.
    pub(crate) fn declared(&mut self) {
        self.owed = match self.owed {
            Outstanding::FlushAndReady | Outstanding::Flush => Outstanding::Flush,
            Outstanding::Ready | Outstanding::Nothing => Outstanding::Nothing,
        };
    }

    pub(crate) const fn is_done(&self) -> bool {
        matches!(self.owed, Outstanding::Nothing)
    }

    /// Returns whether bootstrap frames are not flushed yet: if the connection is lost now, they could not be sent.
    pub(crate) const fn owes_frames(&self) -> bool {
        matches!(self.owed, Outstanding::FlushAndReady | Outstanding::Flush)
    }

    /// Returns whether the timeout has passed. A pause must not extend it: a loop that was delayed may read and fill
    /// the queue before it looks at the clock.
    pub(crate) fn has_run_out(&self, now: Timestamp) -> bool {
        !self.is_done() && self.end <= now
    }

    /// Extends the timeout by the pause that has just ended, since acknowledgements could not arrive during it. The
    /// timeout is not restarted: with many short pauses it would never end (B3).
    pub(crate) fn resume(&mut self, paused_for: Duration) {
        self.end = self.end.saturating_add(paused_for);
    }

    pub(crate) const fn deadline(&self, reading: Reading) -> Deadline {
        match reading {
            Reading::On => Deadline::At(self.end),
            Reading::Paused { .. } => Deadline::Never,
        }
    }
}
