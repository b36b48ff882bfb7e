//! What has been read from a socket and not been taken yet.
//!
//! Each thread keeps one block of memory, which a connection has only from when it reads something until that has been taken:
//! many connections that are silent need none, and one that is busy reads much at a time.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use futures_io::AsyncRead;

/// Payloads up to this long share memory, in bytes, and longer ones have their own. The most that
/// [`ReadBuffer::poll_more`] need hold is such a payload with its header.
pub(crate) const SHARES: usize = 2 * 1024;

/// Shared memory has room for this many payloads as long as the first of them,
const SHARERS: usize = 16;
/// but is no less than this, in bytes,
const SHARED_LEAST: usize = 4 * 1024;
/// and no more than this: it is what one payload pins that is kept.
const SHARED_MOST: usize = 16 * 1024;

thread_local! {
    /// The thread's memory, while no connection has it.
    static SPARE: Cell<Block> = const { Cell::new(Block { bytes: Vec::new(), payloads: None }) };
}

/// The memory for reading.
#[derive(Default)]
struct Block {
    /// What a socket is read into.
    bytes: Vec<u8>,
    /// What short payloads are copied to.
    payloads: Option<BytesMut>,
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
        block: Block,
        start: usize,
        end: usize,
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
            Held::Read { block, start, end } => &block.bytes[*start..*end],
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
        let (mut block, held) = self.begin();
        // A part is at most as long as the answer to an upgrade.
        let size = self.size.max(2 * held);
        // Another connection of the thread may read more at a time.
        if block.bytes.len() < size {
            block.bytes.resize(size, 0);
        }
        let read = Pin::new(socket).poll_read(cx, &mut block.bytes[held..size]);
        if let Poll::Ready(Ok(read @ 1..)) = read {
            self.held = Held::Read { block, start: 0, end: held + read };
            return Poll::Ready(Ok(read));
        }
        // A connection that waits has no block.
        if held > 0 {
            self.held = Held::Part(Bytes::copy_from_slice(&block.bytes[..held]));
        }
        SPARE.set(block);
        read
    }

    /// A block of memory that begins with what was held, and how much that is.
    fn begin(&mut self) -> (Block, usize) {
        match std::mem::replace(&mut self.held, Held::Nothing) {
            Held::Nothing => (SPARE.take(), 0),
            Held::Part(part) => {
                let mut block = SPARE.take();
                if block.bytes.len() < part.len() {
                    block.bytes.resize(part.len(), 0);
                }
                block.bytes[..part.len()].copy_from_slice(&part);
                (block, part.len())
            }
            Held::Read { mut block, start, end } => {
                block.bytes.copy_within(start..end, 0);
                (block, end - start)
            }
        }
    }

    /// Takes a payload of `len` bytes behind a header of `header` bytes; all of them are held.
    #[inline]
    pub(crate) fn take(&mut self, header: usize, len: usize) -> Bytes {
        let payload = match &mut self.held {
            Held::Read { block, start, .. } if len <= SHARES => {
                let shared = match &mut block.payloads {
                    Some(shared) if shared.capacity() >= len => shared,
                    spent => spent.insert(shared_by(len)),
                };
                let from = *start + header;
                shared.extend_from_slice(&block.bytes[from..from + len]);
                shared.split().freeze()
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
            Held::Read { block, start, end } => {
                *start += len;
                if start == end {
                    SPARE.set(std::mem::take(block));
                    self.held = Held::Nothing;
                }
            }
        }
    }
}

/// Memory for a payload of `len` bytes and others.
#[cold]
fn shared_by(len: usize) -> BytesMut {
    BytesMut::with_capacity((SHARERS * len).clamp(SHARED_LEAST, SHARED_MOST))
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

    /// How many payloads of `len` bytes lie side by side at most.
    fn together(len: usize) -> usize {
        const COUNT: usize = 2000;
        let all = COUNT * (2 + len);
        let mut buffer = ReadBuffer::new(all, Bytes::new());
        let mut socket = Socket { bytes: vec![7; all], asked: Vec::new() };
        assert_eq!(more(&mut buffer, &mut socket), Some(all));
        let memory = buffer.held().as_ptr_range();
        let payloads: Vec<_> = (0..COUNT).map(|_| buffer.take(2, len)).collect();
        assert!(!payloads.iter().any(|payload| memory.contains(&payload.as_ptr())), "the thread's memory");
        let pairs = payloads.windows(2).collect::<Vec<_>>();
        let runs = pairs.split(|pair| pair[0].as_ptr_range().end != pair[1].as_ptr());
        runs.map(|run| run.len() + 1).max().unwrap()
    }

    #[test]
    fn a_payload_pins_little_more_than_a_few_like_it() {
        SPARE.set(Block::default());
        assert_eq!(together(5), SHARED_LEAST / 5);
        SPARE.set(Block::default());
        assert_eq!(together(500), SHARERS);
        SPARE.set(Block::default());
        assert_eq!(together(SHARES), SHARED_MOST / SHARES);
        assert_eq!(together(SHARES + 1), 1, "its own memory");
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
        SPARE.set(Block { bytes: vec![0; 1000], payloads: None });
        let mut sockets: Vec<_> =
            (0..100).map(|_| (ReadBuffer::new(SIZE, Bytes::new()), socket(3))).collect();
        for (buffer, socket) in &mut sockets {
            assert_eq!(read(buffer, socket, 3), Some(vec![0, 1, 2]));
            assert_eq!(read(buffer, socket, 3), None);
        }
        assert!(sockets.iter().all(|(buffer, _)| matches!(buffer.held, Held::Nothing)));
        assert_eq!(SPARE.take().bytes.len(), 1000, "it is used again");
    }
}
