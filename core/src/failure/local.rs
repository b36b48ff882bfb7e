//! Why the application ended a connection.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use core::fmt;

use super::{Failure, shown};

/// Why the application ended a connection: its handler, or its slow consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LocalFailure {
    /// The handler returned a [`Fault`] on a Live connection. Fatal by default if the fault is fatal.
    Fault(Fault),
    /// The handler asked for a new connection.
    Reconnect,
    /// The queue was full under [`Overflow::Disconnect`](crate::Overflow::Disconnect), or reading was paused for longer
    /// than `max_pause`.
    Overflow,
}

impl LocalFailure {
    /// Returns whether the failure is fatal by default.
    #[must_use]
    pub const fn is_fatal(&self) -> bool {
        match self {
            Self::Fault(fault) => fault.is_fatal(),
            Self::Reconnect | Self::Overflow => false,
        }
    }

    /// Returns a short, stable name in `snake_case`, for logs and metric labels.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Fault(_) => "fault",
            Self::Reconnect => "reconnect",
            Self::Overflow => "overflow",
        }
    }
}

impl fmt::Display for LocalFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(fault) => write!(f, "the handler returned a fault: {}", shown(fault.message())),
            Self::Reconnect => f.write_str("the handler asked for a new connection"),
            Self::Overflow => f.write_str("the consumer was too slow"),
        }
    }
}

impl core::error::Error for LocalFailure {}

/// Why a connection did not become Live.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BootstrapFailure {
    /// The handler returned a [`Fault`] before the connection was Live, or sent text that is not UTF-8 in `on_upgrade`.
    /// Fatal by default if the fault is fatal.
    Fault(Fault),
    /// The connection ended before its bootstrap frames were flushed.
    Lost(Box<Failure>),
    /// The connection did not become Live within `bootstrap_timeout`.
    Timeout,
}

impl BootstrapFailure {
    /// Returns whether the failure is fatal by default.
    #[must_use]
    pub const fn is_fatal(&self) -> bool {
        match self {
            Self::Fault(fault) => fault.is_fatal(),
            Self::Lost(_) | Self::Timeout => false,
        }
    }

    /// Returns a short, stable name in `snake_case`, for logs and metric labels.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Fault(_) => "bootstrap_fault",
            Self::Lost(_) => "bootstrap_lost",
            Self::Timeout => "bootstrap_timeout",
        }
    }
}

impl fmt::Display for BootstrapFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(fault) => write!(f, "the handler ended the bootstrap: {}", shown(fault.message())),
            Self::Lost(failure) => write!(f, "the bootstrap frames could not be sent: {failure}"),
            Self::Timeout => f.write_str("the connection did not become live within bootstrap_timeout"),
        }
    }
}

impl core::error::Error for BootstrapFailure {}

/// An error of a handler. Its message is shown to people, so keep secrets out of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    message: String,
    severity: Severity,
}

/// Whether a new attempt may help, after a [`Fault`] or an error of the resolver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Reconnect.
    Retryable,
    /// Stop the feed.
    Fatal,
}

impl Severity {
    pub(super) const fn is_fatal(self) -> bool {
        matches!(self, Self::Fatal)
    }
}

impl Fault {
    /// Returns a fault that a new connection may resolve. Its message is the text of `message`, an error perhaps:
    /// `.map_err(Fault::retryable)?`.
    pub fn retryable(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), severity: Severity::Retryable }
    }

    /// Returns a fault that stops the feed, because no new connection can resolve it.
    pub fn fatal(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), severity: Severity::Fatal }
    }

    /// Returns the handler's message.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns whether a new connection may help.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        self.severity
    }

    pub(crate) const fn is_fatal(&self) -> bool {
        self.severity.is_fatal()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl core::error::Error for Fault {}
