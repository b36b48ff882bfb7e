//! The memory for reading, which belongs to the thread.

use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Buf, Bytes};

/// A payload that is kept pins no more memory than as many like it take.
pub(super) const SHARERS: usize = 16;

/// How much memory a thread keeps, in bytes, since payloads of some of it may still be held: what is being read, what waits
/// in the two queues, and what the consumer has taken, of a MiB each. To take it from the operating
/// system anew costs more than all that is done with the messages in it.
const KEPT: usize = 4 * 1024 * 1024;

/// The longest piece that is kept, in bytes.
const KEPT_LONGEST: usize = 1024 * 1024;

thread_local! {
    static KEPT_HERE: Cell<Kept> = const { Cell::new(Kept(Vec::new())) };
}

/// Memory from what the thread keeps, or new: of `size` bytes, or up to twice as much, that nobody else has and that begins
/// with `held`, which is no longer.
pub(crate) fn take(size: usize, held: &[u8]) -> Memory {
    let mut kept = KEPT_HERE.take();
    let memory = kept.take(size, held);
    KEPT_HERE.set(kept);
    memory
}

/// Keeps memory for later, though payloads may be parts of it.
pub(crate) fn keep(memory: Memory) {
    let mut kept = KEPT_HERE.take();
    kept.keep(memory);
    KEPT_HERE.set(kept);
}

/// What was read into, the last at the end.
#[derive(Default)]
struct Kept(Vec<Memory>);

impl Kept {
    fn take(&mut self, size: usize, held: &[u8]) -> Memory {
        let fits = |memory: &mut Memory| memory.len() <= 2 * size && memory.bytes(size).is_some();
        let mut memory = match self.0.iter_mut().rposition(fits) {
            Some(at) => self.0.remove(at),
            None => Memory::new(size),
        };
        if let Some(bytes) = memory.bytes(size) {
            bytes[..held.len()].copy_from_slice(held);
        }
        memory
    }

    fn keep(&mut self, memory: Memory) {
        if memory.len() > KEPT_LONGEST {
            return;
        }
        self.0.push(memory);
        while self.size() > KEPT {
            self.0.remove(0);
        }
    }

    fn size(&self) -> usize {
        self.0.iter().map(Memory::len).sum()
    }
}

/// What a socket is read into, once, and long payloads are parts of from then on.
#[derive(Clone)]
pub(crate) struct Memory(Arc<Vec<u8>>);

impl Memory {
    fn new(size: usize) -> Self {
        Self(Arc::new(vec![0; size]))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// To write to: if it is of `size` bytes at least, and no payload is part of it.
    pub(crate) fn bytes(&mut self, size: usize) -> Option<&mut [u8]> {
        Arc::get_mut(&mut self.0).filter(|bytes| bytes.len() >= size).map(Vec::as_mut_slice)
    }

    /// To read.
    #[inline]
    pub(crate) fn held(&self) -> &[u8] {
        &self.0
    }

    /// The payload there: copied if it would pin too much.
    pub(crate) fn payload(&self, at: Range<usize>) -> Bytes {
        if at.len() < self.len() / SHARERS {
            return Bytes::copy_from_slice(&self.0[at]);
        }
        let mut payload = Bytes::from_owner(self.clone());
        payload.advance(at.start);
        payload.truncate(at.len());
        payload
    }
}

impl AsRef<[u8]> for Memory {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_payload_pins_no_more_than_sixteen_like_it() {
        let memory = Memory::new(SHARERS * 4096);
        for (len, is_part) in [(4095, false), (4096, true)] {
            let payload = memory.payload(9..9 + len);
            assert_eq!(payload, memory.held()[9..9 + len]);
            assert_eq!(memory.held().as_ptr_range().contains(&payload.as_ptr()), is_part, "{len}");
        }
        let mut kept = Kept::default();
        kept.keep(Memory::new(64 * 1024));
        assert_eq!(kept.take(32 * 1024 - 1, &[]).len(), 32 * 1024 - 1, "what is kept would be too much");
        assert_eq!(kept.take(32 * 1024, &[]).len(), 64 * 1024);
    }

    #[test]
    fn memory_is_used_again_once_its_payloads_are_gone() {
        const SIZE: usize = 64 * 1024;
        const PIECES: usize = KEPT / SIZE;
        let mut kept = Kept::default();
        let mut read = || {
            let memory = kept.take(SIZE, &[]);
            let payload = memory.payload(2..SIZE);
            kept.keep(memory);
            payload
        };
        let payloads: Vec<_> = (0..PIECES + 2).map(|_| read()).collect();
        for (at, payload) in payloads.iter().enumerate() {
            assert!(payloads[..at].iter().all(|earlier| earlier.as_ptr() != payload.as_ptr()));
        }
        let last = payloads[PIECES + 1].as_ptr();
        drop(payloads);
        assert_eq!(read().as_ptr(), last, "the one that the processor has at hand");
        assert_eq!(kept.0.len(), PIECES);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut kept = Kept::default();
        for size in [1000, KEPT_LONGEST, KEPT_LONGEST + 1] {
            kept.keep(Memory::new(size));
        }
        assert_eq!(kept.0.iter().map(Memory::len).collect::<Vec<_>>(), [1000, 1 << 20]);
        (0..9).for_each(|_| kept.keep(Memory::new(1 << 20)));
        assert_eq!(kept.0.iter().map(Memory::len).collect::<Vec<_>>(), [1 << 20; KEPT >> 20]);
    }

    #[test]
    fn memory_begins_with_what_is_held() {
        let mut kept = Kept::default();
        let mut memory = kept.take(8, b"abc");
        assert_eq!(memory.held()[..3], *b"abc");
        assert!(memory.bytes(8).is_some());
        assert!(memory.bytes(9).is_none(), "too short");
        let payload = memory.payload(0..2);
        assert!(memory.bytes(8).is_none(), "part of it is a payload");
        drop(payload);
        assert!(memory.bytes(8).is_some());
    }
}
