//! Everything the outside can tell the machine.

use crate::failure::Failure;
use crate::frame::{ConnectionId, Frame};

/// Something that happened. Hand it to [`Feed::handle`](crate::Feed::handle) with the time.
///
/// An event about a connection names it. One that names any other than the current connection, or that cannot happen
/// in the current phase, changes nothing and is counted in [`Stats::stale_events`](crate::Stats::stale_events) (C2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Begin: dial for the first time. Counts once; later ones change nothing.
    Start,
    /// The upgrade is complete.
    Connected {
        /// Which attempt.
        id: ConnectionId,
    },
    /// The attempt failed before the upgrade was complete.
    ConnectFailed {
        /// Which attempt.
        id: ConnectionId,
        /// Why.
        failure: Failure,
    },
    /// A frame came in. Hand it over only while [`Feed::wants_frames`](crate::Feed::wants_frames) says so: a data
    /// frame that comes all the same would break the bound of the queue, and ends the connection with
    /// [`Failure::Overflow`].
    Frame {
        /// On which connection.
        id: ConnectionId,
        /// The frame.
        frame: Frame,
    },
    /// Every [`Action::Send`](crate::Action::Send) taken so far has been written and flushed to the operating system.
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
    /// The [`deadline`](crate::Feed::deadline) has come. One that comes early changes nothing (P2).
    Tick,
    /// Stop, with a closing handshake if there is a connection (S1).
    Shutdown,
    /// A call of the handler, or of another function of the application, panicked inside
    /// [`Feed::handle`](crate::Feed::handle). Whoever caught the panic reports it (H5).
    HandlerPanicked,
}

impl Event {
    /// The connection that this event names.
    pub(crate) const fn connection(&self) -> Option<ConnectionId> {
        match self {
            Self::Connected { id }
            | Self::ConnectFailed { id, .. }
            | Self::Frame { id, .. }
            | Self::Flushed { id }
            | Self::Lost { id, .. } => Some(*id),
            Self::Start | Self::Tick | Self::Shutdown | Self::HandlerPanicked => None,
        }
    }
}
