//! The memory that short payloads are copied to, which belongs to the thread.

use std::cell::Cell;
use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::memory::SHARERS;

/// Payloads up to this long are copied into memory that they share, in bytes.
pub(crate) const SHARES: usize = 2 * 1024;

/// How long a piece of memory to share is, in bytes: the longest that is no more than [`SHARERS`] payloads take, or the
/// first. Shorter payloads pin that.
const SIZES: [usize; 3] = [4 * 1024, 8 * 1024, 16 * 1024];

/// How much of it a thread keeps, in bytes, since there may be payloads in it. With less than a queue and what the consumer
/// has taken hold together, glibc gives what is freed back to the operating system each time.
const SPENT: usize = 2 * 1024 * 1024;

/// How many pieces are looked at before a new one is made.
const LOOKS: usize = 2;

thread_local! {
    static SHARED_HERE: Cell<Shared> = const { Cell::new(Shared(None)) };
    static SPENT_HERE: Cell<Spent> = const { Cell::new(Spent([const { VecDeque::new() }; SIZES.len()])) };
}

/// What short payloads are copied to.
#[derive(Default)]
pub(crate) struct Shared(Option<Piece>);

/// One piece of memory to share.
struct Piece {
    /// What is left of it.
    room: BytesMut,
    /// Of [`SIZES`], which.
    size: usize,
}

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
        let piece = match &mut self.0 {
            Some(piece) if piece.room.capacity() >= payload.len() => piece,
            spent => {
                let next = next(spent.take(), payload.len());
                spent.insert(next)
            }
        };
        piece.room.extend_from_slice(payload);
        piece.room.split().freeze()
    }
}

/// Memory for a payload of `len` bytes and others.
#[cold]
fn next(spent: Option<Piece>, len: usize) -> Piece {
    let mut all = SPENT_HERE.take();
    if let Some(spent) = spent {
        all.keep(spent);
    }
    let next = all.next(len);
    SPENT_HERE.set(all);
    next
}

/// What has no room left, by its size, the first at the front: its payloads are gone before others.
#[derive(Default)]
struct Spent([VecDeque<BytesMut>; SIZES.len()]);

impl Spent {
    fn keep(&mut self, Piece { room, size }: Piece) {
        self.0[size].push_back(room);
        let bytes = |pieces: &VecDeque<BytesMut>, size| pieces.len() * size;
        while self.0.iter().zip(SIZES).map(|(pieces, size)| bytes(pieces, size)).sum::<usize>() > SPENT {
            let fullest = self.0.iter_mut().zip(SIZES).max_by_key(|(pieces, size)| bytes(pieces, *size));
            let Some((pieces, _)) = fullest else { return };
            pieces.pop_front();
        }
    }

    /// One that has no payloads any more, or a new one.
    fn next(&mut self, len: usize) -> Piece {
        let size = SIZES.iter().rposition(|size| *size <= SHARERS * len).unwrap_or(0);
        let pieces = &mut self.0[size];
        for _ in 0..LOOKS {
            let Some(mut room) = pieces.pop_front() else { break };
            if room.try_reclaim(SIZES[size]) {
                return Piece { room, size };
            }
            // It may be held for long: those behind it have their turn.
            pieces.push_back(room);
        }
        Piece { room: BytesMut::with_capacity(SIZES[size]), size }
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
        assert_eq!(together(5), SIZES[0] / 5);
        assert_eq!(together(SIZES[0] / SHARERS), SHARERS);
        assert_eq!(together(500), SIZES[0] / 500);
        assert_eq!(together(600), SIZES[1] / 600);
        assert_eq!(together(1024), SHARERS);
        assert_eq!(together(SHARES), SIZES[2] / SHARES);
    }

    /// Spends a piece of 16 KiB and gives its payloads.
    fn spend(spent: &mut Spent) -> Vec<Bytes> {
        let mut piece = spent.next(SHARES);
        let payloads = std::iter::from_fn(|| {
            (piece.room.capacity() >= SHARES).then(|| {
                piece.room.extend_from_slice(&[7; SHARES]);
                piece.room.split().freeze()
            })
        });
        let payloads = payloads.collect();
        spent.keep(piece);
        payloads
    }

    #[test]
    fn memory_is_shared_again_once_its_payloads_are_gone() {
        let mut spent = Spent::default();
        let (first, second) = (spend(&mut spent), spend(&mut spent));
        let used = [first[0].as_ptr(), second[0].as_ptr()];
        assert_ne!(used[0], used[1], "while there are payloads in it");
        drop(second);
        assert_eq!(spend(&mut spent)[0].as_ptr(), used[1], "whatever else is held");
        assert_eq!(first[7][..], [7; SHARES]);
        drop(first);
        let again = [spend(&mut spent), spend(&mut spent)].map(|payloads| payloads[0].as_ptr());
        assert!(used.iter().all(|used| again.contains(used)));
    }

    #[test]
    fn the_thread_keeps_what_is_spent() {
        let mut shared = Shared::default();
        let mut addresses = || {
            let payloads: Vec<_> = (0..13 * SIZES[2] / SHARES).map(|_| shared.copy(&[7; SHARES])).collect();
            payloads.iter().map(|payload| payload.as_ptr()).collect::<Vec<_>>()
        };
        let before = addresses();
        // Whatever is made meanwhile has memory of its own.
        let _other: Vec<_> = (0..100).map(|_| vec![0_u8; SIZES[2]]).collect();
        assert!(addresses().iter().all(|address| before.contains(address)));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut spent = Spent::default();
        let held: Vec<_> = (0..SPENT / SIZES[2] + 9).map(|_| spend(&mut spent)).collect();
        assert_eq!(spent.0.each_ref().map(VecDeque::len), [0, 0, SPENT / SIZES[2]]);
        assert!(held.iter().flatten().all(|payload| payload[..] == [7; SHARES]));
        (0..5).for_each(|_| spent.keep(Piece { room: BytesMut::new(), size: 0 }));
        assert_eq!(
            spent.0.each_ref().map(VecDeque::len),
            [5, 0, SPENT / SIZES[2] - 2],
            "of all sizes together"
        );
    }
}
