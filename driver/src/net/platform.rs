//! The interface of a runtime to the network: sockets, a clock, timers, threads that may block. Also sockets of the
//! standard library, for runtimes that only know when a socket is ready.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::marker::PhantomData;
use std::net::{Shutdown, TcpStream};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_io::{AsyncRead, AsyncWrite};

/// A runtime's sockets, clock, timers and blocking threads.
pub trait Net: Send + Unpin + 'static {
    /// A connected TCP socket.
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// A timer. It is ready once its time has passed, and its output is discarded.
    type Timer: Future + Send + 'static;

    /// Takes over `socket`, which is non-blocking and connecting. Waits until it can be written to, then checks whether
    /// connecting has failed (`take_error`).
    ///
    /// # Errors
    /// Returns the reason if connecting failed.
    fn connected(socket: TcpStream) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// Returns the current time. The default is the system's monotonic clock.
    fn now() -> Instant {
        Instant::now()
    }

    /// Returns a timer that is ready `after` this call, on the clock of [`now`](Self::now). `after` may be centuries.
    fn timer(after: Duration) -> Self::Timer;

    /// Runs `work` where blocking is allowed. It looks up names or reads files.
    fn unblock<T: Send + 'static>(
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = T> + Send;
}

/// A [`Net`] of a runtime that can also run tasks in the background.
pub trait SpawnNet: Net {
    /// Runs `task` to completion in the background.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);
}

/// The operation for which a socket must be ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// The socket can be read from, or has ended or failed.
    Readable,
    /// The socket can be written to, or has failed.
    Writable,
}

/// A runtime that knows when a socket is ready, through `poll`, `epoll` or `kqueue`.
pub trait Reactor: Send + Unpin + 'static {
    /// Wakes `waker` once `socket` is ready for `interest`. It may be woken earlier: the socket is then tried again.
    fn wake_when(socket: &Arc<TcpStream>, interest: Interest, waker: &Waker);
}

/// A socket of the standard library that waits for readiness through `R`.
pub struct StdStream<R> {
    socket: Arc<TcpStream>,
    reactor: PhantomData<fn() -> R>,
}

impl<R: Reactor> StdStream<R> {
    /// Waits until `socket` is connected, as [`Net::connected`] requires.
    ///
    /// # Errors
    /// Returns the reason if connecting failed.
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
        Ok(Self { socket, reactor: PhantomData })
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

impl<R: Reactor> AsyncRead for StdStream<R> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.unless_blocked((&*self.socket).read(buf), Interest::Readable, cx)
    }
}

impl<R: Reactor> AsyncWrite for StdStream<R> {
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
