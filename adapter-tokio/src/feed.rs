//! The short way to a feed on tokio.

use std::time::Duration;

use tidegate_driver::core::Failure;
use tidegate_driver::{ConnectRequest, FeedBuilder};

use crate::net::TokioNet;
use crate::runtime::Runtime;
use crate::{Connector, Transport};

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
