//! The network's side of async-io: sockets, a timer, threads that may block.

use std::io;
use std::net::TcpStream;
use std::time::Duration;

use async_io::{Async, Timer};
use tidegate_driver::net::Net;

/// [`Net`] on async-io, which runs in a thread of its own and needs no runtime around it.
#[derive(Debug)]
pub(crate) struct AsyncIo;

impl Net for AsyncIo {
    type Stream = Async<TcpStream>;

    async fn connected(socket: TcpStream) -> io::Result<Self::Stream> {
        let stream = Async::new_nonblocking(socket)?;
        stream.writable().await?;
        match stream.get_ref().take_error()? {
            Some(error) => Err(error),
            None => Ok(stream),
        }
    }

    async fn sleep(span: Duration) {
        Timer::after(span).await;
    }

    async fn unblock<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
        blocking::unblock(work).await
    }
}
