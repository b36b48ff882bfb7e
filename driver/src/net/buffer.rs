//! What has been read from a socket and not been taken yet.
//!
//! The memory for it belongs to the thread. A connection has some only from when it reads something until that has been taken:
//! many connections that are silent need none, and one that is busy reads much at a time.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures_io::AsyncRead;

use super::memory::{self, Memory};
use super::shared::{SHARES, Shared};

/// From this much on, in bytes, a long payload is read straight into its memory.
pub(crate) const STRAIGHT: usize = 64 * 1024;

/// How much is read at a time if no more comes, in bytes.
const LEAST: usize = 64 * 1024;

/// Reads a socket in large pieces, and gives them out in small ones.
pub(crate) struct ReadBuffer {
    /// How much is read at a time at most, in bytes,
    most: usize,
    /// and next: the more the more comes.
    next: usize,
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
        shared: Shared,
    },
}

impl ReadBuffer {
    /// One that first gives out `prefix`.
    pub(crate) fn new(most: usize, prefix: Bytes) -> Self {
        let held = if prefix.is_empty() { Held::Nothing } else { Held::Part(prefix) };
        Self { most, next: most.min(LEAST), held }
    }

    /// What there is to take.
    #[inline]
    pub(crate) fn held(&self) -> &[u8] {
        match &self.held {
            Held::Nothing => &[],
            Held::Part(part) => part,
            Held::Read { memory, start, end, .. } => &memory.held()[*start..*end],
        }
    }

    /// Reads into `into`: what is held, or else from `socket`; past this buffer, if `into` is long.
    pub(crate) fn poll_read<S: AsyncRead + Unpin>(
        &mut self,
        socket: &mut S,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if let Held::Nothing = self.held {
            if into.len() >= STRAIGHT {
                return Pin::new(socket).poll_read(cx, into);
            }
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
        let size = self.next.max(2 * held);
        let mut memory = self.memory(size);
        let bytes = memory.bytes(size).expect("nobody else has it");
        let read = Pin::new(socket).poll_read(cx, &mut bytes[held..size]);
        if let Poll::Ready(Ok(read @ 1..)) = read {
            self.held = Held::Read { memory, start: 0, end: held + read, shared: Shared::of_thread() };
            if held + read == size {
                self.next = self.most.min(2 * self.next);
            } else if read < self.next / 4 {
                self.next = self.most.min(LEAST).max(self.next / 2);
            }
            return Poll::Ready(Ok(read));
        }
        // A connection that waits has none of the thread's memory.
        if held > 0 {
            self.held = Held::Part(Bytes::copy_from_slice(&bytes[..held]));
        }
        memory::keep(memory);
        read
    }

    /// Memory of `size` bytes at least that begins with what is held. Nothing is held after it.
    fn memory(&mut self, size: usize) -> Memory {
        match std::mem::replace(&mut self.held, Held::Nothing) {
            Held::Nothing => memory::take(size, &[]),
            Held::Part(part) => memory::take(size, &part),
            Held::Read { mut memory, start, end, shared } => {
                shared.give_back();
                if let Some(bytes) = memory.bytes(size) {
                    bytes.copy_within(start..end, 0);
                    return memory;
                }
                let other = memory::take(size, &memory.held()[start..end]);
                memory::keep(memory);
                other
            }
        }
    }

    /// Takes a payload of `len` bytes behind a header of `header` bytes; all of them are held.
    #[inline]
    pub(crate) fn take(&mut self, header: usize, len: usize) -> Bytes {
        let payload = match &mut self.held {
            Held::Nothing => Bytes::new(),
            Held::Part(part) => Bytes::copy_from_slice(&part[header..header + len]),
            Held::Read { memory, start, shared, .. } => {
                let at = *start + header..*start + header + len;
                if len <= SHARES { shared.copy(&memory.held()[at]) } else { memory.payload(at) }
            }
        };
        self.skip(header + len);
        payload
    }

    /// Takes what there is of a long payload of `len` bytes: memory for all of it, and how much of it is there.
    pub(crate) fn begin(&mut self, len: usize) -> (Memory, usize) {
        let part = self.held().len().min(len);
        let memory = memory::take(len, &self.held()[..part]);
        self.skip(part);
        (memory, part)
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
        if let Held::Read { memory, shared, .. } = std::mem::replace(&mut self.held, Held::Nothing) {
            memory::keep(memory);
            shared.give_back();
        }
    }
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
        let mut sockets: Vec<_> =
            (0..100).map(|_| (ReadBuffer::new(SIZE, Bytes::new()), socket(3))).collect();
        for (buffer, socket) in &mut sockets {
            assert_eq!(read(buffer, socket, 3), Some(vec![0, 1, 2]));
            assert_eq!(read(buffer, socket, 3), None);
        }
        assert!(sockets.iter().all(|(buffer, _)| matches!(buffer.held, Held::Nothing)));
    }

    #[test]
    fn what_was_read_into_is_read_into_again_however_short_it_is() {
        let mut reads = (0..2).map(|_| {
            let (mut buffer, mut socket) = (ReadBuffer::new(SIZE, Bytes::new()), socket(3));
            assert_eq!(more(&mut buffer, &mut socket), Some(3));
            let read_into = buffer.held().as_ptr();
            buffer.skip(3);
            // Whatever is made meanwhile has memory of its own.
            (read_into, vec![0_u8; SIZE])
        });
        let (first, second) = (reads.next().unwrap(), reads.next().unwrap());
        assert_eq!(first.0, second.0);
    }

    #[test]
    fn more_is_read_at_a_time_the_more_comes_and_less_again() {
        let mut buffer = ReadBuffer::new(4 * LEAST, Bytes::new());
        let mut socket = Socket { bytes: vec![7; 9 * LEAST], asked: Vec::new() };
        let mut take_all = |socket: &mut Socket| {
            while let Some(read) = more(&mut buffer, socket) {
                buffer.skip(read);
            }
        };
        take_all(&mut socket);
        for len in [LEAST, LEAST - 1, LEAST / 4, 1] {
            socket.bytes = vec![7; len];
            take_all(&mut socket);
        }
        let asked = socket.asked.iter().map(|asked| asked / LEAST).collect::<Vec<_>>();
        assert_eq!(asked, [1, 2, 4, 4, 4, 4, 4, 4, 2, 2, 1, 1, 1]);
    }

    /// What is held of it is there already, and what it does not need of the socket stays.
    #[test]
    fn a_long_payload_is_read_into_its_place() {
        const LONG: usize = 3 * STRAIGHT;
        let bytes: Vec<u8> = (0..LONG + 100).map(|at| (at % 251) as u8).collect();
        let (mut buffer, mut socket) =
            (ReadBuffer::new(1000, Bytes::new()), Socket { bytes: bytes.clone(), asked: Vec::new() });
        assert_eq!(more(&mut buffer, &mut socket), Some(1000));
        let (mut memory, mut filled) = buffer.begin(LONG);
        assert_eq!(filled, 1000);
        let mut cx = Context::from_waker(Waker::noop());
        while filled < LONG {
            let room = &mut memory.bytes(LONG).unwrap()[filled..LONG];
            let Poll::Ready(read) = buffer.poll_read(&mut socket, &mut cx, room) else { panic!("{filled}") };
            filled += read.unwrap();
        }
        assert_eq!(socket.asked, [1000, LONG - 1000]);
        assert_eq!(memory.held()[..LONG], bytes[..LONG]);
        assert_eq!(more(&mut buffer, &mut socket), Some(100));
    }
}
