//! One open connection as the driver wants it: a stream of frames and a sink of frames.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use futures_io::{AsyncRead, AsyncWrite};
use futures_sink::Sink;
use std::io::ErrorKind;
use tidegate_core::{Failure, Frame};
use tungstenite::protocol::{WebSocketConfig, WebSocketContext};
use tungstenite::{Error, Message};

use super::blocking::{Nowhere, Polled, poll};
use super::buffer::ReadBuffer;
use super::failure;
use super::head::Prefixed;
use super::limits::Limits;
use super::memory::{self, Memory};
use super::message::{received, sent};
use super::socket::Socket;

/// Frames go out together as long as they are no more than this, in bytes.
const WRITTEN_AT_ONCE: usize = 128 * 1024;

/// One open WebSocket connection, over TCP or TLS. Made by [`connect_once`](super::connect_once), or by a feed.
///
/// Frames come out of the [`Stream`] and go into the [`Sink`]; what that promises is said at
/// [`Transport`](trait@crate::Transport). One task polls both: reading may have to write, a pong for instance, and the task
/// that polled last is the one that is woken. Text that is sent is taken to be UTF-8 and not checked again; a frame of more
/// than 64 MiB is not sent ([`Failure::Io`]). Dropping it drops the socket.
pub struct Transport<S> {
    frames: Frames<Socket<Prefixed<S>>>,
    subprotocol: Option<String>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Transport<S> {
    pub(crate) fn new(
        socket: Prefixed<Socket<Prefixed<S>>>,
        framing: Framing,
        subprotocol: Option<String>,
    ) -> Self {
        let (prefix, socket) = socket.into_parts();
        Self { frames: Frames::new(socket, prefix, framing), subprotocol }
    }

    /// The subprotocol that the server chose of those that were offered (RFC 6455 §1.9).
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }
}

impl<S> fmt::Debug for Transport<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("close", &self.frames.close).finish_non_exhaustive()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for Transport<S> {
    type Item = Result<Frame, Failure>;

