//! What the loop needs of a runtime: a clock, an alarm, a way to connect, and a transport.

use std::task::{Context, Poll};

use futures_core::Stream;
use futures_sink::Sink;
use tidegate_core::{Failure, Frame, Timestamp};

use crate::request::ConnectRequest;

/// Carries a feed: clock, timer and sockets. Implement it to run feeds on a runtime of your own.
pub trait Runtime: Send + Unpin + 'static {
    /// The one timer of a feed.
    type Alarm: Alarm;
    /// One open WebSocket connection.
    type Transport: Transport;

    /// The time now, since an origin that stays the same for the life of this value. Must not go backwards.
    fn now(&self) -> Timestamp;

    /// A new timer, not set.
    fn alarm(&self) -> Self::Alarm;

    /// Looks up the name, connects, does TLS and the HTTP upgrade. The loop bounds the whole of it by
    /// `connect_timeout` (C3) and drops the future when that is over.
    fn connect(
        &self,
        request: ConnectRequest,
    ) -> impl Future<Output = Result<Self::Transport, Failure>> + Send + 'static;
}

/// A runtime that can also run a task in the background.
pub trait Spawn: Runtime {
    /// Runs `task` to its end, detached.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);
}

/// A timer that can be moved.
pub trait Alarm: Send + Unpin {
    /// Rings at `at`, or at once if that has passed, instead of when it was set to before.
    fn set(&mut self, at: Timestamp);

    /// Ready once it has rung; it then stays silent until it is set again. Not polled while not set.
    fn poll_ring(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

/// One open WebSocket connection, frame by frame.
///
/// - Pings are answered by the transport itself; the answer may wait for the next read, write or flush (O2).
/// - A received Close frame comes out of the stream, the transport answers it, and the stream then ends (`None`) when
///   the peer has closed the connection.
/// - A sent [`Frame::Close`] starts the closing handshake, or flushes the answer if the peer has started it; reading
///   goes on. No frame is sent after it.
/// - A stream that breaks off without a closing handshake ends in an error.
/// - A peer that breaks the protocol is [`ConnectionFailure::Protocol`](tidegate_core::ConnectionFailure::Protocol). No frame
///   comes out of the stream after it, but the sink still takes a [`Frame::Close`], and the stream does not end before the peer
///   has closed the connection.
/// - Reading never depends on writing: an error of the sink comes out of the sink alone, and the stream is read to its end.
pub trait Transport:
    Stream<Item = Result<Frame, Failure>> + Sink<Frame, Error = Failure> + Send + Unpin
{
    /// Bytes received from the network so far, parts of frames included: a peer in the middle of a long frame is not silent
    /// (L1). Returns 0 if the transport cannot tell; then only frames count.
    fn bytes_read(&self) -> u64;
}
