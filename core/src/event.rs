//! Events: everything that the embedding loop reports to the machine.

use alloc::string::String;

use crate::failure::Failure;
use crate::frame::{ConnectionId, Frame};
use crate::headers::Headers;
use crate::time::Timestamp;

/// Something that happened. Pass it to [`Machine::handle`](crate::Machine::handle) with the time.
///
/// An event about a connection contains its id. If that is not the current connection, or if the event cannot occur in
/// the current phase, it changes nothing and is counted in [`Stats::stale_events`](crate::Stats::stale_events).
///
/// This enum is exhaustive, since a loop must report every kind of event. A new event calls for a look at the loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Start the feed with the first attempt. Further `Start` events change nothing.
    Start,
    /// An attempt succeeded: the upgrade is complete.
    Connected {
        /// The attempt.
        id: ConnectionId,
        /// Facts about the connection.
        connected: Connected,
    },
    /// An attempt failed before the upgrade was complete.
    ConnectFailed {
        /// The attempt.
        id: ConnectionId,
        /// The reason.
        failure: Failure,
    },
    /// A frame arrived.
    ///
    /// Pass frames only while [`Machine::wants_frames`](crate::Machine::wants_frames) returns `true`. A data frame that
    /// is passed during a pause would exceed the bound of the queue, and ends the connection with
    /// [`LocalFailure::Overflow`](crate::LocalFailure::Overflow).
    Frame {
        /// The connection.
        id: ConnectionId,
        /// The frame.
        frame: Frame,
    },
    /// Bytes of an unfinished frame arrived. The idle and pong clocks restart from `at`.
    ///
    /// This event is needed only before a [`Tick`](Self::Tick).
    Heard {
        /// The connection.
        id: ConnectionId,
        /// Time at which the last of the bytes were read. A time in the future counts as now.
        at: Timestamp,
    },
    /// The peer broke the protocol or exceeded a limit, and the connection can still be written to.
    ///
    /// The machine sends a Close with this code (RFC 6455 §7.1.7). Report nothing that was read after this event,
    /// except [`Lost`](Self::Lost).
    ProtocolError {
        /// The connection.
        id: ConnectionId,
        /// Code of the Close (RFC 6455 §7.4.1).
        code: u16,
        /// The rule that the peer broke.
        detail: String,
    },
    /// All frames taken with [`Machine::poll_send`](crate::Machine::poll_send) so far have been written and flushed to
    /// the operating system.
    Flushed {
        /// The connection.
        id: ConnectionId,
    },
    /// The connection is gone: a read or write failed, or the stream ended.
    Lost {
        /// The connection.
        id: ConnectionId,
        /// The reason. It has no effect after a closing handshake.
        failure: Failure,
    },
    /// The [`deadline`](crate::Machine::deadline) has passed. A `Tick` that arrives early changes nothing.
    Tick,
    /// End the feed, with a closing handshake if there is a connection.
    Shutdown,
    /// The handler, or another function of the application, panicked inside
    /// [`Machine::handle`](crate::Machine::handle). The loop that caught the panic reports it.
    HandlerPanicked,
    /// The runtime under the loop goes away. The feed stops at once, without a closing handshake.
    RuntimeStopped,
}

impl Event {
    /// Returns the connection that the event is about.
    pub(crate) const fn connection(&self) -> Option<ConnectionId> {
        match self {
            Self::Connected { id, .. }
            | Self::ConnectFailed { id, .. }
            | Self::Frame { id, .. }
            | Self::Heard { id, .. }
            | Self::ProtocolError { id, .. }
            | Self::Flushed { id }
            | Self::Lost { id, .. } => Some(*id),
            Self::Start | Self::Tick | Self::Shutdown | Self::HandlerPanicked | Self::RuntimeStopped => None,
        }
    }
}

/// Facts about a new connection. Without any, use [`Default`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connected {
    /// Headers of the answer to the upgrade.
    pub headers: Headers,
}

impl Connected {
    /// Returns the facts about a connection whose upgrade was answered with these headers.
    #[must_use]
    pub const fn new(headers: Headers) -> Self {
        Self { headers }
    }

    /// Returns the subprotocol that the server chose, if it chose one (RFC 6455 §1.9).
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        core::str::from_utf8(self.headers.get("sec-websocket-protocol")?).ok()
    }
}
