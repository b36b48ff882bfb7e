//! Outgoing frames: those accepted, in order, the bound on them, and how many have been flushed (O1, O3, B2).

use alloc::collections::VecDeque;

use crate::frame::Frame;

/// A place in the order of the frames sent on one connection; the first is 1, and 0 stands before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sequence(u64);

/// The frames of one connection that have been accepted and not taken yet, and how many have gone before them.
#[derive(Debug)]
pub(crate) struct Outbox {
    bound: usize,
    frames: VecDeque<Frame>,
    taken: Sequence,
    flushed: Sequence,
    /// Frames up to here do not count against the bound: those of the bootstrap, and all once the connection closes.
    exempt: Sequence,
}

impl Outbox {
    /// An empty one that is full with `bound` frames (O3).
    pub(crate) const fn new(bound: usize) -> Self {
        let none = Sequence(0);
        Self { bound, frames: VecDeque::new(), taken: none, flushed: none, exempt: none }
    }

    /// Whether the bound is reached.
    pub(crate) fn is_full(&self) -> bool {
        self.pending() >= self.bound
    }

    /// Another connection, or none: what was accepted on this one is never sent (O1).
    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.bound);
    }

    /// Queues a frame behind those before it.
    pub(crate) fn push(&mut self, frame: impl Into<Frame>) {
        self.frames.push_back(frame.into());
    }

    /// The oldest frame.
    pub(crate) fn take(&mut self) -> Option<Frame> {
        let frame = self.frames.pop_front()?;
        self.taken.0 += 1;
        Some(frame)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Everything taken so far is with the operating system.
    pub(crate) fn flush(&mut self) -> Sequence {
        self.flushed = self.taken;
        self.flushed
    }

    /// Exempts the frames accepted so far from the bound. Returns the place of the last.
    pub(crate) fn exempt(&mut self) -> Sequence {
        self.exempt = self.accepted();
        self.exempt
    }

    /// How many frames count against the bound: accepted, not yet flushed, not exempt.
    pub(crate) fn pending(&self) -> usize {
        usize::try_from(self.accepted().0 - self.flushed.0.max(self.exempt.0)).unwrap_or(usize::MAX)
    }

    fn accepted(&self) -> Sequence {
        Sequence(self.taken.0 + self.frames.len() as u64)
    }
}
