//! Outgoing frames: those accepted, the bound on them, and how many have been flushed (O1, O3, B2).

use alloc::collections::VecDeque;

use crate::frame::Frame;

/// Sequence number of a frame on one connection. The first is 1; 0 means none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sequence(u64);

/// The frames of one connection that have been accepted and not yet taken, and the number of those before them.
#[derive(Debug)]
pub(crate) struct Outbox {
    bound: usize,
    frames: VecDeque<Frame>,
    taken: Sequence,
    flushed: Sequence,
    /// The last frame that does not count against the bound. The bootstrap's frames do not, and none does once closing
    /// begins.
    exempt: Sequence,
}

impl Outbox {
    /// Returns an empty outbox that `bound` frames fill (O3).
    pub(crate) const fn new(bound: usize) -> Self {
        let none = Sequence(0);
        Self { bound, frames: VecDeque::new(), taken: none, flushed: none, exempt: none }
    }

    /// Returns whether the bound is reached.
    pub(crate) fn is_full(&self) -> bool {
        self.pending() >= self.bound
    }

    /// Discards everything, since a frame of one connection is never sent on another (O1).
    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.bound);
    }

    /// Appends a frame.
    pub(crate) fn push(&mut self, frame: impl Into<Frame>) {
        self.frames.push_back(frame.into());
    }

    /// Removes the oldest frame and returns it.
    pub(crate) fn take(&mut self) -> Option<Frame> {
        let frame = self.frames.pop_front()?;
        self.taken.0 += 1;
        Some(frame)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Notes that all frames taken so far are with the operating system. Returns the last of them.
    pub(crate) fn flush(&mut self) -> Sequence {
        self.flushed = self.taken;
        self.flushed
    }

    /// Exempts the frames accepted so far from the bound. Returns the last of them.
    pub(crate) fn exempt(&mut self) -> Sequence {
        self.exempt = self.accepted();
        self.exempt
    }

    /// Returns the number of frames that count against the bound: accepted, not yet flushed, not exempt.
    pub(crate) fn pending(&self) -> usize {
        usize::try_from(self.accepted().0 - self.flushed.0.max(self.exempt.0)).unwrap_or(usize::MAX)
    }

    fn accepted(&self) -> Sequence {
        Sequence(self.taken.0 + self.frames.len() as u64)
    }
}
