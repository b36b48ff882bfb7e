//! Everything the outside can tell the machine.

use alloc::string::String;

use crate::failure::Failure;
use crate::frame::{ConnectionId, Frame};
use crate::time::Timestamp;

/// Something that happened. Hand it to [`Machine::handle`](crate::Machine::handle) with the time.
///
/// An event about a connection names it. One that names any other than the current connection, or that cannot happen
/// in the current phase, changes nothing and is counted in [`Stats::stale_events`](crate::Stats::stale_events) (C2).
///
/// Exhaustive, since a loop has to hand in each of them: one that is new calls for a look at the loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Begin: dial for the first time. Counts once; later ones change nothing.
    Start,
    /// The upgrade is complete.
    Connected {
        /// Which attempt.
        id: ConnectionId,
        /// Facts about the connection.
        connected: Connected,
    },
    /// The attempt failed before the upgrade was complete.
    ConnectFailed {
        /// Which attempt.
        id: ConnectionId,
        /// Why.
        failure: Failure,
    },
    /// A frame came in. Hand it over only while [`Machine::wants_frames`](crate::Machine::wants_frames) says so: a data
    /// frame that comes all the same would break the bound of the queue, and ends the connection with
    /// [`LocalFailure::Overflow`](crate::LocalFailure::Overflow).
    Frame {
        /// On which connection.
        id: ConnectionId,
        /// The frame.
        frame: Frame,
    },
    /// Bytes of an unfinished frame arrived: the idle and pong clocks restart from `at` (L1, L3). Needed only before a
    /// [`Tick`](Self::Tick).
    Heard {
        /// On which connection.
        id: ConnectionId,
        /// When the last of them were read; a time in the future counts as now.
        at: Timestamp,
    },
    /// The peer broke the protocol, or a limit. The connection can still be written to: the machine asks for a Close with
    /// this code (RFC 6455 §7.1.7). Nothing that was read after it may be handed in, until [`Lost`](Self::Lost).
    ProtocolError {
        /// On which connection.
        id: ConnectionId,
        /// The code to close with (RFC 6455 §7.4.1).
        code: u16,
        /// Which rule it broke.
        detail: String,
    },
    /// Every frame taken with [`Machine::poll_send`](crate::Machine::poll_send) so far has been written and flushed to the operating system.
    Flushed {
        /// On which connection.
        id: ConnectionId,
    },
    /// The connection is gone: read or write failed, or the stream ended.
    Lost {
        /// Which connection.
        id: ConnectionId,
        /// Why. After a closing handshake this does not matter.
        failure: Failure,
    },
    /// The [`deadline`](crate::Machine::deadline) has come. One that comes early changes nothing (P2).
    Tick,
    /// Stop, with a closing handshake if there is a connection (S1).
    Shutdown,
    /// A call of the handler, or of another function of the application, panicked inside
    /// [`Machine::handle`](crate::Machine::handle). Whoever caught the panic reports it (H5).
    HandlerPanicked,
}

impl Event {
    /// The connection that this event names.
    pub(crate) const fn connection(&self) -> Option<ConnectionId> {
        match self {
            Self::Connected { id, .. }
            | Self::ConnectFailed { id, .. }
            | Self::Frame { id, .. }
            | Self::Heard { id, .. }
            | Self::ProtocolError { id, .. }
            | Self::Flushed { id }
            | Self::Lost { id, .. } => Some(*id),
            Self::Start | Self::Tick | Self::Shutdown | Self::HandlerPanicked => None,
        }
    }
}

/// Facts about a connection whose upgrade is complete. It has no fields yet: make one with [`Default`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connected {}