    #[inline]
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.frames.poll_next(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Sink<Frame> for Transport<S> {
    type Error = Failure;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.frames.poll_ready(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, frame: Frame) -> Result<(), Failure> {
        self.frames.start_send(frame)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.frames.poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.frames.poll_close(cx)
    }
}

/// How frames are read and written.
pub(crate) struct Framing {
    /// How much is read from the socket at a time, in bytes.
    pub(crate) read_buffer_size: usize,
    /// The most that may wait to be written, in bytes.
    pub(crate) max_write_buffer_size: usize,
    pub(crate) limits: Limits,
}

impl Framing {
    fn config(&self) -> WebSocketConfig {
        WebSocketConfig::default()
            .read_buffer_size(self.read_buffer_size)
            .write_buffer_size(WRITTEN_AT_ONCE.min(self.max_write_buffer_size / 2))
            .max_write_buffer_size(self.max_write_buffer_size)
            .max_frame_size(Some(self.limits.frame))
            .max_message_size(Some(self.limits.message))
    }
}

/// [`Transport`] over any stream.
struct Frames<S> {
    socket: S,
    buffer: ReadBuffer,
    context: WebSocketContext,
    reading: Reading,
    close: Close,
    /// All that waits goes out before the next frame: the pong of a ping, which tungstenite does not count but which takes
    /// room from the frame, or the rest of the last one.
    flush_first: bool,
}

/// How far reading is.
enum Reading {
    Open(Memory),
    Ended,
}

/// How far the closing handshake is (RFC 6455 §7.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Close {
    /// Not begun.
    None,
    /// Our Close is sent, or waits to be.
    Sent,
    /// The peer's Close is here, and answered if it came first. Nothing that goes wrong from now on matters.
    Received,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Frames<S> {
    fn new(socket: S, prefix: Bytes, framing: Framing) -> Self {
        Self {
            socket,
            buffer: ReadBuffer::new(framing.read_buffer_size, prefix),
            context: memory::context(framing.config()),
            reading: Reading::Open(Memory::Chunk),
            close: Close::None,
            flush_first: false,
        }
    }

    #[inline]
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, Failure>>> {
        loop {
            let Reading::Open(memory) = &mut self.reading else { return Poll::Ready(None) };
            let mut socket = Polled { socket: &mut self.socket, buffer: &mut self.buffer, cx };
            let read = self.context.read(&mut socket);
            // Each frame is made where it goes to: a move of what has just been written stalls.
            return match read {
                Ok(Message::Text(text)) => {
                    let payload = Bytes::from(text);
                    memory.remember(&payload);
                    Poll::Ready(Some(Ok(Frame::Text(payload))))
                }
                Ok(Message::Binary(payload)) => {
                    memory.remember(&payload);
                    Poll::Ready(Some(Ok(Frame::Binary(payload))))
                }
                Ok(Message::Ping(payload)) => {
                    self.flush_first = true;
                    Poll::Ready(Some(Ok(Frame::Ping(payload))))
                }
                Ok(Message::Pong(payload)) => Poll::Ready(Some(Ok(Frame::Pong(payload)))),
                Ok(Message::Close(frame)) => {
                    self.close = Close::Received;
                    Poll::Ready(Some(Ok(Frame::Close(frame.map(received)))))
                }
                // For sending only; a read never gives one.
                Ok(Message::Frame(_)) => continue,
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => Poll::Pending,
                Err(error) => Poll::Ready(self.ended(error)),
            };
        }
    }

    #[cold]
    fn ended(&mut self, error: tungstenite::Error) -> Option<Result<Frame, Failure>> {
        self.reading = Reading::Ended;
        match (self.close, error) {
            // After Close the peer may be gone in any way: a reset, or TLS cut off, is then just the end.
            (Close::Received, _) | (_, Error::ConnectionClosed | Error::AlreadyClosed) => None,
            (Close::None | Close::Sent, error) => Some(Err(failure::of_connection(error))),
        }
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        if self.flush_first { self.poll_flush(cx) } else { Poll::Ready(Ok(())) }
    }

    fn start_send(&mut self, frame: Frame) -> Result<(), Failure> {
        let is_close = matches!(frame, Frame::Close(_));
        match self.close {
            Close::None if is_close => self.close = Close::Sent,
            Close::None => {}
            // Tungstenite has queued the answer, or ours has gone out: flushing is all that is left to do.
            Close::Sent | Close::Received if is_close => return Ok(()),
            Close::Sent | Close::Received => {
                let detail = "a frame was sent after Close".to_owned();
                return Err(Failure::Io { detail });
            }
        }
        match poll(self.context.write(&mut Nowhere, sent(frame))) {
            Poll::Ready(result) => result.map_err(failure::of_connection),
            // It is queued, and a good deal with it.
            Poll::Pending => {
                self.flush_first = true;
                Ok(())
            }
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let mut socket = Polled { socket: &mut self.socket, buffer: &mut self.buffer, cx };
        let flushed = ready!(poll(self.context.flush(&mut socket)));
        self.flush_first = false;
        Poll::Ready(self.written(flushed))
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        if self.close == Close::None {
            self.close = Close::Sent;
        }
        let mut socket = Polled { socket: &mut self.socket, buffer: &mut self.buffer, cx };
        let closed = ready!(poll(self.context.close(&mut socket, None)));
        Poll::Ready(self.written(closed))
    }

    /// Once the peer has sent Close it need not wait for our answer: that it cannot be written is no failure.
    fn written(&self, result: tungstenite::Result<()>) -> Result<(), Failure> {
        match (self.close, result) {
            (Close::Received, _) | (_, Ok(()) | Err(Error::ConnectionClosed)) => Ok(()),
            (Close::None | Close::Sent, Err(error)) => Err(failure::of_connection(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, SinkExt, StreamExt};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, Join, duplex};
    use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

    use super::super::memory::CHUNK;
    use super::*;

    /// A connection whose sending side takes `room` bytes before it blocks, and whose write buffer takes 1 KiB.
    async fn pair(
        room: usize,
    ) -> (Transport<Compat<Join<DuplexStream, DuplexStream>>>, DuplexStream, DuplexStream) {
        let (inbound, to_client) = duplex(1 << 20);
        let (outbound, from_client) = duplex(room);
        let stream = tokio::io::join(inbound, outbound).compat();
        let framing =
            Framing { read_buffer_size: 1024, max_write_buffer_size: 1024, limits: Limits::default() };
        let socket = Socket::Plain(Prefixed::new(Bytes::new(), stream));
        (Transport::new(Prefixed::new(Bytes::new(), socket), framing, None), to_client, from_client)
    }

    fn ping(number: u32) -> Vec<u8> {
        [&[0x89, 4][..], &number.to_be_bytes()].concat()
    }

    /// Reads one masked pong of four bytes.
    async fn pong(stream: &mut DuplexStream) -> u32 {
        let mut frame = [0; 10];
        stream.read_exact(&mut frame).await.unwrap();
        assert_eq!(frame[..2], [0x8a, 0x84]);
        u32::from_be_bytes(std::array::from_fn(|at| frame[6 + at] ^ frame[2 + at]))
    }

    /// O2: a pong that could not be written goes out once there is room, though only the reading side is polled.
    #[tokio::test]
    async fn a_blocked_pong_wakes_the_reader_when_there_is_room() {
        let (mut transport, mut to_client, mut from_client) = pair(4).await;
        to_client.write_all(&ping(7)).await.unwrap();
        let reader = tokio::spawn(async move { while transport.next().await.is_some() {} });
        let answer = tokio::time::timeout(std::time::Duration::from_secs(10), pong(&mut from_client)).await;
        assert_eq!(answer.unwrap(), 7);
        reader.abort();
    }

    #[tokio::test]
    async fn pongs_that_cannot_be_written_do_not_pile_up_and_the_newest_is_kept() {
        const PINGS: u32 = 10_000;
        let (mut transport, mut to_client, mut from_client) = pair(64).await;
        for number in 1..=PINGS {
            to_client.write_all(&ping(number)).await.unwrap();
            assert!(matches!(transport.next().await, Some(Ok(Frame::Ping(_)))));
        }
        assert!(transport.flush().now_or_never().is_none(), "it blocks");
        let mut pongs = 0;
        let drain = async {
            loop {
                pongs += 1;
                if pong(&mut from_client).await == PINGS {
                    break;
                }
            }
        };
        let (flushed, ()) = futures_util::future::join(transport.flush(), drain).await;
        assert_eq!(flushed, Ok(()));
        assert!(pongs < 200, "{pongs} were kept");
    }

    #[tokio::test]
    async fn pongs_that_wait_take_no_room_from_a_frame() {
        let (mut transport, mut to_client, mut from_client) = pair(64).await;
        for number in 1..=1000 {
            to_client.write_all(&ping(number)).await.unwrap();
            assert!(matches!(transport.next().await, Some(Ok(Frame::Ping(_)))));
        }
        let mut received = Vec::new();
        let (sent, _) = futures_util::future::join(
            async {
                let sent = transport.send(Frame::Binary(vec![0; 900].into())).await;
                drop(transport);
                sent
            },
            from_client.read_to_end(&mut received),
        )
        .await;
        assert_eq!(sent, Ok(()));
        assert!(received.len() > 900);
    }

    /// A connection does not go on with the memory of a large message, nor does a short one pin it: but for what of it was
    /// free when the large one was complete.
    #[tokio::test]
    async fn short_messages_are_not_in_the_memory_of_a_large_one() {
        const LARGE: u16 = 40_000;
        // Of three bytes each, one chunk and a half: the second was taken before the memory could be given to others.
        const SHORT: usize = CHUNK / 2;
        let (mut transport, mut to_client, _from_client) = pair(64).await;
        let header = [&[0x82, 126][..], &LARGE.to_be_bytes()].concat();
        let short = [0x82, 1, 8].repeat(SHORT);
        to_client.write_all(&[header, vec![7; LARGE.into()], short].concat()).await.unwrap();
        let Some(Ok(Frame::Binary(large))) = transport.next().await else { panic!("a large message") };
        assert_eq!(large.len(), LARGE.into());
        let memory = large.as_ptr_range();
        drop(large);
        for number in 0..SHORT {
            let Some(Ok(Frame::Binary(short))) = transport.next().await else { panic!("a short one") };
            assert_eq!(&short[..], [8]);
            assert!(!memory.contains(&short.as_ptr()), "message {number}");
        }
    }

    /// Large messages in a row share memory, which is given up by and by after the last of them.
    #[tokio::test]
    async fn nothing_is_held_for_ever_after_large_messages() {
        const LARGE: usize = 40_000;
        let (mut transport, mut to_client, _from_client) = pair(64).await;
        for large in 1..=3 {
            let header = [&[0x82, 126][..], &(LARGE as u16).to_be_bytes()].concat();
            to_client.write_all(&[header, vec![7; LARGE]].concat()).await.unwrap();
            assert!(transport.next().await.is_some());
            let held = matches!(transport.frames.reading, Reading::Open(Memory::PastLarge { .. }));
            assert_eq!(held, large == 1, "large message {large}");
        }
        let mut short = 0;
        while !matches!(transport.frames.reading, Reading::Open(Memory::Chunk)) {
            to_client.write_all(&[0x82, 1, 8]).await.unwrap();
            assert!(transport.next().await.is_some());
            assert!(matches!(
                transport.frames.reading,
                Reading::Open(Memory::Chunk | Memory::PastLarge { .. })
            ));
            short += 1;
        }
        assert_eq!(short, 1 + (2 * LARGE + CHUNK).div_ceil(3));
    }

    #[tokio::test]
    async fn a_frame_over_the_write_buffer_is_refused() {
        let (mut transport, _to_client, _from_client) = pair(64).await;
        let failure = transport.send(Frame::Binary(vec![0; 1025].into())).await.unwrap_err();
        assert_eq!(failure.kind(), "io");
    }
}
