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
use tungstenite::error::ProtocolError;
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Error, Message};

use super::blocking::{Nowhere, Polled, poll};
use super::buffer::{ReadBuffer, STRAIGHT};
use super::failure;
use super::head::Prefixed;
use super::header::{Between, Header, Kind};
use super::limits::Limits;
use super::memory::{self, Memory};
use super::message::{received, sent};
use super::shared::SHARES;
use super::socket::Socket;

/// Frames go out together as long as they are no more than this, in bytes.
const WRITTEN_AT_ONCE: usize = 128 * 1024;

/// Steps of reading in one poll at most: a message may have any number of empty fragments.
const STEPS: usize = 1024;

/// Tungstenite's own buffer, in bytes. Each connection has one for as long as it lasts; only fragments need much of it.
const TUNGSTENITE: usize = 1024;

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
            .read_buffer_size(TUNGSTENITE)
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
    /// The longest message that is read here, in bytes.
    largest: usize,
    reading: Reading,
    close: Close,
    /// All that waits goes out before the next frame: the pong of a ping, which tungstenite does not count but which takes
    /// room from the frame, or the rest of the last one.
    flush_first: bool,
}

/// How far reading is.
enum Reading {
    /// The next byte begins a frame, and tungstenite has all of those before it.
    Before(Between),
    /// In a long message.
    Payload(Payload),
    /// In a frame that tungstenite reads, `left` bytes before its end.
    Tungstenite {
        left: u64,
        after: Between,
    },
    Ended,
}

/// A message that is too long to be waited for in the buffer, as far as it has come.
struct Payload {
    kind: Kind,
    memory: Memory,
    filled: usize,
    len: usize,
}

