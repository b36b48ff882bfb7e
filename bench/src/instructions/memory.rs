//! A server in memory, and a network that connects to it: no system calls and no other process.

use std::future::{Pending, pending};
use std::io;
use std::net::TcpStream;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_tungstenite::tungstenite::handshake::derive_accept_key;
use smol::Executor;
use smol::io::{AsyncRead, AsyncWrite};
use tidegate::driver::net::{Net, SpawnNet};

use crate::payload::{json, text_frame};

/// Bytes that are ready at a time. Then one read is pending, as with a socket.
const BURST: usize = 64 << 10;

/// Runs the tasks of spawned feeds, on the thread that runs the executor.
pub(crate) static EXECUTOR: Executor<'static> = Executor::new();

/// A network whose connections all lead to the server in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MemoryNet;

impl Net for MemoryNet {
    type Stream = MemoryStream;
    type Timer = Pending<()>;

    async fn connected(_socket: TcpStream) -> io::Result<MemoryStream> {
        Ok(MemoryStream::new())
    }

    /// Never ready: the scenarios end before any timer is due.
    fn timer(_after: Duration) -> Self::Timer {
        pending()
    }

    async fn unblock<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
        work()
    }
}

impl SpawnNet for MemoryNet {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        EXECUTOR.spawn(task).detach();
    }
}

/// The client's end of a connection. The path of the request is the size of the messages, which never end.
pub(crate) struct MemoryStream {
    state: State,
}

enum State {
    Asked { request: Vec<u8> },
    Answered { answer: Vec<u8>, frames: Frames },
    Flowing(Frames),
}

impl MemoryStream {
    pub(crate) fn new() -> Self {
        Self { state: State::Asked { request: Vec::new() } }
    }
}

impl AsyncRead for MemoryStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.state {
            State::Flowing(frames) => frames.poll_read(cx, buffer),
            // A client must write its request first.
            State::Asked { .. } => Poll::Ready(Err(io::Error::other("read before the request"))),
            State::Answered { answer, frames } => {
                let length = answer.len().min(buffer.len());
                buffer[..length].copy_from_slice(&answer[..length]);
                answer.drain(..length);
                if answer.is_empty() {
                    self.state = State::Flowing(std::mem::take(frames));
                }
                Poll::Ready(Ok(length))
            }
        }
    }
}

impl AsyncWrite for MemoryStream {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let State::Asked { request } = &mut self.state {
            request.extend(bytes);
            if request.ends_with(b"\r\n\r\n") {
                let (answer, frames) = answer(request)?;
                self.state = State::Answered { answer, frames };
            }
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// One frame, repeated without end.
#[derive(Default)]
struct Frames {
    /// Enough copies for a read of [`BURST`] that begins anywhere in the first.
    bytes: Vec<u8>,
    frame: usize,
    /// Offset in the frame at which the next read begins.
    at: usize,
    /// Bytes until the next pending read.
    left: usize,
}

impl Frames {
    fn new(size: usize) -> Self {
        let frame = text_frame(&json(size));
        let copies = 1 + BURST.div_ceil(frame.len());
        Self { bytes: frame.repeat(copies), frame: frame.len(), at: 0, left: BURST }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.left == 0 {
            self.left = BURST;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let length = buffer.len().min(self.left);
        buffer[..length].copy_from_slice(&self.bytes[self.at..self.at + length]);
        self.at = (self.at + length) % self.frame;
        self.left -= length;
        Poll::Ready(Ok(length))
    }
}

fn answer(request: &[u8]) -> io::Result<(Vec<u8>, Frames)> {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut parsed = httparse::Request::new(&mut headers);
    parsed.parse(request).map_err(io::Error::other)?;
    let key = parsed.headers.iter().find(|header| header.name.eq_ignore_ascii_case("Sec-WebSocket-Key"));
    let size = parsed.path.and_then(|path| path.trim_start_matches('/').parse().ok());
    let (Some(key), Some(size)) = (key, size) else { return Err(io::Error::other("not a request")) };
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        derive_accept_key(key.value)
    );
    Ok((answer.into_bytes(), Frames::new(size)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::{Wake, Waker};

    use super::*;

    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    #[test]
    fn frames_come_whole_and_in_bursts() {
        let (frame, mut frames) = (text_frame(&json(300)), Frames::new(300));
        let woken = Arc::new(Woken(AtomicBool::new(false)));
        let waker = Waker::from(woken.clone());
        let mut cx = Context::from_waker(&waker);
        let mut received = Vec::new();
        let mut buffer = vec![0; 100_000];
        for burst in 1..=3 {
            // No two reads of a burst begin at the same place.
            for length in [1000, buffer.len()] {
                match frames.poll_read(&mut cx, &mut buffer[..length]) {
                    Poll::Ready(read) => received.extend(&buffer[..read.unwrap()]),
                    Poll::Pending => panic!("nothing in the middle of a burst"),
                }
            }
            assert_eq!(received.len(), burst * BURST);
            assert!(!woken.0.swap(false, Ordering::Relaxed));
            assert!(frames.poll_read(&mut cx, &mut buffer).is_pending());
            assert!(woken.0.swap(false, Ordering::Relaxed), "the reader was not woken");
        }
        assert!(received.chunks(frame.len()).all(|chunk| frame.starts_with(chunk)));
    }
}
