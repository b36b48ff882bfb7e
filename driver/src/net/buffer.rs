//! What has been read from a socket and not been taken yet.
//!
//! Each thread keeps one buffer, which a connection has only from when it reads something until that has been taken: many
//! connections that are silent need none, and one that is busy reads much at a time.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_io::AsyncRead;

thread_local! {
    /// The thread's buffer, while no connection has it.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
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
    /// What came together with the answer to the upgrade.
    Prefix(Bytes),
    /// From `start` up to `end`, which it does not reach.
    Read {
        bytes: Vec<u8>,
        start: usize,
        end: usize,
    },
}

impl ReadBuffer {
    /// One that first gives out `prefix`.
    pub(crate) fn new(size: usize, prefix: Bytes) -> Self {
        let held = if prefix.is_empty() { Held::Nothing } else { Held::Prefix(prefix) };
        Self { size, held }
    }

    /// Reads into `into`: what is held, or else from `socket`; past this buffer, if `into` is as large.
    pub(crate) fn poll_read<S: AsyncRead + Unpin>(
        &mut self,
        socket: &mut S,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if let Held::Nothing = self.held {
            if into.len() >= self.size {
                return Pin::new(socket).poll_read(cx, into);
            }
            ready!(self.poll_fill(socket, cx))?;
        }
        Poll::Ready(Ok(self.take(into)))
    }

    /// Reads from `socket`, for later. Nothing is held after it if that has ended.
    fn poll_fill<S: AsyncRead + Unpin>(
        &mut self,
        socket: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let mut bytes = SPARE.take();
        // Another connection of the thread may read more at a time.
        if bytes.len() < self.size {
            bytes.resize(self.size, 0);
        }
        let read = Pin::new(socket).poll_read(cx, &mut bytes[..self.size]);
        if let Poll::Ready(Ok(end @ 1..)) = read {
            self.held = Held::Read { bytes, start: 0, end };
        } else {
            SPARE.set(bytes);
        }
        read.map_ok(|_| ())
    }

    fn take(&mut self, into: &mut [u8]) -> usize {
        match &mut self.held {
            Held::Nothing => 0,
            Held::Prefix(prefix) => {
                let len = prefix.len().min(into.len());
                into[..len].copy_from_slice(&prefix.split_to(len));
                if prefix.is_empty() {
                    self.held = Held::Nothing;
                }
                len
            }
            Held::Read { bytes, start, end } => {
                let len = (*end - *start).min(into.len());
                into[..len].copy_from_slice(&bytes[*start..*start + len]);
                *start += len;
                if start == end {
                    SPARE.set(std::mem::take(bytes));
                    self.held = Held::Nothing;
                }
                len
            }
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

    #[test]
    fn a_large_read_goes_past_it() {
        let (mut buffer, mut socket) = (ReadBuffer::new(SIZE, Bytes::new()), socket(20));
        assert_eq!(read(&mut buffer, &mut socket, 2), Some(vec![0, 1]));
        assert_eq!(read(&mut buffer, &mut socket, 100), Some((2..16).collect()), "what is held comes first");
        assert_eq!(read(&mut buffer, &mut socket, 100), Some((16..20).collect()));
        assert_eq!(socket.asked, [SIZE, 100]);
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
        SPARE.set(vec![0; 1000]);
        let mut sockets: Vec<_> =
            (0..100).map(|_| (ReadBuffer::new(SIZE, Bytes::new()), socket(3))).collect();
        for (buffer, socket) in &mut sockets {
            assert_eq!(read(buffer, socket, 3), Some(vec![0, 1, 2]));
            assert_eq!(read(buffer, socket, 3), None);
        }
        assert!(sockets.iter().all(|(buffer, _)| matches!(buffer.held, Held::Nothing)));
        assert_eq!(SPARE.take().len(), 1000, "it is used again");
    }
}
