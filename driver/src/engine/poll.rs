//! The bounds of one poll of the loop, and the receiver of its deliveries.

use tidegate_core::{Deadline, FrameHandler, Machine, Timestamp};

/// Receives deliveries from the machine.
pub(crate) trait Consumer<H: FrameHandler> {
    /// Maximum number of times in one poll that frames are read and handed over, so that other tasks get their turn.
    const ROUNDS: usize;
    /// Maximum number of frames read before they are handed over.
    const FRAMES: usize;
    /// Number of bytes after which no further frame is read before the hand-over. Items that wait longer fall out of
    /// the processor's caches, and the allocator must find new memory for the next ones.
    const BYTES: i64;

    /// Passes on demand and deliveries. Returns whether anything moved.
    fn hand_over(&mut self, machine: &mut Machine<H>, now: Timestamp) -> bool;

    /// Returns whether the consumer polls again without being woken.
    fn comes_back(&self) -> bool;
}

/// The state of one poll of the loop.
pub(crate) struct PollState {
    pub(crate) now: Timestamp,
    pub(crate) budget: Budget,
    /// The code that runs while frames are read. One guard against panics surrounds all frames: one for each would cost
    /// a third of the machine's work.
    pub(crate) running: Running,
    /// The machine's deadline in the last round that read nothing.
    pub(crate) deadline: Deadline,
}

/// The source of a panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Running {
    /// The transport. The panic is propagated.
    Transport,
    /// The machine, and so the handler. The feed ends (H5).
    Machine,
}

/// Amount that may still be read before the hand-over.
#[derive(Clone, Copy)]
pub(crate) struct Budget {
    pub(crate) frames: usize,
    /// Below zero after the frame that exceeds it.
    pub(crate) bytes: i64,
}

impl Budget {
    pub(crate) const fn is_spent(&self) -> bool {
        self.frames == 0 || self.bytes <= 0
    }

    pub(crate) const fn spend(&mut self, bytes: usize) {
        self.frames -= 1;
        self.bytes -= bytes as i64;
    }
}
