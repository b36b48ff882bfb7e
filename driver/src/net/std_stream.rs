//! Sockets of the standard library, for runtimes that have nothing but a way to wait for readiness.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::marker::PhantomData;
use std::net::{Shutdown, TcpStream};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_io::{AsyncRead, AsyncWrite};

/// What a socket is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// It can be read from, or has ended or failed.
    Readable,
    /// It can be written to, or has failed.
    Writable,
}

/// A runtime that can tell when a socket is ready: `poll`, `epoll`, `kqueue`.
pub trait Readiness: Send + Unpin + 'static {
    /// Wakes `waker` once `socket` is ready for `interest`, or at any time before: it is looked at again.
    fn wake_when(socket: &Arc<TcpStream>, interest: Interest, waker: &Waker);
}

/// A socket that `R` waits for.
pub struct StdStream<R> {
    socket: Arc<TcpStream>,
    readiness: PhantomData<fn() -> R>,
}

impl<R: Readiness> StdStream<R> {
    /// Waits until `socket`, which is being connected, is; as [`Net::connected`](super::Net::connected) is asked to.
    ///
    /// # Errors
    /// Why it is not.
    pub async fn connected(socket: TcpStream) -> io::Result<Self> {
        let socket = Arc::new(socket);
        poll_fn(|cx| match (socket.take_error(), socket.peer_addr()) {
            (Ok(Some(error)) | Err(error), _) => Poll::Ready(Err(error)),
            (Ok(None), Err(error)) if error.kind() == io::ErrorKind::NotConnected => {
                R::wake_when(&socket, Interest::Writable, cx.waker());
                Poll::Pending
            }
            (Ok(None), Err(error)) => Poll::Ready(Err(error)),
            (Ok(None), Ok(_)) => Poll::Ready(Ok(())),
        })
        .await?;
        Ok(Self { socket, readiness: PhantomData })
    }

    fn unless_blocked<T>(
        &self,
        result: io::Result<T>,
        interest: Interest,
        cx: &Context<'_>,
    ) -> Poll<io::Result<T>> {
        match result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                R::wake_when(&self.socket, interest, cx.waker());
                Poll::Pending
            }
            result => Poll::Ready(result),
        }
    }
}

impl<R> fmt::Debug for StdStream<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StdStream").field(&self.socket).finish()
    }
}

impl<R: Readiness> AsyncRead for StdStream<R> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.unless_blocked((&*self.socket).read(buf), Interest::Readable, cx)
    }
}

impl<R: Readiness> AsyncWrite for StdStream<R> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.unless_blocked((&*self.socket).write(bytes), Interest::Writable, cx)
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.socket.shutdown(Shutdown::Write))
    }
}
