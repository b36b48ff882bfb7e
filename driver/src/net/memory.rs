//! The memory for reading, which belongs to the thread.

use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};

/// A payload that is kept pins no more memory than as many like it take.
const SHARERS: usize = 16;

/// Payloads up to this long are copied into memory that they share, in bytes.
pub(crate) const SHARES: usize = 2 * 1024;

/// The least memory to share, in bytes. Shorter payloads pin that.
const SHARED_LEAST: usize = 4 * 1024;

/// The most, in bytes.
const SHARED_MOST: usize = 16 * 1024;

/// How much memory a thread keeps, in bytes, since payloads of some of it may still be held. To take it from the operating
/// system anew costs more than all that is done with the messages in it.
const KEPT: usize = 2 * 1024 * 1024;

/// The longest piece that is kept, in bytes.
const KEPT_LONGEST: usize = 1024 * 1024;

thread_local! {
    static KEPT_HERE: Cell<Kept> = const { Cell::new(Kept(Vec::new())) };
    static SHARED_HERE: Cell<Shared> = const { Cell::new(Shared(None)) };
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

/// What short payloads are copied to.
#[derive(Default)]
pub(crate) struct Shared(Option<BytesMut>);

impl Shared {
    /// The thread's.
    pub(crate) fn of_thread() -> Self {
        SHARED_HERE.take()
    }

    /// Gives it back to the thread, which may have that of another connection by now.
    pub(crate) fn give_back(self) {
        SHARED_HERE.set(self);
    }

    /// Copies a short payload.
    #[inline]
    pub(crate) fn copy(&mut self, payload: &[u8]) -> Bytes {
        let shared = match &mut self.0 {
            Some(shared) if shared.capacity() >= payload.len() => shared,
            spent => spent.insert(shared_by(payload.len())),
        };
        shared.extend_from_slice(payload);
        shared.split().freeze()
    }
}

/// Memory for a payload of `len` bytes and others.
#[cold]
fn shared_by(len: usize) -> BytesMut {
    BytesMut::with_capacity((SHARERS * len).clamp(SHARED_LEAST, SHARED_MOST))
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

    /// How many payloads of `len` bytes lie side by side at most.
    fn together(len: usize) -> usize {
        let mut shared = Shared::default();
        let payloads: Vec<_> = (0..2000).map(|_| shared.copy(&vec![7; len])).collect();
        let pairs = payloads.windows(2).collect::<Vec<_>>();
        let runs = pairs.split(|pair| pair[0].as_ptr_range().end != pair[1].as_ptr());
        runs.map(|run| run.len() + 1).max().unwrap()
    }

    #[test]
    fn a_short_payload_pins_no_more_than_sixteen_like_it() {
        assert_eq!(together(5), SHARED_LEAST / 5);
        assert_eq!(together(500), SHARERS);
        assert_eq!(together(SHARES), SHARED_MOST / SHARES);
    }

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
        assert_eq!(kept.0.iter().map(Memory::len).collect::<Vec<_>>(), [1 << 20; 2]);
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
