//! A polled socket, as tungstenite wants it: one that would block.

use std::io::{self, ErrorKind, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};
use tungstenite::Error;

use super::buffer::ReadBuffer;

/// A socket during one poll. Whatever would block wakes that poll's task, reading as well as writing.
pub(crate) struct Polled<'a, 'b, S> {
    pub(crate) socket: &'a mut S,
    pub(crate) buffer: &'a mut ReadBuffer,
    pub(crate) cx: &'a mut Context<'b>,
    /// How many bytes may still be read. At 0 reading would block, and wakes nobody.
    pub(crate) left: u64,
}

impl<S: AsyncRead + Unpin> Read for Polled<'_, '_, S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).map_or(into.len(), |left| left.min(into.len()));
        if most == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        let read = would_block(self.buffer.poll_read(self.socket, self.cx, &mut into[..most]))?;
        self.left -= read as u64;
        Ok(read)
    }
}

impl<S: AsyncWrite + Unpin> Write for Polled<'_, '_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        would_block(Pin::new(&mut *self.socket).poll_write(self.cx, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        would_block(Pin::new(&mut *self.socket).poll_flush(self.cx))
    }
}

/// No socket at all, where there is no task to wake: a frame that is written to it waits in tungstenite's buffer.
pub(crate) struct Nowhere;

impl Read for Nowhere {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }
}

impl Write for Nowhere {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(ErrorKind::WouldBlock.into())
    }
}

fn would_block<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
    match poll {
        Poll::Ready(result) => result,
        Poll::Pending => Err(ErrorKind::WouldBlock.into()),
    }
}

/// What tungstenite says, as a poll.
#[inline]
pub(crate) fn poll<T>(result: tungstenite::Result<T>) -> Poll<tungstenite::Result<T>> {
    match result {
        Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => Poll::Pending,
        other => Poll::Ready(other),
    }
}
