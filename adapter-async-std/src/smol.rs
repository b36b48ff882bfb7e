//! Feeds on smol.

use std::io;
use std::sync::{Arc, Weak};

use futures_io::{AsyncRead, AsyncWrite};
use smol::Executor;
use tidegate_driver::FeedBuilder;

pub use tidegate_driver::net::names::*;

use crate::{AsyncIoNet, Spawner};
pub use crate::{WebSocket, connect_once};

/// The runtime for feeds on smol.
pub type SocketRuntime = tidegate_driver::net::SocketRuntime<AsyncIoNet<Smol>>;

/// Spawns feeds on smol's global executor, or on one of the application's own.
#[derive(Clone, Debug, Default)]
pub struct Smol(
    // Weak, since the executor owns the tasks, and they own this.
    Option<Weak<Executor<'static>>>,
);

impl Spawner for Smol {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        match &self.0 {
            None => smol::spawn(task).detach(),
            Some(executor) => {
                if let Some(executor) = executor.upgrade() {
                    executor.spawn(task).detach();
                }
            }
        }
    }
}

/// Returns a runtime that spawns feeds on `executor`, in place of smol's global one. The feeds end when the executor is
/// dropped.
///
/// Stop the feeds before you drop an executor that has threads. If an `async_executor::Executor` is dropped while
/// another thread wakes one of its tasks, it can lose the task without dropping it. The consumer of that feed then
/// waits forever.
///
/// ```
/// use std::sync::Arc;
///
/// use tidegate_async_std::smol::{Connector, runtime_on};
///
/// let executor = Arc::new(smol::Executor::new());
/// let runtime = runtime_on(&executor, Connector::default());
/// ```
pub fn runtime_on(executor: &Arc<Executor<'static>>, connector: Connector) -> SocketRuntime {
    SocketRuntime::with_net(AsyncIoNet(Smol(Some(Arc::downgrade(executor)))), connector)
}

/// Returns the builder of a feed of `url`, a `ws` or `wss` URL, with the default [`Connector`].
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let mut feed = tidegate_async_std::smol::feed("wss://exchange.example/ws").spawn()?;
/// while let Some(delivery) = feed.recv().await {
///     println!("{:?}", delivery?);
/// }
/// # Ok(())
/// # }
/// ```
pub fn feed(url: impl AsRef<str>) -> FeedBuilder<SocketRuntime> {
    FeedBuilder::new(SocketRuntime::default(), url)
}

/// Returns the builder of a feed of `url` through `connector`, with its options for TLS, limits, buffers and proxy.
pub fn feed_with(connector: Connector, url: impl AsRef<str>) -> FeedBuilder<SocketRuntime> {
    FeedBuilder::new(SocketRuntime::new(connector), url)
}

/// Returns the builder of a feed of `url` over streams that `open` opens for each attempt and each redirect, such as
/// Unix sockets. See [`FeedBuilder::over`].
///
/// ```no_run
/// use smol::net::unix::UnixStream;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let mut feed =
///     tidegate_async_std::smol::feed_over("ws://localhost/prices", |_| UnixStream::connect("/run/feed.sock"))
///         .spawn()?;
/// while let Some(delivery) = feed.recv().await {
///     println!("{:?}", delivery?);
/// }
/// # Ok(())
/// # }
/// ```
pub fn feed_over<F, Fut, S>(
    url: impl AsRef<str>,
    open: F,
) -> FeedBuilder<Over<SocketRuntime, tidegate_driver::net::WebSocket<S>>>
where
    F: FnMut(ConnectRequest) -> Fut + Send + 'static,
    Fut: Future<Output = io::Result<S>> + Send + 'static,
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    feed(url).over(open)
}
