//! The memory that tungstenite reads frames into, which grows with a large message and must not stay so.

use bytes::Bytes;

/// The size of tungstenite's own buffer, in bytes. Each connection has one for as long as it lasts, and messages that are
/// no longer are slices of it: it is what a short one pins that is kept. Each read zeroes what is free of it.
pub(crate) const CHUNK: usize = 4 * 1024;

/// What tungstenite's buffer has become.
pub(crate) enum Memory {
    /// A chunk, or soon one.
    Chunk,
    /// A message longer than [`CHUNK`] has come. As long as it, or another of the same memory, is held here, tungstenite cannot
    /// go on with the memory it made for it once that is full, and takes a chunk again. That is so after `left` bytes more.
    PastLarge { _held: Bytes, left: usize },
    /// Large messages in a row, the last one of `len` bytes: the memory is used again for the next.
    Large { len: usize },
}

impl Memory {
    /// A message has come.
    #[inline]
    pub(crate) fn remember(&mut self, payload: &Bytes) {
        let len = payload.len();
        if len <= CHUNK && matches!(self, Self::Chunk) {
            return;
        }
        self.remember_large(payload, len);
    }

    fn remember_large(&mut self, payload: &Bytes, len: usize) {
        let hold = |left| Self::PastLarge { _held: payload.clone(), left };
        match self {
            // At most what came of it with its header was free when it was complete, which is a chunk.
            Self::Chunk if len > CHUNK => *self = hold(CHUNK),
            Self::Chunk => {}
            Self::PastLarge { .. } | Self::Large { .. } if len > CHUNK => *self = Self::Large { len },
            // Memory that is used again may be twice as large as what is in it.
            Self::Large { len } => {
                let left = 2 * *len + CHUNK;
                *self = hold(left);
            }
            Self::PastLarge { left, .. } => {
                // A header has two bytes at least.
                *left = left.saturating_sub(len + 2);
                if *left == 0 {
                    *self = Self::Chunk;
                }
            }
        }
    }
}
