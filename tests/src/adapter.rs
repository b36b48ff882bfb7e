//! What the suites need of an adapter. To test another: write its file in `adapter/`, and add it to [`each`].

use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::io::{AsyncRead, AsyncWrite};
use tidegate::driver::net::Networked;
use tidegate::driver::{Spawn, Transport};
use tidegate::{ConnectRequest, Failure, FeedBuilder};

use crate::Connector;
use crate::case::{Cases, Suite};

pub mod async_std;
pub mod smol;
pub mod tokio;

/// Adds a suite for every adapter, in the order of the report's columns.
pub fn each<S: Suite>(cases: &mut Cases) {
    S::cases::<tokio::Tokio>(cases);
    S::cases::<smol::Smol>(cases);
    S::cases::<async_std::AsyncStd>(cases);
}

/// An adapter under test.
pub trait Adapter: 'static {
    /// In the names of cases, and over a column of the report.
    const NAME: &'static str;
    /// The runtime that feeds run on.
    type Rt: Spawn<Alarm: 'static, Transport = Self::Transport> + Networked + Clone;
    /// One connection.
    type Transport: Transport + Debug + 'static;
    /// A TCP connection of the runtime's own.
    type Tcp: AsyncRead + AsyncWrite + Send + Unpin + 'static;
    /// A whole runtime.
    type World: World;

    /// A feed of `url` with the default connector.
    fn feed(url: &str) -> FeedBuilder<Self::Rt>;

    /// A feed of `url` through `connector`.
    fn feed_with(connector: Connector, url: &str) -> FeedBuilder<Self::Rt>;

    /// A single connection, without a feed.
    fn connect_once(
        request: ConnectRequest,
        connector: Connector,
        timeout: Duration,
    ) -> impl Future<Output = Result<Self::Transport, Failure>> + Send;

    /// The subprotocol that the server chose.
    fn subprotocol(connection: &Self::Transport) -> Option<&str>;

    /// Connects by TCP.
    fn tcp(address: SocketAddr) -> impl Future<Output = io::Result<Self::Tcp>> + Send + 'static;

    /// A runtime to run in.
    fn world() -> Self::World;
}

/// A whole runtime, to run in.
pub trait World {
    /// Whether dropping it ends what still runs in it. Where executors are global, there is nothing to drop.
    const ENDS: bool;

    /// Runs `work` to its end, in this thread.
    fn run<T>(&self, work: impl Future<Output = T>) -> T;

    /// How many tasks there are in the world that this is called in, besides the test itself; `None` where the runtime
    /// does not tell.
    fn tasks() -> Option<usize>;
}
