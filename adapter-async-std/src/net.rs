//! async-io's sockets and timers, for smol and async-std.

use std::io;
use std::net::TcpStream;
use std::time::Duration;

use async_io::{Async, Timer};
use tidegate_driver::ConnectRequest;
use tidegate_driver::core::Failure;
use tidegate_driver::net::{Connector, Net, SpawnNet};

/// An open WebSocket connection on a socket of async-io. See [`tidegate_driver::net::WebSocket`].
pub type WebSocket = tidegate_driver::net::WebSocket<Async<TcpStream>>;

/// async-io as the [`Net`] of a [`SocketRuntime`](tidegate_driver::net::SocketRuntime). Spawned feeds run on `S`.
#[derive(Clone, Copy, Debug, Default)]
pub struct AsyncIoNet<S>(pub(crate) S);

/// An executor for the tasks of spawned feeds.
pub trait Spawner: Clone + Default + Send + Unpin + 'static {
    /// Runs `task` to completion in the background.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);
}

impl<S: Send + Unpin + 'static> Net for AsyncIoNet<S> {
    type Stream = Async<TcpStream>;
    type Timer = Timer;

    async fn connected(socket: TcpStream) -> io::Result<Self::Stream> {
        let stream = Async::new_nonblocking(socket)?;
        stream.writable().await?;
        match stream.get_ref().take_error()? {
            Some(error) => Err(error),
            None => Ok(stream),
        }
    }

    fn timer(after: Duration) -> Timer {
        Timer::after(after)
    }

    async fn unblock<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
        blocking::unblock(work).await
    }
}

impl<S: Spawner> SpawnNet for AsyncIoNet<S> {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(task);
    }
}

/// Makes one connection, without recovery: it is not made again after it ends.
///
/// # Errors
/// Returns the reason if there is no connection,
/// [`ConnectFailure::Timeout`](tidegate_driver::core::ConnectFailure::Timeout) after `timeout`. The timeout bounds name
/// lookup, TCP, proxy, TLS and the upgrade together.
pub async fn connect_once(
    request: ConnectRequest,
    connector: &Connector,
    timeout: Duration,
) -> Result<WebSocket, Failure> {
    tidegate_driver::net::connect_once::<AsyncIoNet<()>>(request, connector, timeout).await
}
