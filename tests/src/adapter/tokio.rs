//! The adapter for tokio.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tidegate::{ConnectRequest, Failure, FeedBuilder};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

use super::{Adapter, World};
use crate::Connector;

/// On tokio, with two worker threads.
pub struct Tokio;

impl Adapter for Tokio {
    const NAME: &'static str = "tokio";
    type Rt = tidegate::rt::tokio::SocketRuntime;
    type Transport = tidegate::rt::tokio::WebSocket;
    type Tcp = Compat<TcpStream>;
    type World = TokioWorld;

    fn feed(url: &str) -> FeedBuilder<Self::Rt> {
        tidegate::rt::tokio::feed(url)
    }

    fn feed_with(connector: Connector, url: &str) -> FeedBuilder<Self::Rt> {
        tidegate::rt::tokio::feed_with(connector, url)
    }

    async fn connect_once(
        request: ConnectRequest,
        connector: Connector,
        timeout: Duration,
    ) -> Result<Self::Transport, Failure> {
        tidegate::rt::tokio::connect_once(request, &connector, timeout).await
    }

    fn subprotocol(connection: &Self::Transport) -> Option<&str> {
        connection.subprotocol()
    }

    async fn tcp(address: SocketAddr) -> io::Result<Self::Tcp> {
        Ok(TcpStream::connect(address).await?.compat())
    }

    fn world() -> TokioWorld {
        TokioWorld(Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime"))
    }
}

/// A runtime of its own.
pub struct TokioWorld(Runtime);

impl World for TokioWorld {
    const ENDS: bool = true;

    fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.0.block_on(work)
    }

    fn tasks() -> Option<usize> {
        Some(Handle::current().metrics().num_alive_tasks())
    }
}
