//! Byte streams below the frames: TCP, or TLS over TCP, possibly through a proxy.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_io::{AsyncRead, AsyncWrite};
use futures_rustls::client::TlsStream;

/// An open socket.
pub(crate) enum Socket<S> {
    Plain(S),
    /// Boxed, since the state of TLS has over a kilobyte.
    Tls(Box<TlsStream<S>>),
}

impl<S> Socket<Prefixed<S>> {
    /// Returns the number of bytes received from the network, below TLS.
    pub(crate) fn bytes_read(&self) -> u64 {
        match self {
            Self::Plain(stream) => stream.bytes_read(),
            Self::Tls(stream) => stream.get_ref().0.bytes_read(),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Socket<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_close(cx),
            Self::Tls(stream) => Pin::new(stream).poll_close(cx),
        }
    }
}

/// A stream with bytes before it that were read already.
pub(crate) struct Prefixed<S> {
    prefix: Bytes,
    stream: S,
    /// Number of bytes read from the stream.
    read: u64,
}

impl<S> Prefixed<S> {
    pub(crate) const fn new(prefix: Bytes, stream: S) -> Self {
        Self { prefix, stream, read: 0 }
    }

    /// Returns the number of bytes read from the stream so far, without the prefix.
    pub(crate) const fn bytes_read(&self) -> u64 {
        self.read
    }

    /// Returns the unread part of the prefix, and the stream.
    pub(crate) fn into_parts(self) -> (Bytes, S) {
        (self.prefix, self.stream)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Prefixed<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.prefix.is_empty() {
            let read = ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
            self.read += read as u64;
            return Poll::Ready(Ok(read));
        }
        let part = self.prefix.len().min(buf.len());
        buf[..part].copy_from_slice(&self.prefix.split_to(part));
        if self.prefix.is_empty() {
            // An empty slice would keep the whole memory alive.
            self.prefix = Bytes::new();
        }
        Poll::Ready(Ok(part))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Prefixed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}
