//! What an adapter brings of its runtime: sockets, a timer, threads that may block.

use std::io;
use std::net::TcpStream;
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};

/// A runtime's side of the network.
pub trait Net: Send + Unpin + 'static {
    /// One connected TCP socket.
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// Takes over `socket`, which does not block and is being connected: waits until it can be written to, then looks
    /// whether it has failed (`take_error`).
    fn connected(socket: TcpStream) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// Waits for that long.
    fn sleep(span: Duration) -> impl Future<Output = ()> + Send;

    /// Runs `work` where blocking is allowed: the system's name lookup, reading files.
    fn unblock<T: Send + 'static>(
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = T> + Send;
}

/// A [`Net`] of a runtime that can also run tasks in the background.
pub trait SpawnNet: Net {
    /// Runs `task` to its end, detached.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);
}
