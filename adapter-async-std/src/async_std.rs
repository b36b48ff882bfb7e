//! Feeds on async-std, which is discontinued (RUSTSEC-2025-0052). Use smol for new applications.

use std::io;

use futures_io::{AsyncRead, AsyncWrite};
use tidegate_driver::FeedBuilder;

pub use tidegate_driver::net::names::*;

use crate::{AsyncIoNet, Spawner};
pub use crate::{WebSocket, connect_once};

/// The runtime for feeds on async-std.
pub type SocketRuntime = tidegate_driver::net::SocketRuntime<AsyncIoNet<AsyncStd>>;

/// Spawns feeds on async-std's global executor.
#[derive(Clone, Copy, Debug, Default)]
pub struct AsyncStd;

impl Spawner for AsyncStd {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        // Dropping the handle detaches the task.
        drop(async_std::task::spawn(task));
    }
}

/// Returns the builder of a feed of `url`, a `ws` or `wss` URL, with the default [`Connector`].
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let mut feed = tidegate_async_std::async_std::feed("wss://exchange.example/ws").spawn()?;
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
/// use async_std::os::unix::net::UnixStream;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let mut feed =
///     tidegate_async_std::async_std::feed_over("ws://localhost/prices", |_| UnixStream::connect("/run/feed.sock"))
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
