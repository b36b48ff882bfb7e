//! The adapter for smol.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use smol::Executor;
use smol::net::TcpStream;
use tidegate::{ConnectRequest, Failure, FeedBuilder};

use super::{Adapter, World};
use crate::Connector;

thread_local! {
    /// Of the world that runs in this thread.
    static EXECUTOR: RefCell<Option<Arc<Executor<'static>>>> = const { RefCell::new(None) };
}

/// On smol, each world with an executor of its own; feeds of no world run on smol's global one.
pub struct Smol;

impl Adapter for Smol {
    const NAME: &'static str = "smol";
    type Rt = tidegate::rt::smol::SocketRuntime;
    type Transport = tidegate::rt::smol::WebSocket;
    type Tcp = TcpStream;
    type World = SmolWorld;

    fn feed(url: &str) -> FeedBuilder<Self::Rt> {
        Self::feed_with(Connector::default(), url)
    }

    fn feed_with(connector: Connector, url: &str) -> FeedBuilder<Self::Rt> {
        EXECUTOR.with_borrow(|executor| match executor {
            Some(executor) => FeedBuilder::new(tidegate::rt::smol::runtime_on(executor, connector), url),
            None => tidegate::rt::smol::feed_with(connector, url),
        })
    }

    async fn connect_once(
        request: ConnectRequest,
        connector: Connector,
        timeout: Duration,
    ) -> Result<Self::Transport, Failure> {
        tidegate::rt::smol::connect_once(request, &connector, timeout).await
    }

    fn subprotocol(connection: &Self::Transport) -> Option<&str> {
        connection.subprotocol()
    }

    async fn tcp(address: SocketAddr) -> io::Result<Self::Tcp> {
        TcpStream::connect(address).await
    }

    fn world() -> SmolWorld {
        SmolWorld(Arc::default())
    }
}

/// An executor, in the thread that it is asked to run in.
pub struct SmolWorld(Arc<Executor<'static>>);

impl World for SmolWorld {
    const ENDS: bool = true;

    fn run<T>(&self, work: impl Future<Output = T>) -> T {
        let outer = EXECUTOR.replace(Some(Arc::clone(&self.0)));
        let done = smol::block_on(self.0.run(work));
        EXECUTOR.set(outer);
        done
    }

    /// One stands for any number.
    fn tasks() -> Option<usize> {
        EXECUTOR.with_borrow(|executor| executor.as_ref().map(|executor| usize::from(!executor.is_empty())))
    }
}
