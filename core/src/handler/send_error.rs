//! Why a message was not accepted for sending (O1, O3).

use crate::failure::Fault;
use crate::frame::Message;

/// Why a message was not accepted for sending. [`into_message`](Self::into_message) returns the message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The feed is not Live.
    NotLive(Message),
    /// The outgoing queue is full. Try again after some of it has been sent.
    Full(Message),
    /// The message is text, but not UTF-8 (RFC 6455 §8.1).
    NotUtf8(Message),
}

impl SendError {
    /// Returns the message that was not accepted.
    #[must_use]
    pub fn into_message(self) -> Message {
        match self {
            Self::NotLive(message) | Self::Full(message) | Self::NotUtf8(message) => message,
        }
    }
}

impl core::fmt::Display for SendError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::NotLive(_) => "the message was not sent: the feed is not live",
            Self::Full(_) => "the message was not sent: the outgoing queue is full",
            Self::NotUtf8(_) => "the message was not sent: it is a text message, but not UTF-8",
        })
    }
}

impl core::error::Error for SendError {}

/// A fault that a new connection may resolve.
impl From<SendError> for Fault {
    fn from(error: SendError) -> Self {
        Self::retryable(error)
    }
}

/// Refuses text that is not UTF-8, for which the peer would fail the connection (RFC 6455 §8.1).
pub(crate) fn checked(message: Message) -> Result<Message, SendError> {
    match &message {
        Message::Text(text) if core::str::from_utf8(text).is_err() => Err(SendError::NotUtf8(message)),
        Message::Text(_) | Message::Binary(_) => Ok(message),
    }
}
