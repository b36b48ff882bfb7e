//! Frames, messages and connection ids.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

/// Id of an attempt and of the connection that it becomes. Ids of a feed are strictly increasing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u64);

impl ConnectionId {
    /// Returns the id with this number, for recorded runs and tests.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Returns the number of the id. The first attempt of a feed is 1.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A data message, received or sent (RFC 6455 §5.6).
///
/// The transport has checked that received text is UTF-8 (RFC 6455 §8.1). Outgoing text is checked when it is passed to
/// the machine.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Message {
    /// UTF-8 text.
    Text(Bytes),
    /// Arbitrary bytes.
    Binary(Bytes),
}

impl Message {
    /// Returns the payload.
    #[must_use]
    #[inline]
    pub const fn payload(&self) -> &Bytes {
        match self {
            Self::Text(payload) | Self::Binary(payload) => payload,
        }
    }

    /// Returns the payload, without a copy.
    #[must_use]
    pub fn into_payload(self) -> Bytes {
        match self {
            Self::Text(payload) | Self::Binary(payload) => payload,
        }
    }

    /// Returns the text of a text message. Returns `None` if the message is binary, or if its bytes are not UTF-8.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(payload) => core::str::from_utf8(payload).ok(),
            Self::Binary(_) => None,
        }
    }

    /// Returns the payload's length in bytes.
    #[must_use]
    #[inline]
    pub const fn len(&self) -> usize {
        self.payload().len()
    }

    /// Returns whether the payload is empty.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.payload().is_empty()
    }
}

/// Shows only kind and length: payloads may hold credentials, and must not get into logs.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(payload) => write!(f, "Text({} bytes)", payload.len()),
            Self::Binary(payload) => write!(f, "Binary({} bytes)", payload.len()),
        }
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::Text(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes.into())
    }
}

impl From<Bytes> for Message {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}

/// A whole message or control frame, received or sent (RFC 6455 §5.5, §5.6). Fragments have been joined.
#[derive(Clone, PartialEq, Eq)]
pub enum Frame {
    /// A data message.
    Message(Message),
    /// A ping. The transport answers it.
    Ping(Bytes),
    /// A pong.
    Pong(Bytes),
    /// A Close frame. It may have no body.
    Close(Option<CloseFrame>),
}

impl Frame {
    /// Returns the payload's length in bytes. For a Close frame, this is the length of its reason.
    #[must_use]
    #[inline]
    pub const fn len(&self) -> usize {
        match self {
            Self::Message(message) => message.len(),
            Self::Ping(payload) | Self::Pong(payload) => payload.len(),
            Self::Close(Some(frame)) => frame.reason.len(),
            Self::Close(None) => 0,
        }
    }

    /// Returns whether [`len`](Self::len) is 0.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Shows only kind and length: payloads may hold credentials, and must not get into logs.
impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(message) => message.fmt(f),
            Self::Ping(payload) => write!(f, "Ping({} bytes)", payload.len()),
            Self::Pong(payload) => write!(f, "Pong({} bytes)", payload.len()),
            Self::Close(frame) => f.debug_tuple("Close").field(frame).finish(),
        }
    }
}

impl<M: Into<Message>> From<M> for Frame {
    fn from(message: M) -> Self {
        Self::Message(message.into())
    }
}

/// The body of a Close frame (RFC 6455 §5.5.1).
#[derive(Clone, PartialEq, Eq)]
pub struct CloseFrame {
    /// Status code (RFC 6455 §7.4).
    pub code: u16,
    /// The sender's reason, at most 123 bytes on the wire; often empty.
    pub reason: String,
}

impl CloseFrame {
    /// Normal closure (RFC 6455 §7.4.1).
    pub const NORMAL: u16 = 1000;
    /// Protocol error (RFC 6455 §7.4.1).
    pub const PROTOCOL_ERROR: u16 = 1002;
    /// Data that does not match its type, such as text that is not UTF-8 (RFC 6455 §7.4.1).
    pub const INVALID_DATA: u16 = 1007;
    /// A message or frame that is too big to process (RFC 6455 §7.4.1).
    pub const TOO_BIG: u16 = 1009;

    /// Returns a frame with this code and no reason.
    #[must_use]
    pub const fn new(code: u16) -> Self {
        Self { code, reason: String::new() }
    }

    /// Returns whether `code` may be sent (RFC 6455 §7.4, and the IANA registry).
    #[must_use]
    pub const fn may_be_sent(code: u16) -> bool {
        matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }

    /// Checks that the frame can be sent.
    ///
    /// # Errors
    /// Returns an error if the code must not be sent, or if the reason is too long.
    pub fn check(&self) -> Result<(), CloseFrameError> {
        if !Self::may_be_sent(self.code) {
            return Err(CloseFrameError::Code(self.code));
        }
        match self.reason.len() {
            0..=123 => Ok(()),
            len => Err(CloseFrameError::Reason { len }),
        }
    }
}

/// Why a Close frame cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseFrameError {
    /// The code must not be sent (RFC 6455 §7.4).
    Code(u16),
    /// The reason is longer than 123 bytes (RFC 6455 §5.5).
    Reason {
        /// The reason's length in bytes.
        len: usize,
    },
}

impl fmt::Display for CloseFrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => {
                write!(
                    f,
                    "a Close frame cannot have the code {code}: use 1000, or 4000 to 4999 for codes of your own"
                )
            }
            Self::Reason { len } => {
                write!(f, "the reason of a Close frame has {len} bytes: shorten it to 123 bytes or less")
            }
        }
    }
}

impl core::error::Error for CloseFrameError {}

/// Shows only the code and the length of the reason: the reason is text of the peer.
impl fmt::Debug for CloseFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CloseFrame({}, reason of {} bytes)", self.code, self.reason.len())
    }
}
