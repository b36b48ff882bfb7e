//! The adapter for async-std.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use async_std::net::TcpStream;
use tidegate::{ConnectRequest, Failure, FeedBuilder};

use super::{Adapter, World};
use crate::Connector;

/// On async-std, whose executor is global.
pub struct AsyncStd;

impl Adapter for AsyncStd {
    const NAME: &'static str = "async-std";
    type Rt = tidegate::rt::async_std::SocketRuntime;
    type Transport = tidegate::rt::async_std::WebSocket;
    type Tcp = TcpStream;
    type World = AsyncStdWorld;

    fn feed(url: &str) -> FeedBuilder<Self::Rt> {
        tidegate::rt::async_std::feed(url)
    }

    fn feed_with(connector: Connector, url: &str) -> FeedBuilder<Self::Rt> {
        tidegate::rt::async_std::feed_with(connector, url)
    }

    async fn connect_once(
        request: ConnectRequest,
        connector: Connector,
        timeout: Duration,
    ) -> Result<Self::Transport, Failure> {
        tidegate::rt::async_std::connect_once(request, &connector, timeout).await
    }

    fn subprotocol(connection: &Self::Transport) -> Option<&str> {
        connection.subprotocol()
    }

    async fn tcp(address: SocketAddr) -> io::Result<Self::Tcp> {
        TcpStream::connect(address).await
    }

    fn world() -> AsyncStdWorld {
        AsyncStdWorld
    }
}

/// The one that all cases share.
pub struct AsyncStdWorld;

impl World for AsyncStdWorld {
    const ENDS: bool = false;

    fn run<T>(&self, work: impl Future<Output = T>) -> T {
        async_std::task::block_on(work)
    }

    fn tasks() -> Option<usize> {
        None
    }
}
