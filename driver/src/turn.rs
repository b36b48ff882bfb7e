//! What one poll of the loop may and need do.

use tidegate_core::Timestamp;

/// What one poll still may and need do.
pub(crate) struct Turn {
    pub(crate) now: Timestamp,
    pub(crate) budget: Budget,
    /// Whose code runs while frames are read: one guard is for all of them, since one for each costs as much as a third of
    /// the machine.
    pub(crate) running: Running,
}

/// Whose panic it would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Running {
    /// The transport's: it goes on up.
    Transport,
    /// The machine's, and so the handler's (H5).
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
