//! Why a connection or an attempt ended, and why a feed stopped. Each group has a file, with names, texts and what is
//! fatal by default beside the variants.

mod connect;
mod connection;
mod local;
mod problem;
mod refusal;
mod stop;

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;
use core::time::Duration;

use crate::escape::Escaped;

pub use connect::ConnectFailure;
pub use connection::ConnectionFailure;
pub use local::{BootstrapFailure, Fault, LocalFailure, Severity};
pub use problem::{ProxyProblem, TlsProblem};
pub use refusal::Refusal;
pub use stop::StopReason;

/// Maximum number of characters displayed of each text of a peer: a reason, a body, a URL.
const SHOWN: usize = 200;

/// Why an attempt failed or a connection ended.
///
/// All failures take one path: classify, then retry or stop.
///
/// Texts in `detail` are from the operating system, libraries and tidegate. They never contain header values, query
/// strings or payloads.
///
/// [`Display`](fmt::Display) adds the server's own words (the reason and body of a refusal, the reason of a Close).
/// These, and the errors of the application's resolver, connecting function or handler, are escaped, and displayed up to
/// 200 characters each.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// No connection was made, or TLS failed on an open one.
    Connect(ConnectFailure),
    /// A connection was made, but did not become Live.
    Bootstrap(BootstrapFailure),
    /// The peer or the network ended the connection.
    Connection(ConnectionFailure),
    /// The application ended the connection: its handler, or its slow consumer.
    Local(LocalFailure),
}

impl Failure {
    /// Returns a refusal with a status and a `Retry-After` only: [`ConnectFailure::Rejected`].
    #[must_use]
    pub fn rejected(status: u16, retry_after: Option<Duration>) -> Self {
        Self::Connect(ConnectFailure::Rejected { status, retry_after, refusal: Box::default() })
    }

    /// Returns the failure of a connection that broke: [`ConnectionFailure::Io`].
    pub fn io(detail: impl Into<String>) -> Self {
        Self::Connection(ConnectionFailure::Io { detail: detail.into() })
    }

    /// Returns whether the failure is fatal by default, so that no retry follows. The docs of each variant say so.
    #[must_use]
    pub const fn is_fatal(&self) -> bool {
        match self {
            Self::Connect(failure) => failure.is_fatal(),
            Self::Bootstrap(failure) => failure.is_fatal(),
            Self::Connection(_) => false,
            Self::Local(failure) => failure.is_fatal(),
        }
    }

    /// Returns the HTTP status with which the server refused the upgrade, if it did.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        if let Self::Connect(ConnectFailure::Rejected { status, .. }) = self { Some(*status) } else { None }
    }

    /// Returns the code with which the server closed the connection, if it did, before or after it was Live. 1005
    /// stands for a Close without a code (RFC 6455 §7.1.5).
    #[must_use]
    pub fn close_code(&self) -> Option<u16> {
        match self {
            Self::Bootstrap(BootstrapFailure::Lost(failure)) => failure.close_code(),
            Self::Connection(ConnectionFailure::Closed(frame)) => {
                Some(frame.as_ref().map_or(1005, |frame| frame.code))
            }
            Self::Bootstrap(_) | Self::Connection(_) | Self::Connect(_) | Self::Local(_) => None,
        }
    }

    /// Returns the `Retry-After` of a 429 or 503, which is a lower bound on the next delay.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        if let Self::Connect(failure) = self { failure.retry_after() } else { None }
    }

    /// Returns a short, stable name in `snake_case`, for logs, metric labels and machine-readable output.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Connect(failure) => failure.kind(),
            Self::Bootstrap(failure) => failure.kind(),
            Self::Connection(failure) => failure.kind(),
            Self::Local(failure) => failure.kind(),
        }
    }

    /// Returns whether a liveness clock ended the connection. Such an end is reported as `timeout`, any other as
    /// `disconnected`.
    #[must_use]
    pub const fn is_timeout(&self) -> bool {
        matches!(self, Self::Connection(failure) if failure.is_timeout())
    }

    /// Returns the failure's `detail`, if it has one, for code that can add to it.
    pub const fn detail_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::Connect(failure) => failure.detail_mut(),
            Self::Connection(failure) => failure.detail_mut(),
            Self::Bootstrap(_) | Self::Local(_) => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(failure) => failure.fmt(f),
            Self::Bootstrap(failure) => failure.fmt(f),
            Self::Connection(failure) => failure.fmt(f),
            Self::Local(failure) => failure.fmt(f),
        }
    }
}

impl core::error::Error for Failure {}

impl From<ConnectFailure> for Failure {
    fn from(failure: ConnectFailure) -> Self {
        Self::Connect(failure)
    }
}

impl From<BootstrapFailure> for Failure {
    fn from(failure: BootstrapFailure) -> Self {
        Self::Bootstrap(failure)
    }
}

impl From<ConnectionFailure> for Failure {
    fn from(failure: ConnectionFailure) -> Self {
        Self::Connection(failure)
    }
}

impl From<LocalFailure> for Failure {
    fn from(failure: LocalFailure) -> Self {
        Self::Local(failure)
    }
}

/// Writes text of a peer after a separator, if there is any.
fn separated(separator: &str, words: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if words.is_empty() { Ok(()) } else { write!(f, "{separator}{}", shown(words)) }
}

const fn shown(words: &str) -> Escaped<'_> {
    Escaped::new(words).at_most(SHOWN)
}
