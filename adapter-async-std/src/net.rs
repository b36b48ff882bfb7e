//! The network's side of async-io, which smol and async-std have in common: all but where tasks run.

use std::io;
use std::net::TcpStream;
use std::time::Duration;

use async_io::{Async, Timer};
use tidegate_driver::ConnectRequest;
use tidegate_driver::core::Failure;
use tidegate_driver::net::{Connector, Net, SpawnNet};

use crate::Transport;

/// Where the tasks of spawned feeds run.
pub trait Spawner: Clone + Default + Send + Unpin + 'static {
    /// Runs `task` to its end, detached.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);
}

/// async-io, whose sockets and timers have a thread of their own, with a place for tasks beside it.
#[derive(Clone, Debug, Default)]
pub struct AsyncIo<S>(pub(crate) S);

impl<S: Send + Unpin + 'static> Net for AsyncIo<S> {
    type Stream = Async<TcpStream>;

    async fn connected(socket: TcpStream) -> io::Result<Self::Stream> {
        let stream = Async::new_nonblocking(socket)?;
        stream.writable().await?;
        match stream.get_ref().take_error()? {
            Some(error) => Err(error),
            None => Ok(stream),
        }
    }

    async fn sleep(span: Duration) {
        Timer::after(span).await;
    }

    async fn unblock<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
        blocking::unblock(work).await
    }
}

impl<S: Spawner> SpawnNet for AsyncIo<S> {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(task);
    }
}

/// Makes one connection, without recovery: when it ends, it has ended.
///
/// # Errors
/// What went wrong on the way; [`Failure::ConnectTimeout`] if it took longer than `timeout`, the whole of it: name
/// lookup, TCP, proxy, TLS and the upgrade (C3).
pub async fn connect_once(
    request: ConnectRequest,
    connector: &Connector,
    timeout: Duration,
) -> Result<Transport, Failure> {
    tidegate_driver::net::connect_once::<AsyncIo<()>>(request, connector, timeout).await
}
