//! What has been read from a socket and not been taken yet.
//!
//! Each thread keeps one block of memory, which a connection has only from when it reads something until that has been taken:
//! many connections that are silent need none, and one that is busy reads much at a time.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use futures_io::AsyncRead;

/// A payload that is kept pins no more memory than as many like it take.
const SHARERS: usize = 16;

/// Payloads up to this long are copied into memory that they share, in bytes. The most that [`ReadBuffer::poll_more`] need
/// hold is such a payload with its header.
pub(crate) const SHARES: usize = 2 * 1024;

/// The least memory to share, in bytes. Shorter payloads pin that.
const SHARED_LEAST: usize = 4 * 1024;

/// The most, in bytes.
const SHARED_MOST: usize = 16 * 1024;

/// Pieces of memory that a thread keeps, since payloads of some may still be held. To take one from the operating system anew
/// costs more than all that is done with the messages in it.
const KEPT: usize = 4;

thread_local! {
    /// The thread's memory, while no connection has it.
    static SPARE: Cell<Spare> = const { Cell::new(Spare { memories: Vec::new(), shared: None }) };
}

/// The memory of a thread.
#[derive(Default)]
struct Spare {
    /// What sockets have been read into, the last at the end.
    memories: Vec<Memory>,
    /// What short payloads are copied to.
    shared: Option<BytesMut>,
}

impl Spare {
    /// Memory of `size` bytes at least, that nobody else has.
    fn take(&mut self, size: usize) -> Memory {
        match self.memories.iter_mut().rposition(|memory| memory.bytes(size).is_some()) {
            Some(at) => self.memories.remove(at),
            None => Memory(Arc::new(vec![0; size])),
        }
    }

    /// The same, that begins with `held`.
    fn take_with(&mut self, size: usize, held: &[u8]) -> Memory {
        let mut memory = self.take(size);
        if let Some(bytes) = memory.bytes(held.len()) {
            bytes[..held.len()].copy_from_slice(held);
        }
        memory
    }

    fn keep(&mut self, memory: Memory) {
        if self.memories.len() == KEPT {
            self.memories.remove(0);
        }
        self.memories.push(memory);
    }

