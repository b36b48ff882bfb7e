//! Feeds on tokio.

use std::io;

use tidegate_driver::FeedBuilder;
use tidegate_driver::net::WebSocket;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

use crate::{ConnectRequest, Connector, Over, TokioNet};

/// The runtime for feeds on tokio.
///
/// Time is tokio's, so that it can be paused in tests. A timer fires up to a millisecond late.
///
/// # Panics
/// [`FeedBuilder::spawn`] panics outside of a tokio runtime. A feed panics if it is polled outside of a tokio runtime
/// with I/O and time enabled.
///
/// # Examples
/// ```
/// use tidegate_tokio::{Connector, SocketRuntime};
///
/// let runtime = SocketRuntime::new(Connector::default());
/// ```
pub type SocketRuntime = tidegate_driver::net::SocketRuntime<TokioNet>;

/// Returns the builder of a feed of `url`, a `ws` or `wss` URL, with the default [`Connector`].
///
/// # Panics
/// Spawning or polling the feed panics outside of a tokio runtime. See [`SocketRuntime`].
///
/// # Examples
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
pub fn feed(url: impl AsRef<str>) -> FeedBuilder<SocketRuntime> {
    FeedBuilder::new(SocketRuntime::default(), url)
}

/// Returns the builder of a feed of `url` through `connector`, with its options for TLS, limits, buffers and proxy.
///
/// # Panics
/// Spawning or polling the feed panics outside of a tokio runtime. See [`SocketRuntime`].
pub fn feed_with(connector: Connector, url: impl AsRef<str>) -> FeedBuilder<SocketRuntime> {
    FeedBuilder::new(SocketRuntime::new(connector), url)
}

/// Returns the builder of a feed of `url` over streams that `open` opens for each attempt and each redirect, such as
/// Unix sockets.
///
/// See [`FeedBuilder::over`]. The streams implement tokio's traits instead of those of `futures-io`.
///
/// # Panics
/// Spawning or polling the feed panics outside of a tokio runtime. See [`SocketRuntime`].
///
/// # Examples
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
) -> FeedBuilder<Over<SocketRuntime, WebSocket<Compat<S>>>>
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
