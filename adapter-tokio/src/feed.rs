//! The short way to a feed on tokio.

use http::Uri;
use tidegate_driver::FeedBuilder;

use crate::connector::Connector;
use crate::runtime::Tokio;

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
pub fn feed(url: impl TryInto<Uri>) -> FeedBuilder<Tokio> {
    FeedBuilder::new(Tokio::default(), url)
}

/// A feed of `url` through a [`Connector`] of your own: TLS, limits, buffers.
pub fn feed_with(connector: Connector, url: impl TryInto<Uri>) -> FeedBuilder<Tokio> {
    FeedBuilder::new(Tokio::new(connector), url)
}
