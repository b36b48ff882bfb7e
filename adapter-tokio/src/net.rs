//! tokio's side of the network: sockets, a timer, threads that may block.

use std::io;
use std::panic::resume_unwind;
use std::time::Duration;

use tidegate_driver::net::Net;
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

/// The network's side of tokio.
#[derive(Debug)]
pub struct TokioNet;

impl Net for TokioNet {
    type Stream = Compat<TcpStream>;

    async fn connected(socket: std::net::TcpStream) -> io::Result<Self::Stream> {
        let stream = TcpStream::from_std(socket)?;
        stream.writable().await?;
        match stream.take_error()? {
            Some(error) => Err(error),
            None => Ok(stream.compat()),
        }
    }

    async fn sleep(span: Duration) {
        tokio::time::sleep(span).await;
    }

    async fn unblock<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
        match spawn_blocking(work).await {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // The runtime is shutting down, and this task with it.
                Err(_) => std::future::pending().await,
            },
        }
    }
}
