//! How much is on its way out: the bound on the outgoing queue, and what has been flushed (O3, B2).

/// A place in the order of the frames sent on one connection; the first is 1, and 0 stands before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

/// Counts the frames of one connection: accepted, taken by the embedder, flushed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outbox {
    accepted: Ticket,
    taken: Ticket,
    flushed: Ticket,
    /// Up to here the bound does not hold: the frames of the bootstrap.
    unbounded: Ticket,
}

impl Outbox {
    /// One more frame is on its way.
    pub(crate) fn accept(&mut self) {
        self.accepted.0 += 1;
    }

    /// The embedder took the oldest frame that was still here.
    pub(crate) fn take(&mut self) {
        self.taken.0 += 1;
    }

    /// Everything taken so far is with the operating system.
    pub(crate) fn flush(&mut self) -> Ticket {
        self.flushed = self.taken;
        self.flushed
    }

    /// What has been accepted so far is the bootstrap: the bound does not hold for it. The last of its frames.
    pub(crate) fn end_bootstrap(&mut self) -> Ticket {
        self.unbounded = self.accepted;
        self.accepted
    }

    /// The last frame flushed.
    pub(crate) const fn last_flushed(&self) -> Ticket {
        self.flushed
    }

    /// Frames that the bound holds for: accepted, not yet flushed, and none of the bootstrap.
    pub(crate) fn pending(&self) -> usize {
        usize::try_from(self.accepted.0 - self.flushed.0.max(self.unbounded.0)).unwrap_or(usize::MAX)
    }
}
