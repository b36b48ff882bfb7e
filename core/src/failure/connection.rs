//! Why the peer or the network ended a connection.

use alloc::string::String;
use core::fmt;

use super::separated;
use crate::frame::CloseFrame;

/// Why the peer or the network ended a connection. None of these is fatal by default.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionFailure {
    /// The peer sent a Close frame.
    Closed(Option<CloseFrame>),
    /// The connection was lost without a closing handshake: it was reset, or the stream ended. This may also happen
    /// during the upgrade.
    Io {
        /// The operating system's error.
        detail: String,
    },
    /// The peer broke the WebSocket protocol, or exceeded the limit on the size of frames or messages.
    Protocol {
        /// The code of the Close that is sent (RFC 6455 §7.4.1): 1002 for the protocol, 1007 for text that is not
        /// UTF-8, 1009 for a size over the limit.
        code: u16,
        /// The rule that the peer broke.
        detail: String,
    },
    /// Nothing arrived for `idle_timeout`.
    IdleTimeout,
    /// A ping was not answered within `pong_timeout`.
    PongTimeout,
    /// The handler emitted no item for `stale_after`.
    Stale,
}

impl ConnectionFailure {
    pub(super) const fn is_timeout(&self) -> bool {
        match self {
            Self::IdleTimeout | Self::PongTimeout | Self::Stale => true,
            Self::Closed(_) | Self::Io { .. } | Self::Protocol { .. } => false,
        }
    }

    /// Returns a short, stable name in `snake_case`, for logs and metric labels.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Closed(_) => "closed",
            Self::Io { .. } => "io",
            Self::Protocol { code: CloseFrame::TOO_BIG, .. } => "too_long",
            Self::Protocol { .. } => "protocol",
            Self::IdleTimeout => "idle_timeout",
            Self::PongTimeout => "pong_timeout",
            Self::Stale => "stale",
        }
    }

    pub(super) const fn detail_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::Io { detail } | Self::Protocol { detail, .. } => Some(detail),
            Self::Closed(_) | Self::IdleTimeout | Self::PongTimeout | Self::Stale => None,
        }
    }
}

impl fmt::Display for ConnectionFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(None) => f.write_str("the server closed the connection"),
            Self::Closed(Some(frame)) => {
                write!(f, "the server closed the connection with code {}", frame.code)?;
                separated(": ", &frame.reason, f)
            }
            Self::Io { detail } => write!(f, "the connection broke: {detail}"),
            Self::Protocol { code: CloseFrame::TOO_BIG, detail } => {
                write!(f, "the server sent a frame or message that is too long: {detail}")
            }
            Self::Protocol { detail, .. } => write!(f, "the server broke the protocol: {detail}"),
            Self::IdleTimeout => f.write_str("nothing arrived within idle_timeout"),
            Self::PongTimeout => f.write_str("a ping was not answered within pong_timeout"),
            Self::Stale => f.write_str("no item arrived within stale_after"),
        }
    }
}

impl core::error::Error for ConnectionFailure {}