    /// Copies a short payload.
    #[inline]
    fn copy(&mut self, payload: &[u8]) -> Bytes {
        let shared = match &mut self.shared {
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
struct Memory(Arc<Vec<u8>>);

impl AsRef<[u8]> for Memory {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Memory {
    /// To write to: if it is of `size` bytes at least, and no payload is part of it.
    fn bytes(&mut self, size: usize) -> Option<&mut [u8]> {
        Arc::get_mut(&mut self.0).filter(|bytes| bytes.len() >= size).map(Vec::as_mut_slice)
    }
}

/// Reads a socket in large pieces, and gives them out in small ones.
pub(crate) struct ReadBuffer {
    /// How much is read at a time, in bytes.
    size: usize,
    held: Held,
}

/// What there is.
enum Held {
    Nothing,
    /// What came together with the answer to the upgrade, or the part of a frame whose rest has not come.
    Part(Bytes),
    /// From `start` up to `end`, which it does not reach.
    Read {
        memory: Memory,
        start: usize,
        end: usize,
        spare: Spare,
    },
}

impl ReadBuffer {
    /// One that first gives out `prefix`.
    pub(crate) fn new(size: usize, prefix: Bytes) -> Self {
        let held = if prefix.is_empty() { Held::Nothing } else { Held::Part(prefix) };
        Self { size, held }
    }

    /// What there is to take.
    #[inline]
    pub(crate) fn held(&self) -> &[u8] {
        match &self.held {
            Held::Nothing => &[],
            Held::Part(part) => part,
            Held::Read { memory, start, end, .. } => &memory.0[*start..*end],
        }
    }

    /// Reads into `into`: what is held, or else from `socket`.
    pub(crate) fn poll_read<S: AsyncRead + Unpin>(
        &mut self,
        socket: &mut S,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if let Held::Nothing = self.held {
            ready!(self.poll_more(socket, cx))?;
        }
        let held = self.held();
        let len = held.len().min(into.len());
        into[..len].copy_from_slice(&held[..len]);
        self.skip(len);
        Poll::Ready(Ok(len))
    }

    /// Reads from `socket`, behind what is held. Gives how much; 0 if that has ended.
    pub(crate) fn poll_more<S: AsyncRead + Unpin>(
        &mut self,
        socket: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let held = self.held().len();
        // What is held is part of a frame; or the beginning of what came with the upgrade's answer, which is not as long.
        let size = self.size.max(2 * held);
        let (mut memory, spare) = self.memory(size);
        let bytes = memory.bytes(size).expect("nobody else has it");
        let read = Pin::new(socket).poll_read(cx, &mut bytes[held..size]);
        if let Poll::Ready(Ok(read @ 1..)) = read {
            self.held = Held::Read { memory, start: 0, end: held + read, spare };
            return Poll::Ready(Ok(read));
        }
        // A connection that waits has none of the thread's memory.
        if held > 0 {
            self.held = Held::Part(Bytes::copy_from_slice(&bytes[..held]));
        }
        give_back(memory, spare);
        read
    }

    /// Memory of `size` bytes at least that begins with what is held, and what else there is. Nothing is held after it.
    fn memory(&mut self, size: usize) -> (Memory, Spare) {
        match std::mem::replace(&mut self.held, Held::Nothing) {
            Held::Nothing => {
                let mut spare = SPARE.take();
                (spare.take(size), spare)
            }
            Held::Part(part) => {
                let mut spare = SPARE.take();
                (spare.take_with(size, &part), spare)
            }
            Held::Read { mut memory, start, end, mut spare } => match memory.bytes(size) {
                Some(bytes) => {
                    bytes.copy_within(start..end, 0);
                    (memory, spare)
                }
                None => {
                    let other = spare.take_with(size, &memory.0[start..end]);
                    spare.keep(memory);
                    (other, spare)
                }
            },
        }
    }

    /// Takes a payload of `len` bytes behind a header of `header` bytes; all of them are held.
    #[inline]
    pub(crate) fn take(&mut self, header: usize, len: usize) -> Bytes {
        let payload = match &mut self.held {
            Held::Read { memory, start, spare, .. } if len <= SHARES => {
                let from = *start + header;
                spare.copy(&memory.0[from..from + len])
            }
            Held::Read { memory, start, .. } if len >= memory.0.len() / SHARERS => {
                let mut payload = Bytes::from_owner(memory.clone());
                payload.advance(*start + header);
                payload.truncate(len);
                payload
            }
            Held::Nothing | Held::Part(_) | Held::Read { .. } => {
                Bytes::copy_from_slice(&self.held()[header..header + len])
            }
        };
        self.skip(header + len);
        payload
    }

    /// Forgets `len` bytes, which are held.
    #[inline]
    pub(crate) fn skip(&mut self, len: usize) {
        match &mut self.held {
            Held::Nothing => {}
            Held::Part(part) => {
                part.advance(len);
                if part.is_empty() {
                    self.held = Held::Nothing;
                }
            }
            Held::Read { start, end, .. } => {
                *start += len;
                if start == end {
                    self.release();
                }
            }
        }
    }

    /// All that was read is taken.
    fn release(&mut self) {
        if let Held::Read { memory, spare, .. } = std::mem::replace(&mut self.held, Held::Nothing) {
            give_back(memory, spare);
        }
    }
}

/// The thread may have another connection's by now, which then is too many.
fn give_back(memory: Memory, mut spare: Spare) {
    spare.keep(memory);
    SPARE.set(spare);
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    const SIZE: usize = 16;

    /// Gives what it has in reads as long as they are asked for, and then nothing for ever.
    struct Socket {
        bytes: Vec<u8>,
        asked: Vec<usize>,
    }

    impl AsyncRead for Socket {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            into: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            self.asked.push(into.len());
            let len = self.bytes.len().min(into.len());
            if len == 0 {
                return Poll::Pending;
            }
            into[..len].copy_from_slice(&self.bytes[..len]);
            self.bytes.drain(..len);
            Poll::Ready(Ok(len))
        }
    }

    fn socket(len: u8) -> Socket {
        Socket { bytes: (0..len).collect(), asked: Vec::new() }
    }

    fn read(buffer: &mut ReadBuffer, socket: &mut Socket, len: usize) -> Option<Vec<u8>> {
        let mut into = vec![0; len];
        match buffer.poll_read(socket, &mut Context::from_waker(Waker::noop()), &mut into) {
            Poll::Ready(read) => {
                into.truncate(read.unwrap());
                Some(into)
            }
            Poll::Pending => None,
        }
    }

    fn more(buffer: &mut ReadBuffer, socket: &mut Socket) -> Option<usize> {
        match buffer.poll_more(socket, &mut Context::from_waker(Waker::noop())) {
            Poll::Ready(read) => Some(read.unwrap()),
            Poll::Pending => None,
        }
    }

    #[test]
    fn one_read_of_the_socket_serves_many_small_ones() {
        let (mut buffer, mut socket) = (ReadBuffer::new(SIZE, Bytes::new()), socket(20));
        let mut all = Vec::new();
        while let Some(bytes) = read(&mut buffer, &mut socket, 3) {
            all.extend(bytes);
        }
        assert_eq!(all, (0..20).collect::<Vec<_>>());
        assert_eq!(socket.asked, [SIZE, SIZE, SIZE]);
    }

    /// What a frame begins with stays, and its rest comes behind it.
    #[test]
    fn more_is_read_behind_what_is_held() {
        let (mut buffer, mut socket) = (ReadBuffer::new(SIZE, Bytes::from_static(b"ab")), socket(15));
        assert_eq!(more(&mut buffer, &mut socket), Some(SIZE - 2));
        assert_eq!(&buffer.take(3, 10)[..], (1..11).collect::<Vec<_>>());
        assert_eq!(more(&mut buffer, &mut socket), Some(1));
        assert_eq!(buffer.held(), [11, 12, 13, 14]);
        assert_eq!(more(&mut buffer, &mut socket), None);
        assert!(matches!(buffer.held, Held::Part(_)), "while it waits the thread's memory is for others");
        assert_eq!(buffer.held(), [11, 12, 13, 14]);
        buffer.skip(4);
        assert!(matches!(buffer.held, Held::Nothing));
    }

    #[test]
    fn a_long_prefix_has_room_for_more_behind_it() {
        let prefix = Bytes::from(vec![7; 5 * SIZE]);
        let (mut buffer, mut socket) = (ReadBuffer::new(SIZE, prefix), socket(3));
        assert_eq!(more(&mut buffer, &mut socket), Some(3));
        assert_eq!(&buffer.take(5 * SIZE, 3)[..], [0, 1, 2]);
    }

    /// A buffer that holds `len` bytes, read at once.
    fn full(len: usize) -> ReadBuffer {
        let mut buffer = ReadBuffer::new(len, Bytes::new());
        let mut socket = Socket { bytes: vec![7; len], asked: Vec::new() };
        assert_eq!(more(&mut buffer, &mut socket), Some(len));
        buffer
    }

    /// How many payloads of `len` bytes lie side by side at most.
    fn together(len: usize) -> usize {
        const COUNT: usize = 2000;
        SPARE.set(Spare::default());
        let mut buffer = full(COUNT * (2 + len));
        let memory = buffer.held().as_ptr_range();
        let payloads: Vec<_> = (0..COUNT).map(|_| buffer.take(2, len)).collect();
        assert!(!payloads.iter().any(|payload| memory.contains(&payload.as_ptr())), "the thread's memory");
        let pairs = payloads.windows(2).collect::<Vec<_>>();
        let runs = pairs.split(|pair| pair[0].as_ptr_range().end != pair[1].as_ptr());
        runs.map(|run| run.len() + 1).max().unwrap()
    }

    #[test]
    fn a_payload_pins_no_more_than_sixteen_like_it() {
        assert_eq!(together(5), SHARED_LEAST / 5);
        assert_eq!(together(500), SHARERS);
        assert_eq!(together(SHARES), SHARED_MOST / SHARES);
        assert_eq!(together(SHARES + 1), 1, "its own memory");
        for (len, is_part) in [(4095, false), (4096, true)] {
            let mut buffer = full(SHARERS * 4096);
            let memory = buffer.held().as_ptr_range();
            assert_eq!(memory.contains(&buffer.take(2, len).as_ptr()), is_part, "{len}");
        }
    }

    /// What payloads are parts of is not written to; what they were parts of is used again.
    #[test]
    fn memory_is_read_into_again_once_its_payloads_are_gone() {
        const LEN: usize = 8192;
        SPARE.set(Spare::default());
        let read = || full(LEN).take(2, LEN - 2);
        let payloads: Vec<_> = (0..KEPT + 2).map(|_| read()).collect();
        for (at, payload) in payloads.iter().enumerate() {
            assert!(payloads[..at].iter().all(|earlier| earlier.as_ptr() != payload.as_ptr()));
        }
        let last = payloads[KEPT + 1].as_ptr();
        drop(payloads);
        assert_eq!(read().as_ptr(), last, "it is the one that the processor has at hand");
        let spare = SPARE.take();
        assert_eq!(spare.memories.len(), KEPT);
    }

    /// What is held of the next frame goes along.
    #[test]
    fn more_is_read_into_other_memory_while_a_payload_is_part_of_the_first() {
        const LEN: usize = 8192;
        let mut buffer = ReadBuffer::new(LEN, Bytes::new());
        let bytes: Vec<u8> = (0..2 * LEN).map(|at| (at % 251) as u8).collect();
        let mut socket = Socket { bytes: bytes.clone(), asked: Vec::new() };
        assert_eq!(more(&mut buffer, &mut socket), Some(LEN));
        let first = buffer.take(0, 6000);
        assert_eq!(more(&mut buffer, &mut socket), Some(6000));
        assert_eq!(first, bytes[..6000]);
        assert_eq!(buffer.held(), &bytes[6000..6000 + LEN]);
        drop(first);
        buffer.skip(8000);
        assert_eq!(more(&mut buffer, &mut socket), Some(2 * LEN - 6000 - LEN));
        assert_eq!(buffer.held(), &bytes[14000..]);
    }

    #[test]
    fn what_came_with_the_upgrade_is_first() {
        let prefix = Bytes::from_static(b"abc");
        let (mut buffer, mut socket) = (ReadBuffer::new(SIZE, prefix), socket(1));
        assert_eq!(read(&mut buffer, &mut socket, 2), Some(b"ab".to_vec()));
        assert_eq!(read(&mut buffer, &mut socket, 2), Some(b"c".to_vec()));
        assert_eq!(read(&mut buffer, &mut socket, 2), Some(vec![0]));
    }

    /// Whatever there are of them: only those that hold something have memory.
    #[test]
    fn silent_connections_have_no_buffer() {
        // The thread's one, that of a connection which reads more at a time.
        SPARE.set(Spare { memories: vec![Memory(Arc::new(vec![0; 1000]))], shared: None });
        let mut sockets: Vec<_> =
            (0..100).map(|_| (ReadBuffer::new(SIZE, Bytes::new()), socket(3))).collect();
        for (buffer, socket) in &mut sockets {
            assert_eq!(read(buffer, socket, 3), Some(vec![0, 1, 2]));
            assert_eq!(read(buffer, socket, 3), None);
        }
        assert!(sockets.iter().all(|(buffer, _)| matches!(buffer.held, Held::Nothing)));
        assert_eq!(SPARE.take().memories[0].0.len(), 1000, "it is used again");
    }
}
