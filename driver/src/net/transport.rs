//! One open connection as the driver wants it: a stream of frames and a sink of frames.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_tungstenite::WebSocketStream;
use async_tungstenite::tungstenite::Message;
use async_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use async_tungstenite::tungstenite::protocol::frame::{CloseFrame as WsCloseFrame, Frame as WsFrame};
use async_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use futures_core::Stream;
use futures_io::{AsyncRead, AsyncWrite};
use futures_sink::Sink;
use tidegate_core::{CloseFrame, Failure, Frame};

use super::failure;
use super::head::Prefixed;
use super::socket::Socket;

/// The longest close reason that fits into a control frame, in bytes (RFC 6455 §5.5).
const MAX_REASON: usize = 123;

/// One open WebSocket connection, over TCP or TLS. Made by [`connect_once`](super::connect_once), or by a feed.
///
/// Frames come out of the [`Stream`] and go into the [`Sink`]; what that promises is said at
/// [`Transport`](trait@crate::Transport). Text that is sent is taken to be UTF-8 and not checked again; a frame of more
/// than 64 MiB is not sent ([`Failure::Io`]). Dropping it drops the socket.
pub struct Transport<S> {
    frames: Frames<Socket<Prefixed<S>>>,
    subprotocol: Option<String>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Transport<S> {
    pub(crate) async fn new(
        socket: Prefixed<Socket<Prefixed<S>>>,
        config: WebSocketConfig,
        subprotocol: Option<String>,
    ) -> Self {
        Self { frames: Frames::new(socket, config).await, subprotocol }
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

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.frames).poll_next(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Sink<Frame> for Transport<S> {
    type Error = Failure;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Pin::new(&mut self.frames).poll_ready(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, frame: Frame) -> Result<(), Failure> {
        Pin::new(&mut self.frames).start_send(frame)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Pin::new(&mut self.frames).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Pin::new(&mut self.frames).poll_close(cx)
    }
}

/// [`Transport`] over any stream.
struct Frames<S> {
    socket: WebSocketStream<Prefixed<S>>,
    close: Close,
    /// A ping came since all was last flushed: its pong may be in tungstenite's buffer.
    owes_pong: bool,
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
    async fn new(stream: Prefixed<S>, config: WebSocketConfig) -> Self {
        let socket = WebSocketStream::from_raw_socket(stream, Role::Client, Some(config)).await;
        Self { socket, close: Close::None, owes_pong: false }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for Frames<S> {
    type Item = Result<Frame, Failure>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let item = match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
                Some(Ok(message)) => match received(message) {
                    Some(frame) => Ok(frame),
                    None => continue,
                },
                // After Close the peer may be gone in any way: a reset, or TLS cut off, is then just the end.
                Some(Err(_)) if self.close == Close::Received => return Poll::Ready(None),
                Some(Err(error)) => Err(failure::of_connection(error)),
                None => return Poll::Ready(None),
            };
            match &item {
                Ok(Frame::Close(_)) => self.close = Close::Received,
                Ok(Frame::Ping(_)) => self.owes_pong = true,
                Ok(Frame::Text(_) | Frame::Binary(_) | Frame::Pong(_)) | Err(_) => {}
            }
            return Poll::Ready(Some(item));
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Sink<Frame> for Frames<S> {
    type Error = Failure;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        // Tungstenite does not count pongs that wait, but they take room from the frame to come.
        if self.owes_pong {
            return self.poll_flush(cx);
        }
        let result = ready!(Pin::new(&mut self.socket).poll_ready(cx));
        Poll::Ready(written(self.close, result))
    }

    fn start_send(mut self: Pin<&mut Self>, frame: Frame) -> Result<(), Failure> {
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
        Pin::new(&mut self.socket).start_send(sent(frame)).map_err(failure::of_connection)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let result = ready!(Pin::new(&mut self.socket).poll_flush(cx));
        self.owes_pong = false;
        Poll::Ready(written(self.close, result))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        if self.close == Close::None {
            self.close = Close::Sent;
        }
        let result = ready!(Pin::new(&mut self.socket).poll_close(cx));
        Poll::Ready(written(self.close, result))
    }
}

/// Once the peer has sent Close it need not wait for our answer: that it cannot be written is no failure.
fn written(close: Close, result: Result<(), async_tungstenite::tungstenite::Error>) -> Result<(), Failure> {
    match close {
        Close::Received => Ok(()),
        Close::None | Close::Sent => result.map_err(failure::of_connection),
    }
}

/// Without a copy, and without a second look at UTF-8.
fn received(message: Message) -> Option<Frame> {
    Some(match message {
        Message::Text(text) => Frame::Text(text.into()),
        Message::Binary(payload) => Frame::Binary(payload),
        Message::Ping(payload) => Frame::Ping(payload),
        Message::Pong(payload) => Frame::Pong(payload),
        Message::Close(frame) => {
            Frame::Close(frame.map(|frame| CloseFrame {
                code: frame.code.into(),
                reason: frame.reason.as_str().to_owned(),
            }))
        }
        // For sending only; a read never gives one.
        Message::Frame(_) => return None,
    })
}

fn sent(frame: Frame) -> Message {
    match frame {
        // As a raw frame: the text has been checked when the machine took it, and need not be again.
        Frame::Text(payload) => Message::Frame(WsFrame::message(payload, OpCode::Data(Data::Text), true)),
        Frame::Binary(payload) => Message::Binary(payload),
        Frame::Ping(payload) => Message::Ping(payload),
        // As a raw frame: tungstenite keeps one pong at a time, and this one would displace an answer (O2).
        Frame::Pong(payload) => Message::Frame(WsFrame::pong(payload)),
        Frame::Close(frame) => Message::Close(
            frame.map(|frame| WsCloseFrame { code: frame.code.into(), reason: cut(frame.reason).into() }),
        ),
    }
}

/// A longer reason would make the frame invalid, and the peer would see a protocol error instead of the code.
fn cut(mut reason: String) -> String {
    let mut end = reason.len().min(MAX_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason.truncate(end);
    reason
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, SinkExt, StreamExt};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, Join, duplex};
    use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

    use super::*;

    /// A connection whose sending side takes `room` bytes before it blocks, and whose write buffer takes 1 KiB.
    async fn pair(
        room: usize,
    ) -> (Frames<Compat<Join<DuplexStream, DuplexStream>>>, DuplexStream, DuplexStream) {
        let (inbound, to_client) = duplex(1 << 20);
        let (outbound, from_client) = duplex(room);
        let stream = Prefixed::new(bytes::Bytes::new(), tokio::io::join(inbound, outbound).compat());
        let config = WebSocketConfig::default().write_buffer_size(0).max_write_buffer_size(1024);
        (Frames::new(stream, config).await, to_client, from_client)
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
        let (mut frames, mut to_client, mut from_client) = pair(4).await;
        to_client.write_all(&ping(7)).await.unwrap();
        let reader = tokio::spawn(async move { while frames.next().await.is_some() {} });
        let answer = tokio::time::timeout(std::time::Duration::from_secs(10), pong(&mut from_client)).await;
        assert_eq!(answer.unwrap(), 7);
        reader.abort();
    }

    #[tokio::test]
    async fn pongs_that_cannot_be_written_do_not_pile_up_and_the_newest_is_kept() {
        const PINGS: u32 = 10_000;
        let (mut frames, mut to_client, mut from_client) = pair(64).await;
        for number in 1..=PINGS {
            to_client.write_all(&ping(number)).await.unwrap();
            assert!(matches!(frames.next().await, Some(Ok(Frame::Ping(_)))));
        }
        assert!(frames.flush().now_or_never().is_none(), "it blocks");
        let mut pongs = 0;
        let drain = async {
            loop {
                pongs += 1;
                if pong(&mut from_client).await == PINGS {
                    break;
                }
            }
        };
        let (flushed, ()) = futures_util::future::join(frames.flush(), drain).await;
        assert_eq!(flushed, Ok(()));
        assert!(pongs < 200, "{pongs} were kept");
    }

    #[tokio::test]
    async fn pongs_that_wait_take_no_room_from_a_frame() {
        let (mut frames, mut to_client, mut from_client) = pair(64).await;
        for number in 1..=1000 {
            to_client.write_all(&ping(number)).await.unwrap();
            assert!(matches!(frames.next().await, Some(Ok(Frame::Ping(_)))));
        }
        let mut received = Vec::new();
        let (sent, _) = futures_util::future::join(
            async {
                let sent = frames.send(Frame::Binary(vec![0; 900].into())).await;
                drop(frames);
                sent
            },
            from_client.read_to_end(&mut received),
        )
        .await;
        assert_eq!(sent, Ok(()));
        assert!(received.len() > 900);
    }

    #[tokio::test]
    async fn a_frame_over_the_write_buffer_is_refused() {
        let (mut frames, _to_client, _from_client) = pair(64).await;
        let failure = frames.send(Frame::Binary(vec![0; 1025].into())).await.unwrap_err();
        assert_eq!(failure.kind(), "io");
    }

    #[test]
    fn a_close_reason_is_cut_between_characters() {
        assert_eq!(cut("short".to_owned()), "short");
        assert_eq!(cut("x".repeat(124)), "x".repeat(123));
        assert_eq!(cut("ä".repeat(62)), "ä".repeat(61));
    }
}
