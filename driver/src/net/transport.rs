//! One open connection as the driver wants it: a stream of frames and a sink of frames.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use futures_io::{AsyncRead, AsyncWrite};
use futures_sink::Sink;
use std::io::ErrorKind;
use tidegate_core::{CloseFrame, Connected, ConnectionFailure, Failure, Frame, Message};
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Error, Message as Received};

use super::blocking::Polled;
use super::buffer::{ReadBuffer, STRAIGHT};
use super::failure;
use super::header::{Between, Control, Header, Kind};
use super::limits::Limits;
use super::memory::{self, Memory};
use super::message::close_frame;
use super::shared::SHARES;
use super::socket::{Prefixed, Socket};
use crate::secrets::Secrets;

mod writing;
use writing::{Close, Writing};

/// Frames go out together as long as they are no more than this, in bytes.
const WRITTEN_AT_ONCE: usize = 128 * 1024;

/// Steps of reading in one poll at most: a message may have any number of empty fragments.
const STEPS: usize = 1024;

/// Tungstenite's own buffer, in bytes. Each connection has one for as long as it lasts; only fragments need much of it.
const TUNGSTENITE: usize = 1024;

/// One open WebSocket connection, over TCP or TLS. Made by [`connect_once`](super::connect_once), or by a feed.
///
/// Frames come out of the [`Stream`] and go into the [`Sink`]; what that promises is said at
/// [`Transport`](trait@crate::Transport). One task polls both: a poll of the stream writes the pongs that wait, too, and the
/// task that polled last is the one that is woken. Of the pongs that cannot be written the newest is kept. Text is sent as it
/// is, without a check that it is UTF-8. A frame of more than 64 MiB is not sent ([`ConnectionFailure::Io`]). Dropping it drops the
/// socket.
pub struct WebSocket<S> {
    frames: Frames<Socket<Prefixed<S>>>,
    connected: Connected,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    pub(crate) fn new(
        socket: Prefixed<Socket<Prefixed<S>>>,
        framing: Framing,
        connected: Connected,
        secrets: Secrets,
    ) -> Self {
        let (prefix, socket) = socket.into_parts();
        Self { frames: Frames::new(socket, prefix, framing, secrets), connected }
    }

    /// The subprotocol that the server chose of those that were offered (RFC 6455 §1.9).
    pub fn subprotocol(&self) -> Option<&str> {
        self.connected.subprotocol()
    }
}

