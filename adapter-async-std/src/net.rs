//! The network's side of async-io: sockets, a timer, threads that may block.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use async_io::{Async, Timer};
use tidegate_driver::net::Net;

/// [`Net`] on async-io, which runs in a thread of its own and needs no runtime around it.
#[derive(Debug)]
pub(crate) struct AsyncIo;

impl Net for AsyncIo {
    type Stream = Async<TcpStream>;

    async fn connect(socket: TcpStream, address: SocketAddr) -> io::Result<Self::Stream> {
        match socket2::SockRef::from(&socket).connect(&address.into()) {
            Ok(()) => {}
            Err(error) if in_progress(&error) => {}
            Err(error) => return Err(error),
        }
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

/// How a socket that does not block says that connecting has begun.
fn in_progress(error: &io::Error) -> bool {
    #[cfg(unix)]
    if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) {
        return true;
    }
    error.kind() == io::ErrorKind::WouldBlock
}
