//! What one poll of the loop may do, and who takes what comes of it.

use tidegate_core::{FrameHandler, Machine, Timestamp};

/// Who takes deliveries from the machine.
pub(crate) trait Consumer<H: FrameHandler> {
    /// How often frames are read and handed over in one poll at most, so that others get their turn.
    const ROUNDS: usize;
    /// Frames read at most before they are handed over.
    const FRAMES: usize;
    /// No further frame is read before the hand-over once this much has been, in bytes: what lies in a queue before anybody
    /// looks at it falls out of the processor's caches, and the allocator must find new memory for what comes next.
    const BYTES: usize;

    /// Passes on demand and deliveries; whether anything moved.
    fn hand_over(&mut self, machine: &mut Machine<H>, now: Timestamp) -> bool;

    /// Whether it polls again without being woken.
    fn comes_back(&self) -> bool;
}

/// The state of one poll of the loop.
pub(crate) struct PollState {
    pub(crate) now: Timestamp,
    pub(crate) budget: Budget,
    /// Whose code runs while frames are read. One guard against panics is for all of them, since one for each costs a third of
    /// what the machine does.
    pub(crate) running: Running,
}

/// Where a panic would come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Running {
    /// The transport: it is propagated.
    Transport,
    /// The machine, and so the handler: the feed ends (H5).
    Machine,
}

/// What may still be read before it is handed over.
#[derive(Clone, Copy)]
pub(crate) struct Budget {
    pub(crate) frames: usize,
    pub(crate) bytes: usize,
}

impl Budget {
    pub(crate) const fn is_spent(&self) -> bool {
        self.frames == 0 || self.bytes == 0
    }

    pub(crate) const fn spend(&mut self, bytes: usize) {
        self.frames -= 1;
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}
