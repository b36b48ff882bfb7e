//! The interface of a runtime: a clock, an alarm, a way to connect, and a transport.

use std::task::{Context, Poll};

use futures_core::Stream;
use futures_sink::Sink;
use tidegate_core::{Connected, Failure, Frame, Timestamp};

use crate::builder::BuildError;
use crate::request::ConnectRequest;

/// A runtime for feeds: clock, timer and connections. Implement it to run feeds on a runtime of your own.
pub trait Runtime: Send + Unpin + 'static {
    /// The timer of a feed.
    type Alarm: Alarm;
    /// An open WebSocket connection.
    type Transport: Transport;

    /// Returns the current time, since an origin that stays the same for the life of this value. Must not go backwards.
    fn now(&self) -> Timestamp;

    /// Returns a new alarm, which is not set.
    fn alarm(&self) -> Self::Alarm;

    /// Checks whether the request can succeed at all, before the feed is built. The default accepts every request.
    ///
    /// # Errors
    /// Returns the error of [`FeedBuilder::spawn`](crate::FeedBuilder::spawn) and `inline`.
    fn check(&self, _request: &ConnectRequest) -> Result<(), BuildError> {
        Ok(())
    }

    /// Connects: name lookup, TCP, TLS and the HTTP upgrade. The loop drops the future after `connect_timeout`.
    ///
    /// # Errors
    /// Returns the failure of the attempt.
    fn connect(
        &self,
        request: ConnectRequest,
    ) -> impl Future<Output = Result<Self::Transport, Failure>> + Send + 'static;
}

/// A runtime that can also run tasks in the background.
pub trait Spawn: Runtime {
    /// Runs `task` to completion in the background.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);
}

/// A timer that can be moved.
pub trait Alarm: Send + Unpin {
    /// Sets the alarm to fire at `at`, or at once if that has passed. Replaces the time that was set before.
    fn set(&mut self, at: Timestamp);

    /// Returns ready once the alarm has fired. It is polled only while it is set: after it has fired, it must be set
    /// again.
    fn poll_ring(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

/// An open WebSocket connection, as a stream and a sink of frames. An implementation must obey these rules:
///
/// - The transport answers pings. An answer may wait for the next read, write or flush.
/// - The stream returns a received Close frame, and the transport answers it. The stream ends (`None`) once the peer
///   has closed the connection.
/// - A [`Frame::Close`] that is sent starts the closing handshake, or flushes the answer if the peer has started it.
///   Reading continues. No frame is sent after it.
/// - A connection that is lost without a closing handshake ends the stream with an error.
/// - For a peer that breaks the protocol, the stream returns the error
///   [`ConnectionFailure::Protocol`](tidegate_core::ConnectionFailure::Protocol), and no frame after it. It ends once
///   the peer has closed the connection. The sink still accepts a [`Frame::Close`].
/// - Reading never depends on writing. Only the sink returns its errors, and the stream is read to its end.
pub trait Transport:
    Stream<Item = Result<Frame, Failure>> + Sink<Frame, Error = Failure> + Send + Unpin
{
    /// Returns the number of bytes received from the network so far, parts of frames included: a peer in the middle of
    /// a long frame is not silent. Returns 0 if the transport does not know; then only whole frames count.
    fn bytes_read(&self) -> u64;

    /// Returns facts about the connection, such as the headers of the server's answer. The loop asks once, right after
    /// the upgrade. The default has none.
    fn connected(&mut self) -> Connected {
        Connected::default()
    }
}
