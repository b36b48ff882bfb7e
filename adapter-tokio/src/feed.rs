//! The short way to a feed on tokio.

use std::io;
use std::time::Duration;

use tidegate_driver::core::Failure;
use tidegate_driver::{ConnectRequest, FeedBuilder};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

use crate::net::TokioNet;
use crate::runtime::Runtime;
use crate::{Connector, Over, Transport};

/// A feed of `url`, a `ws` or `wss` URL, with the default [`Connector`].
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let mut feed = tidegate_tokio::feed("wss://exchange.example/ws").spawn()?;
/// while let Some(delivery) = feed.recv().await {
///     println!("{:?}", delivery?);
/// }
/// # Ok(())
/// # }
/// ```
pub fn feed(url: impl AsRef<str>) -> FeedBuilder<Runtime> {
    FeedBuilder::new(Runtime::default(), url)
}

/// A feed of `url` through a [`Connector`] of your own: TLS, limits, buffers.
pub fn feed_with(connector: Connector, url: impl AsRef<str>) -> FeedBuilder<Runtime> {
    FeedBuilder::new(Runtime::new(connector), url)
}

/// A feed of `url` over streams that `open` returns for each attempt, such as a Unix socket. See [`FeedBuilder::over`], which
/// takes streams with the traits of `futures-io`; these have tokio's.
///
/// ```no_run
/// use tokio::net::UnixStream;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let mut feed =
///     tidegate_tokio::feed_over("ws://localhost/prices", |_| UnixStream::connect("/run/feed.sock")).spawn()?;
/// while let Some(delivery) = feed.recv().await {
///     println!("{:?}", delivery?);
/// }
/// # Ok(())
/// # }
/// ```
pub fn feed_over<F, Fut, S>(
    url: impl AsRef<str>,
    mut open: F,
) -> FeedBuilder<Over<Runtime, tidegate_driver::net::Transport<Compat<S>>>>
where
    F: FnMut(ConnectRequest) -> Fut + Send + 'static,
    Fut: Future<Output = io::Result<S>> + Send + 'static,
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    feed(url).over(move |request| {
        let opening = open(request);
        async { Ok(opening.await?.compat()) }
    })
}

/// Makes one connection, without recovery: when it ends, it has ended.
///
/// # Errors
/// What went wrong on the way; [`Failure::ConnectTimeout`] if it took longer than `timeout`, the whole of it: name
/// lookup, TCP, proxy, TLS and the upgrade (C3).
///
/// # Panics
/// Outside of a tokio runtime whose I/O and time are enabled.
pub async fn connect_once(
    request: ConnectRequest,
    connector: &Connector,
    timeout: Duration,
) -> Result<Transport, Failure> {
    tidegate_driver::net::connect_once::<TokioNet>(request, connector, timeout).await
}