impl Payload {
    /// Ready once all of it has come.
    fn poll<S: AsyncRead + Unpin>(
        &mut self,
        buffer: &mut ReadBuffer,
        socket: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Bytes, Error>> {
        while self.filled < self.len {
            let bytes = self.memory.bytes(self.len).expect("nobody else has it yet");
            match ready!(buffer.poll_read(socket, cx, &mut bytes[self.filled..self.len]))? {
                0 => return Poll::Ready(Err(ProtocolError::ResetWithoutClosingHandshake.into())),
                read => self.filled += read,
            }
        }
        // Shorter ones are cheap to take anew.
        if self.len >= STRAIGHT {
            memory::keep(self.memory.clone());
        }
        Poll::Ready(Ok(self.memory.payload(0..self.len)))
    }
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

/// What one step of reading gives: a frame, or nothing yet.
type Step = Result<Option<Frame>, Error>;

impl<S: AsyncRead + AsyncWrite + Unpin> Frames<S> {
    fn new(socket: S, prefix: Bytes, framing: Framing) -> Self {
        Self {
            socket,
            buffer: ReadBuffer::new(framing.read_buffer_size, prefix),
            context: WebSocketContext::new(Role::Client, Some(framing.config())),
            largest: framing.limits.frame.min(framing.limits.message),
            reading: Reading::Before(Between::Messages),
            close: Close::None,
            flush_first: false,
        }
    }

    #[inline]
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, Failure>>> {
        if self.flush_first
            && !matches!(self.reading, Reading::Ended)
            && let Poll::Ready(Err(failure)) = self.poll_flush(cx)
        {
            self.reading = Reading::Ended;
            return Poll::Ready(Some(Err(failure)));
        }
        for _ in 0..STEPS {
            let step = match &mut self.reading {
                Reading::Before(between) => {
                    let held = self.buffer.held();
                    match Header::read(held, *between, self.largest) {
                        Header::Message { kind, header, len } if header + len <= held.len() => {
                            // Each frame is made where it goes to: a move of what has just been written stalls.
                            let payload = self.buffer.take(header, len);
                            return Poll::Ready(match kind {
                                Kind::Text if !is_utf8(&payload) => self.ended(not_utf8()),
                                Kind::Text => Some(Ok(Frame::Text(payload))),
                                Kind::Binary => Some(Ok(Frame::Binary(payload))),
                            });
                        }
                        header @ (Header::Partial | Header::Message { .. } | Header::Other { .. }) => {
                            ready!(self.poll_begin(header, cx))
                        }
                    }
                }
                Reading::Payload(payload) => {
                    let kind = payload.kind;
                    let complete = ready!(payload.poll(&mut self.buffer, &mut self.socket, cx));
                    self.reading = Reading::Before(Between::Messages);
                    complete.and_then(|payload| whole(kind, payload))
                }
                &mut Reading::Tungstenite { left, after } => ready!(self.poll_tungstenite(left, after, cx)),
                Reading::Ended => return Poll::Ready(None),
            };
            match step {
                Ok(None) => {}
                Ok(Some(frame)) => return Poll::Ready(Some(Ok(frame))),
                Err(error) => return Poll::Ready(self.ended(error)),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Goes on with what is no whole message.
    #[cold]
    fn poll_begin(&mut self, header: Header, cx: &mut Context<'_>) -> Poll<Step> {
        match header {
            Header::Message { kind, header, len } if len > SHARES => {
                self.buffer.skip(header);
                let (memory, filled) = self.buffer.begin(len);
                self.reading = Reading::Payload(Payload { kind, memory, filled, len });
            }
            Header::Partial | Header::Message { .. } => {
                if ready!(self.buffer.poll_more(&mut self.socket, cx))? == 0 {
                    return Poll::Ready(Err(ProtocolError::ResetWithoutClosingHandshake.into()));
                }
            }
            Header::Other { len, after } => self.reading = Reading::Tungstenite { left: len, after },
        }
        Poll::Ready(Ok(None))
    }

    /// Reads one frame with tungstenite.
    #[cold]
    fn poll_tungstenite(&mut self, left: u64, after: Between, cx: &mut Context<'_>) -> Poll<Step> {
        let mut socket = Polled { socket: &mut self.socket, buffer: &mut self.buffer, cx, left };
        let read = self.context.read(&mut socket);
        let left = socket.left;
        self.reading = match left {
            0 => Reading::Before(after),
            1.. => Reading::Tungstenite { left, after },
        };
        let frame = match read {
            Ok(Message::Text(text)) => Frame::Text(text.into()),
            Ok(Message::Binary(payload)) => Frame::Binary(payload),
            Ok(Message::Ping(payload)) => {
                self.flush_first = true;
                Frame::Ping(payload)
            }
            Ok(Message::Pong(payload)) => Frame::Pong(payload),
            Ok(Message::Close(frame)) => {
                self.close = Close::Received;
                // What comes after it is tungstenite's to read.
                self.reading = Reading::Tungstenite { left: u64::MAX, after };
                Frame::Close(frame.map(received))
            }
            // For sending only; a read never gives one.
            Ok(Message::Frame(_)) => return Poll::Ready(Ok(None)),
            // It has all of its frame, which was a fragment.
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock && left == 0 => {
                return Poll::Ready(Ok(None));
            }
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => return Poll::Pending,
            Err(error) => return Poll::Ready(Err(error)),
        };
        Poll::Ready(Ok(Some(frame)))
    }

    #[cold]
    fn ended(&mut self, error: Error) -> Option<Result<Frame, Failure>> {
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
        let mut socket = Polled { socket: &mut self.socket, buffer: &mut self.buffer, cx, left: 0 };
        let flushed = ready!(poll(self.context.flush(&mut socket)));
        self.flush_first = false;
        Poll::Ready(self.written(flushed))
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        if self.close == Close::None {
            self.close = Close::Sent;
        }
        let mut socket = Polled { socket: &mut self.socket, buffer: &mut self.buffer, cx, left: 0 };
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

/// A long message.
fn whole(kind: Kind, payload: Bytes) -> Step {
    match kind {
        Kind::Text if !is_utf8(&payload) => Err(not_utf8()),
        Kind::Text => Ok(Some(Frame::Text(payload))),
        Kind::Binary => Ok(Some(Frame::Binary(payload))),
    }
}

#[inline]
fn is_utf8(payload: &[u8]) -> bool {
    simdutf8::basic::from_utf8(payload).is_ok()
}

/// The text is not quoted (T3).
fn not_utf8() -> Error {
    Error::Utf8(String::new())
}

#[cfg(test)]
mod tests;
