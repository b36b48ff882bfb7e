//! Why a connection or an attempt ended, and why a feed stopped: one file for each group, with names, texts and what is fatal
//! by default beside the variants.

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

/// Most characters shown of each thing that a peer said: a reason, a body, a URL.
const SHOWN: usize = 200;

/// Why an attempt failed or a connection ended. Each goes down the same path: classify, then retry or stop (R1).
///
/// Texts in `detail` come from the operating system and from libraries, or say what a library saw; they never hold
/// header values, query strings or payloads. [`Display`](fmt::Display) adds the words of the server, a refusal's reason and
/// body or the reason of a Close, and those of the application's own functions, escaped and at most 200 characters of each (T3).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// No connection was made, or TLS failed on one.
    Connect(ConnectFailure),
    /// The connection was made, but did not get as far as Live (B4).
    Bootstrap(BootstrapFailure),
    /// The peer or the network ended the connection.
    Connection(ConnectionFailure),
    /// This side ended the connection: the handler, or a slow consumer.
    Local(LocalFailure),
}

impl Failure {
    /// Returns a refusal with only a status and a `Retry-After`.
    #[must_use]
    pub fn rejected(status: u16, retry_after: Option<Duration>) -> Self {
        Self::Connect(ConnectFailure::Rejected { status, retry_after, refusal: Box::default() })
    }

    /// Returns the failure of a connection that broke: [`ConnectionFailure::Io`].
    pub fn io(detail: impl Into<String>) -> Self {
        Self::Connection(ConnectionFailure::Io { detail: detail.into() })
    }

    /// Returns whether it is fatal by default, so that no retry follows (R6). Each variant that is says so.
    #[must_use]
    pub const fn is_fatal(&self) -> bool {
        match self {
            Self::Connect(failure) => failure.is_fatal(),
            Self::Bootstrap(failure) => failure.is_fatal(),
            Self::Connection(_) => false,
            Self::Local(failure) => failure.is_fatal(),
        }
    }

    /// The `Retry-After` of a 429 or 503: the least delay before the next attempt (R5).
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        if let Self::Connect(failure) = self { failure.retry_after() } else { None }
    }

    /// A short, stable name in `snake_case`, for logs, metric labels and machine-readable output.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Connect(failure) => failure.kind(),
            Self::Bootstrap(failure) => failure.kind(),
            Self::Connection(failure) => failure.kind(),
            Self::Local(failure) => failure.kind(),
        }
    }

    /// Whether a liveness clock ran out: such a connection is reported as `timeout`, any other as `disconnected` (T2).
    #[must_use]
    pub const fn is_timeout(&self) -> bool {
        matches!(self, Self::Connection(failure) if failure.is_timeout())
    }

    /// Returns its `detail`, if it has one, for code that knows more about where the failure was met.
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

/// Words of a peer behind a separator, if there are any.
fn separated(separator: &str, words: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if words.is_empty() { Ok(()) } else { write!(f, "{separator}{}", shown(words)) }
}

const fn shown(words: &str) -> Escaped<'_> {
    Escaped::new(words).at_most(SHOWN)
}
