//! The part of a runtime that clients need, so that each client is written once.

use async_tungstenite::tungstenite::{Error, Message};
use futures_util::Stream;
use tidegate::FeedBuilder;
use tidegate::driver::{Runtime, Spawn};
use tidegate_bench_meter::{FLAVOR, PLACE};

use crate::Result;

/// A runtime that both tidegate and async-tungstenite have an adapter for.
pub(crate) trait Platform {
    /// The runtime of feeds.
    type Runtime: Runtime<Alarm: 'static, Transport: 'static> + Spawn + Clone;

    /// Runs `client` in the place that [`PLACE`] names.
    fn run(client: impl Future<Output = Result<()>> + Send + 'static) -> Result<()> {
        match std::env::var(PLACE).as_deref() {
            Ok("main") => Self::block_on(client),
            Ok(_) | Err(_) => Self::block_on(Self::join(client)),
        }
    }

    /// Runs the main function of a program on this runtime.
    fn block_on(main: impl Future<Output = Result<()>>) -> Result<()>;

    /// Runs `task` in the background and waits for it.
    fn join(task: impl Future<Output = Result<()>> + Send + 'static) -> impl Future<Output = Result<()>>;

    /// Runs `task` in the background.
    fn spawn(task: impl Future<Output = ()> + Send + 'static);

    /// A feed with the default connector.
    fn feed(url: &str) -> FeedBuilder<Self::Runtime>;

    /// A connection of async-tungstenite, as its users make it.
    fn connect(
        url: &str,
    ) -> impl Future<Output = Result<impl Stream<Item = Received> + Unpin + Send + 'static>> + Send;
}

/// An item of a connection of async-tungstenite.
pub(crate) type Received = std::result::Result<Message, Error>;

pub(crate) struct Tokio;

impl Platform for Tokio {
    type Runtime = tidegate::rt::tokio::SocketRuntime;

    fn block_on(main: impl Future<Output = Result<()>>) -> Result<()> {
        let mut builder = match std::env::var(FLAVOR).as_deref() {
            Ok("current-thread") => tokio::runtime::Builder::new_current_thread(),
            Ok(_) | Err(_) => tokio::runtime::Builder::new_multi_thread(),
        };
        builder.enable_all().build()?.block_on(main)
    }

    async fn join(task: impl Future<Output = Result<()>> + Send + 'static) -> Result<()> {
        tokio::spawn(task).await?
    }

    fn spawn(task: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(task);
    }

    fn feed(url: &str) -> FeedBuilder<Self::Runtime> {
        tidegate::rt::tokio::feed(url)
    }

    async fn connect(url: &str) -> Result<impl Stream<Item = Received> + Unpin + Send + 'static> {
        Ok(async_tungstenite::tokio::connect_async(url).await?.0)
    }
}

pub(crate) struct Smol;

impl Platform for Smol {
    type Runtime = tidegate::rt::smol::SocketRuntime;

    fn block_on(main: impl Future<Output = Result<()>>) -> Result<()> {
        smol::block_on(main)
    }

    async fn join(task: impl Future<Output = Result<()>> + Send + 'static) -> Result<()> {
        smol::spawn(task).await
    }

    fn spawn(task: impl Future<Output = ()> + Send + 'static) {
        smol::spawn(task).detach();
    }

    fn feed(url: &str) -> FeedBuilder<Self::Runtime> {
        tidegate::rt::smol::feed(url)
    }

    async fn connect(url: &str) -> Result<impl Stream<Item = Received> + Unpin + Send + 'static> {
        Ok(async_tungstenite::smol::connect_async(url).await?.0)
    }
}

pub(crate) struct AsyncStd;

impl Platform for AsyncStd {
    type Runtime = tidegate::rt::async_std::SocketRuntime;

    fn block_on(main: impl Future<Output = Result<()>>) -> Result<()> {
        async_std::task::block_on(main)
    }

    async fn join(task: impl Future<Output = Result<()>> + Send + 'static) -> Result<()> {
        async_std::task::spawn(task).await
    }

    fn spawn(task: impl Future<Output = ()> + Send + 'static) {
        async_std::task::spawn(task);
    }

    fn feed(url: &str) -> FeedBuilder<Self::Runtime> {
        tidegate::rt::async_std::feed(url)
    }

    #[expect(deprecated, reason = "async-std is discontinued, but tidegate has an adapter for it")]
    async fn connect(url: &str) -> Result<impl Stream<Item = Received> + Unpin + Send + 'static> {
        Ok(async_tungstenite::async_std::connect_async(url).await?.0)
    }
}
