//! tokio's sockets, clock, timers and blocking threads.

use std::io;
use std::panic::resume_unwind;
use std::time::{Duration, Instant};

use tidegate_driver::ConnectRequest;
use tidegate_driver::core::Failure;
use tidegate_driver::net::{Connector, Net, SpawnNet};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

/// An open WebSocket connection on a socket of tokio. See [`tidegate_driver::net::WebSocket`].
pub type WebSocket = tidegate_driver::net::WebSocket<Compat<TcpStream>>;

/// tokio as the [`Net`] of a [`SocketRuntime`](crate::SocketRuntime). Its clock can be paused in tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioNet;

impl Net for TokioNet {
    type Stream = Compat<TcpStream>;
    type Timer = Sleep;

    async fn connected(socket: std::net::TcpStream) -> io::Result<Self::Stream> {
        let stream = TcpStream::from_std(socket)?;
        stream.writable().await?;
        match stream.take_error()? {
            Some(error) => Err(error),
            None => Ok(stream.compat()),
        }
    }

    fn now() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn timer(after: Duration) -> Sleep {
        tokio::time::sleep(after)
    }

    async fn unblock<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
        match tokio::task::spawn_blocking(work).await {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // The runtime is shutting down, and so is this task.
                Err(_) => std::future::pending().await,
            },
        }
    }
}

impl SpawnNet for TokioNet {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(task);
    }
}

/// Makes one connection, without recovery: it is not made again after it ends.
///
/// # Errors
/// Returns the reason if there is no connection,
/// [`ConnectFailure::Timeout`](tidegate_driver::core::ConnectFailure::Timeout) after `timeout`. The timeout bounds name
/// lookup, TCP, proxy, TLS and the upgrade together.
///
/// # Panics
/// Panics if it is polled outside of a tokio runtime with I/O and time enabled.
pub async fn connect_once(
    request: ConnectRequest,
    connector: &Connector,
    timeout: Duration,
) -> Result<WebSocket, Failure> {
    tidegate_driver::net::connect_once::<TokioNet>(request, connector, timeout).await
}
