//! Why this side ended a connection: the handler, or a slow consumer.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

use super::Failure;

/// Why this side ended a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LocalFailure {
    /// The handler rejected a message (H3). Fatal by default if the fault is.
    Fault(Fault),
    /// The handler asked for a new connection (H4).
    Reconnect,
    /// The queue was full under [`Overflow::Disconnect`](crate::Overflow::Disconnect), or reading was held back for
    /// longer than `max_pause` (D4, L5).
    Overflow,
}

impl LocalFailure {
    /// Returns whether it is fatal by default (R6).
    #[must_use]
    pub const fn is_fatal(&self) -> bool {
        match self {
            Self::Fault(fault) => fault.is_fatal(),
            Self::Reconnect | Self::Overflow => false,
        }
    }

    /// A short, stable name in `snake_case`, for logs and metric labels.
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
            Self::Fault(fault) => write!(f, "the handler rejected a message: {fault}"),
            Self::Reconnect => f.write_str("the handler asked for a new connection"),
            Self::Overflow => f.write_str("the consumer was too slow"),
        }
    }
}

impl core::error::Error for LocalFailure {}

/// Why a connection did not get as far as Live (B4).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BootstrapFailure {
    /// The handler found fault before the connection was Live: in `on_upgrade`, with what it was told to send, or with a
    /// message such as a refused subscription. Fatal by default if the fault is.
    Fault(Fault),
    /// The connection ended while its bootstrap frames were still owed.
    Lost(Box<Failure>),
    /// Not Live within `bootstrap_timeout` (B3).
    Timeout,
}

impl BootstrapFailure {
    /// Returns whether it is fatal by default (R6).
    #[must_use]
    pub const fn is_fatal(&self) -> bool {
        match self {
            Self::Fault(fault) => fault.is_fatal(),
            Self::Lost(_) | Self::Timeout => false,
        }
    }

    /// A short, stable name in `snake_case`, for logs and metric labels.
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
            Self::Fault(fault) => write!(f, "the bootstrap was refused: {fault}"),
            Self::Lost(failure) => write!(f, "the bootstrap frames could not be sent: {failure}"),
            Self::Timeout => f.write_str("the connection did not become live within bootstrap_timeout"),
        }
    }
}

impl core::error::Error for BootstrapFailure {}

/// What a handler says when it cannot go on (H3). Its message is shown to people: keep secrets out of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    message: String,
    severity: Severity,
}

/// Whether a new connection may mend a [`Fault`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Reconnect.
    Retryable,
    /// Stop the feed.
    Fatal,
}

impl Fault {
    /// A fault that a new connection may mend.
    pub fn retryable(message: impl Into<String>) -> Self {
        Self { message: message.into(), severity: Severity::Retryable }
    }

    /// A fault that nothing mends: the feed stops.
    pub fn fatal(message: impl Into<String>) -> Self {
        Self { message: message.into(), severity: Severity::Fatal }
    }

    /// What the handler said.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether a new connection may mend it.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        self.severity
    }

    const fn is_fatal(&self) -> bool {
        matches!(self.severity, Severity::Fatal)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl core::error::Error for Fault {}
