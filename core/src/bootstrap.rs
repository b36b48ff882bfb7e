//! What is owed before a connection is Live (B1-B5).

use core::time::Duration;

use crate::demand::Reading;
use crate::outbox::Sequence;
use crate::time::{Deadline, Timestamp};

/// When a connection may count as Live (B2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Readiness {
    /// As soon as the bootstrap frames are flushed to the operating system. The default.
    #[default]
    WhenFlushed,
    /// Only once the handler has called [`Context::ready`](crate::Context::ready) as well, for instance because it has
    /// seen every acknowledgement.
    WhenDeclared,
}

/// What a bootstrapping connection still owes.
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
    /// `last_frame` is the last of the bootstrap frames.
    pub(crate) fn new(readiness: Readiness, last_frame: Sequence, timeout: Duration, now: Timestamp) -> Self {
        let owed = match readiness {
            Readiness::WhenFlushed => Outstanding::Flush,
            Readiness::WhenDeclared => Outstanding::FlushAndReady,
        };
        Self { owed, end: now.saturating_add(timeout), last_frame }
    }

    /// Everything up to `flushed` is with the operating system.
    pub(crate) fn flushed(&mut self, flushed: Sequence) {
        if flushed < self.last_frame {
            return;
        }
        self.owed = match self.owed {
            Outstanding::FlushAndReady | Outstanding::Ready => Outstanding::Ready,
            Outstanding::Flush | Outstanding::Nothing => Outstanding::Nothing,
        };
    }

    /// The handler said that it is ready.
    pub(crate) fn declared(&mut self) {
        self.owed = match self.owed {
            Outstanding::FlushAndReady | Outstanding::Flush => Outstanding::Flush,
            Outstanding::Ready | Outstanding::Nothing => Outstanding::Nothing,
        };
    }

    pub(crate) const fn is_done(&self) -> bool {
        matches!(self.owed, Outstanding::Nothing)
    }

    /// Whether frames are still on their way out, so that losing the connection means that they could not be sent.
    pub(crate) const fn owes_frames(&self) -> bool {
        matches!(self.owed, Outstanding::FlushAndReady | Outstanding::Flush)
    }

    /// Whether something is owed beyond the time for it. A pause must not put off what is due: a loop that was held up reads,
    /// and may fill the queue, before it looks at the clock.
    pub(crate) fn has_run_out(&self, now: Timestamp) -> bool {
        !self.is_done() && self.end <= now
    }

    /// Reading goes on after a pause. The clock stood still: acknowledgements could not come meanwhile, but pauses must not put
    /// off the end again and again (B3).
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
