//! What an adapter brings of its runtime: sockets, a timer, threads that may block.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};

/// A runtime's side of the network.
pub trait Net: Send + Sync + 'static {
    /// One connected TCP socket.
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// Connects `socket` to `address`. It is not connected yet, does not block, and has all its options set.
    fn connect(
        socket: TcpStream,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// Waits for that long.
    fn sleep(span: Duration) -> impl Future<Output = ()> + Send;

    /// Runs `work` where blocking is allowed: the system's name lookup, reading files.
    fn unblock<T: Send + 'static>(
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = T> + Send;
}
