//! The bootstrap of a connection: what must be done before it is Live (B1-B5).

use alloc::collections::BTreeSet;
use core::time::Duration;

use crate::demand::Reading;
use crate::outbox::Sequence;
use crate::time::{Deadline, Timestamp};

/// What a bootstrapping connection has yet to complete (B2).
#[derive(Debug)]
pub(crate) struct Bootstrap {
    frames: Frames,
    /// Depths of the handlers that have yet to declare it ready.
    awaited: BTreeSet<u32>,
    end: Timestamp,
}

#[derive(Debug)]
enum Frames {
    /// They are out once the frame with this number is.
    Owed(Sequence),
    Flushed,
}

impl Bootstrap {
    /// `last_frame` is the place of the last bootstrap frame.
    pub(crate) fn new(
        awaited: BTreeSet<u32>,
        last_frame: Sequence,
        timeout: Duration,
        now: Timestamp,
    ) -> Self {
        Self { frames: Frames::Owed(last_frame), awaited, end: now.saturating_add(timeout) }
    }

    /// Notes that all frames up to `flushed` are with the operating system.
    pub(crate) fn flushed(&mut self, flushed: Sequence) {
        if let Frames::Owed(last) = self.frames
            && flushed >= last
        {
            self.frames = Frames::Flushed;
        }
    }

    /// Notes that the handlers at these depths have declared the connection ready.
    pub(crate) fn declared(&mut self, ready: &BTreeSet<u32>) {
        self.awaited.retain(|depth| !ready.contains(depth));
    }

    pub(crate) fn is_done(&self) -> bool {
        !self.owes_frames() && self.awaited.is_empty()
    }

    /// Returns whether bootstrap frames are not flushed yet: if the connection is lost now, they could not be sent.
    pub(crate) const fn owes_frames(&self) -> bool {
        matches!(self.frames, Frames::Owed(_))
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