impl<S> fmt::Debug for WebSocket<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket").field("close", &self.frames.close).finish_non_exhaustive()
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> crate::Transport for WebSocket<S> {
    fn bytes_read(&self) -> u64 {
        self.frames.socket.bytes_read()
    }

    fn connected(&mut self) -> Connected {
        std::mem::take(&mut self.connected)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for WebSocket<S> {
    type Item = Result<Frame, Failure>;

    #[inline]
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.frames.poll_next(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Sink<Frame> for WebSocket<S> {
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
            .max_frame_size(Some(self.limits.frame.min(self.limits.message)))
            .max_message_size(Some(self.limits.message))
    }
}

/// [`WebSocket`] over any stream.
struct Frames<S> {
    socket: S,
    buffer: ReadBuffer,
    context: WebSocketContext,
    /// The longest message that is read here, in bytes.
    largest: usize,
    reading: ReadState,
    writing: Writing,
    /// The answer to the newest ping, if there was no room for it, until all before it has been written (O2).
    pong: Option<Bytes>,
    close: Close,
    /// Of redirects, which nobody above knows: the reason of a Close may repeat them (T3).
    secrets: Secrets,
}

/// How far reading is.
enum ReadState {
    /// The next byte begins a frame, and tungstenite has all of those before it.
    Before(Between),
    /// In a long message.
    Payload(Payload),
    /// In a frame that tungstenite reads, `left` bytes before its end.
    Tungstenite {
        left: u64,
        after: Between,
    },
    /// Behind the peer's Close, or behind what broke the protocol: to the end of the stream, so that TCP does not reset
    /// before our own Close has arrived.
    Discarding,
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
    ) -> Poll<Result<Bytes, Failure>> {
        while self.filled < self.len {
            let bytes = self.memory.bytes(self.len).expect("nobody else has it yet");
            match ready!(buffer.poll_read(socket, cx, &mut bytes[self.filled..self.len])) {
                Ok(0) => return Poll::Ready(Err(failure::without_close())),
                Ok(read) => self.filled += read,
                Err(error) => return Poll::Ready(Err(failure::of_io(&error))),
            }
        }
        // Shorter ones are cheap to take anew.
        if self.len >= STRAIGHT {
            memory::keep(self.memory.clone());
        }
        Poll::Ready(Ok(self.memory.payload(0..self.len)))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Frames<S> {
    fn new(socket: S, prefix: Bytes, framing: Framing, secrets: Secrets) -> Self {
        Self {
            socket,
            buffer: ReadBuffer::new(framing.read_buffer_size, prefix),
            context: WebSocketContext::new(Role::Client, Some(framing.config())),
            largest: framing.limits.frame.min(framing.limits.message),
            reading: ReadState::Before(Between::Messages),
            writing: Writing::Flushed,
            pong: None,
            close: Close::None,
            secrets,
        }
    }

    #[inline]
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, Failure>>> {
        if !matches!(self.reading, ReadState::Before(_)) {
            self.write_waiting(cx);
        }
        for _ in 0..STEPS {
            let step = match &mut self.reading {
                ReadState::Before(between) => {
                    let held = self.buffer.held();
                    match Header::read(held, *between, self.largest) {
                        Header::Message { kind, header, len } if header + len <= held.len() => {
                            // Each frame is made where it goes to: a move of what has just been written stalls.
                            let payload = self.buffer.take(header, len);
                            return Poll::Ready(match kind {
                                Kind::Text if !is_utf8(&payload) => {
                                    Some(Err(self.failed(failure::not_utf8())))
                                }
                                Kind::Text => Some(Ok(Frame::Message(Message::Text(payload)))),
                                Kind::Binary => Some(Ok(Frame::Message(Message::Binary(payload)))),
                            });
                        }
                        header @ (Header::Partial
                        | Header::Message { .. }
                        | Header::Control { .. }
                        | Header::LongControl
                        | Header::Other { .. }) => ready!(self.poll_begin(header, cx)),
                    }
                }
                ReadState::Payload(payload) => {
                    let kind = payload.kind;
                    let complete = ready!(payload.poll(&mut self.buffer, &mut self.socket, cx));
                    self.reading = ReadState::Before(Between::Messages);
                    complete.and_then(|payload| whole(kind, payload))
                }
                &mut ReadState::Tungstenite { left, after } => ready!(self.poll_tungstenite(left, after, cx)),
                ReadState::Discarding => return self.poll_discard(cx).map(|()| None),
                ReadState::Ended => return Poll::Ready(None),
            };
            match step {
                Ok(None) => {}
                Ok(Some(frame)) => return Poll::Ready(Some(Ok(frame))),
                Err(failure) => return Poll::Ready(Some(Err(self.failed(failure)))),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reading does not depend on writing: the sink reports a failure to write.
    fn write_waiting(&mut self, cx: &mut Context<'_>) {
        if self.pong.is_some() || self.writing != Writing::Flushed {
            let _ = self.poll_flush(cx);
        }
    }

    /// Continues with all but a whole message.
    #[cold]
    fn poll_begin(&mut self, header: Header, cx: &mut Context<'_>) -> Poll<Result<Option<Frame>, Failure>> {
        match header {
            Header::Message { kind, header, len } if len > SHARES => {
                self.buffer.skip(header);
                let (memory, filled) = self.buffer.begin(len);
                self.reading = ReadState::Payload(Payload { kind, memory, filled, len });
            }
            Header::Control { kind, len } if self.buffer.held().len() >= 2 + len => {
                // The answer goes before what is sent from now on, or else displaces one that waits (O2).
                self.write_waiting(cx);
                let payload = self.buffer.take(2, len);
                return Poll::Ready(self.control(kind, payload).map(Some));
            }
            Header::Partial | Header::Message { .. } | Header::Control { .. } => {
                self.write_waiting(cx);
                match ready!(self.buffer.poll_more(&mut self.socket, cx)) {
                    Ok(0) => return Poll::Ready(Err(failure::without_close())),
                    Ok(_) => {}
                    Err(error) => return Poll::Ready(Err(failure::of_io(&error))),
                }
            }
            Header::LongControl => {
                let detail = "a control frame is longer than 125 bytes".to_owned();
                return Poll::Ready(Err(Failure::Connection(ConnectionFailure::Protocol {
                    code: CloseFrame::PROTOCOL_ERROR,
                    detail,
                })));
            }
            Header::Other { len, after } => self.reading = ReadState::Tungstenite { left: len, after },
        }
        Poll::Ready(Ok(None))
    }

    /// A whole control frame. What it calls for waits for the writer.
    fn control(&mut self, kind: Control, payload: Bytes) -> Result<Frame, Failure> {
        Ok(match kind {
            Control::Ping => {
                match (self.close, self.writing) {
                    (Close::None, Writing::Flushed) => {
                        let _ = self.buffer_frame(Frame::Pong(payload.clone()));
                    }
                    (Close::None, Writing::Unflushed | Writing::Full) => self.pong = Some(payload.clone()),
                    (Close::Sent | Close::Received, _) => {}
                }
                Frame::Ping(payload)
            }
            Control::Pong => Frame::Pong(payload),
            Control::Close => {
                let mut frame = close_frame(&payload)?;
                if let Some(close) = &mut frame {
                    close.reason = self.secrets.hidden_in(&close.reason);
                }
                if let Close::None = self.close {
                    // With the code alone (RFC 6455 §5.5.1). A full buffer has no room for it, and no reader.
                    let answer = frame.as_ref().map(|frame| CloseFrame::new(frame.code));
                    let _ = self.buffer_frame(Frame::Close(answer));
                }
                self.close = Close::Received;
                self.reading = ReadState::Discarding;
                Frame::Close(frame)
            }
        })
    }

    /// Ready at the end of the stream, however that comes.
    #[cold]
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.buffer.skip(self.buffer.held().len());
        match ready!(self.buffer.poll_more(&mut self.socket, cx)) {
            Ok(1..) => {
                // One read a poll: there may be no end to them.
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Ok(0) | Err(_) => {
                self.reading = ReadState::Ended;
                Poll::Ready(())
            }
        }
    }

    /// Reads one frame with tungstenite.
    #[cold]
    fn poll_tungstenite(
        &mut self,
        left: u64,
        after: Between,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Frame>, Failure>> {
        let mut socket = Polled { socket: &mut self.socket, buffer: &mut self.buffer, cx, left };
        let read = self.context.read(&mut socket);
        let left = socket.left;
        self.reading = match left {
            0 => ReadState::Before(after),
            1.. => ReadState::Tungstenite { left, after },
        };
        let frame = match read {
            Ok(Received::Text(text)) => Frame::Message(Message::Text(text.into())),
            Ok(Received::Binary(payload)) => Frame::Message(Message::Binary(payload)),
            // It is given no valid control frame, and a read never gives a raw one.
            Ok(Received::Ping(_) | Received::Pong(_) | Received::Close(_) | Received::Frame(_)) => {
                return Poll::Ready(Ok(None));
            }
            // It has all of its frame, which was a fragment.
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock && left == 0 => {
                return Poll::Ready(Ok(None));
            }
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => return Poll::Pending,
            Err(error) => return Poll::Ready(Err(failure::of_connection(error))),
        };
        Poll::Ready(Ok(Some(frame)))
    }

    /// No frame comes after this.
    #[cold]
    fn failed(&mut self, failure: Failure) -> Failure {
        // A peer that broke the protocol is still there, to be sent a Close.
        let violation = matches!(failure, Failure::Connection(ConnectionFailure::Protocol { .. }));
        self.reading = if violation { ReadState::Discarding } else { ReadState::Ended };
        failure
    }
}

/// A long message.
fn whole(kind: Kind, payload: Bytes) -> Result<Option<Frame>, Failure> {
    match kind {
        Kind::Text if !is_utf8(&payload) => Err(failure::not_utf8()),
        Kind::Text => Ok(Some(Frame::Message(Message::Text(payload)))),
        Kind::Binary => Ok(Some(Frame::Message(Message::Binary(payload)))),
    }
}

#[inline]
fn is_utf8(payload: &[u8]) -> bool {
    simdutf8::basic::from_utf8(payload).is_ok()
}

#[cfg(test)]
mod tests;
