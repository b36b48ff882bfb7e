//! Why a connection or an attempt ended, and why a feed stopped.

mod problem;
mod refusal;

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;
use core::time::Duration;

use crate::escape::Escaped;
use crate::frame::CloseFrame;

pub use problem::{ProxyProblem, TlsProblem};
pub use refusal::Refusal;

/// Most characters shown of each thing that a peer said: a reason, a body, a URL.
const SHOWN: usize = 200;

/// Why an attempt failed or a connection ended. Each goes down the same path: classify, then retry or stop (R1).
///
/// Texts in `detail` come from the operating system and from libraries, or say what a library saw; they never hold
/// header values, query strings or payloads. [`Display`](fmt::Display) adds the words of the server, a refusal's reason and
/// body or the reason of a Close, escaped and at most 200 characters of each (T3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The application's resolver of URL and headers failed (C4).
    Resolve {
        /// What the resolver said.
        detail: String,
    },
    /// The request cannot be sent as the resolver made it (C4): one of its headers is wrong. Fatal by default.
    Request {
        /// Which header, and what to do.
        detail: String,
    },
    /// The application's own way to connect failed.
    Connect {
        /// What the application said.
        detail: String,
    },
    /// The host's name could not be looked up.
    Lookup {
        /// What the operating system said.
        detail: String,
    },
    /// No TCP connection came about.
    Tcp {
        /// What the operating system said.
        detail: String,
    },
    /// There was no way through the proxy.
    Proxy {
        /// What kept it from working.
        problem: ProxyProblem,
        /// What the proxy, the operating system or a library said.
        detail: String,
    },
    /// TLS failed.
    Tls {
        /// Which check failed.
        problem: TlsProblem,
        /// What happened, and what may help.
        detail: String,
    },
    /// The server answered the upgrade with another status than 101.
    Rejected {
        /// HTTP status code.
        status: u16,
        /// `Retry-After`, already turned into a span from now (RFC 9110 §10.2.3).
        retry_after: Option<Duration>,
        /// Reason, body and redirect of the answer.
        refusal: Box<Refusal>,
    },
    /// The server redirected to another origin, which the connector does not allow. Fatal by default.
    Redirected {
        /// Scheme, host, port and path of the new URL.
        to: String,
    },
    /// What came back was not a valid answer to the upgrade (RFC 6455 §4.1).
    Upgrade {
        /// What was wrong with it.
        detail: String,
    },
    /// No connection within `connect_timeout` (C3).
    ConnectTimeout,
    /// The connection was made, but did not get as far as Live (B4).
    Bootstrap(BootstrapFailure),
    /// The peer sent a Close frame.
    Closed(Option<CloseFrame>),
    /// The connection broke without a closing handshake: reset, or end of stream.
    Io {
        /// What the operating system said.
        detail: String,
    },
    /// The peer broke the WebSocket protocol, or a limit on the size of frames or messages.
    Protocol {
        /// The code that the peer is closed with (RFC 6455 §7.4.1): 1002 for the protocol, 1007 for text that is not
        /// UTF-8, 1009 for a size over the limit.
        code: u16,
        /// Which rule it broke.
        detail: String,
    },
    /// Nothing was heard for `idle_timeout` (L1, L2).
    IdleTimeout,
    /// A ping was not answered within `pong_timeout` (L3).
    PongTimeout,
    /// No item came out for `stale_after` (L4).
    Stale,
    /// The handler found fault with a message (H3).
    Fault(Fault),
    /// The handler asked for a new connection (H4).
    Reconnect,
    /// The queue was full under [`Overflow::Disconnect`](crate::Overflow::Disconnect), or reading was held back for
    /// longer than `max_pause` (D4, L5).
    Overflow,
}

impl Failure {
    /// A refusal with only a status and a `Retry-After`.
    #[must_use]
    pub fn rejected(status: u16, retry_after: Option<Duration>) -> Self {
        Self::Rejected { status, retry_after, refusal: Box::default() }
    }

    /// The `Retry-After` of a 429 or 503: the least delay before the next attempt (R5).
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        if let Self::Rejected { status: 429 | 503, retry_after, .. } = self { *retry_after } else { None }
    }

    /// A short, stable name in `snake_case`, for logs, metric labels and machine-readable output.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Resolve { .. } => "resolve",
            Self::Request { .. } => "request",
            Self::Connect { .. } => "connect",
            Self::Lookup { .. } => "lookup",
            Self::Tcp { .. } => "tcp",
            Self::Proxy { problem, .. } => problem.kind(),
            Self::Tls { problem, .. } => problem.kind(),
            Self::Rejected { .. } => "rejected",
            Self::Redirected { .. } => "redirected",
            Self::Upgrade { .. } => "upgrade",
            Self::ConnectTimeout => "connect_timeout",
            Self::Bootstrap(BootstrapFailure::Fault(_)) => "bootstrap_fault",
            Self::Bootstrap(BootstrapFailure::Lost(_)) => "bootstrap_lost",
            Self::Bootstrap(BootstrapFailure::Timeout) => "bootstrap_timeout",
            Self::Closed(_) => "closed",
            Self::Io { .. } => "io",
            Self::Protocol { code: CloseFrame::TOO_BIG, .. } => "too_long",
            Self::Protocol { .. } => "protocol",
            Self::IdleTimeout => "idle_timeout",
            Self::PongTimeout => "pong_timeout",
            Self::Stale => "stale",
            Self::Fault(_) => "fault",
            Self::Reconnect => "reconnect",
            Self::Overflow => "overflow",
        }
    }

    /// Whether a liveness clock ran out: such a connection is reported as `timeout`, any other as `disconnected` (T2).
    #[must_use]
    pub const fn is_timeout(&self) -> bool {
        matches!(self, Self::IdleTimeout | Self::PongTimeout | Self::Stale)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve { detail } => write!(f, "the resolver of URL and headers failed: {detail}"),
            Self::Request { detail } => write!(f, "the request cannot be sent: {detail}"),
            Self::Connect { detail } => write!(f, "the application could not connect: {detail}"),
            Self::Lookup { detail } => write!(f, "the host's name could not be looked up: {detail}"),
            Self::Tcp { detail } => write!(f, "no TCP connection: {detail}"),
            Self::Proxy { detail, .. } => write!(f, "no way through the proxy: {detail}"),
            Self::Tls { detail, .. } => write!(f, "TLS failed: {detail}"),
            Self::Rejected { status, refusal, .. } => fmt_rejected(*status, self.retry_after(), refusal, f),
            Self::Redirected { to } => write!(
                f,
                "the server redirected to {}, which is another origin: connect to that URL, or allow redirects to other \
                 origins if it may see what the feed sends",
                shown(to)
            ),
            Self::Upgrade { detail } => write!(f, "the answer to the upgrade is not valid: {detail}"),
            Self::ConnectTimeout => f.write_str("no connection within connect_timeout"),
            Self::Bootstrap(failure) => failure.fmt(f),
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
            Self::Fault(fault) => write!(f, "the handler rejected a message: {fault}"),
            Self::Reconnect => f.write_str("the handler asked for a new connection"),
            Self::Overflow => f.write_str("the consumer was too slow"),
        }
    }
}

impl core::error::Error for Failure {}

fn fmt_rejected(
    status: u16,
    retry_after: Option<Duration>,
    refusal: &Refusal,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    write!(f, "the server refused the upgrade with HTTP {status}")?;
    separated(" ", refusal.reason().as_raw(), f)?;
    if let Some(after) = retry_after {
        write!(f, ", retry after {} s", after.as_secs())?;
    }
    if let Some(url) = refusal.redirected_to() {
        write!(f, " (redirected to {})", url.at_most(SHOWN))?;
    }
    separated(": ", refusal.body().as_raw(), f)
}

/// Words of a peer behind a separator, if there are any.
fn separated(separator: &str, words: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if words.is_empty() { Ok(()) } else { write!(f, "{separator}{}", shown(words)) }
}

const fn shown(words: &str) -> Escaped<'_> {
    Escaped::new(words).at_most(SHOWN)
}

/// Why a connection did not get as far as Live (B4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootstrapFailure {
    /// The handler found fault before the connection was Live: in `on_upgrade`, with what it was told to send, or with a
    /// message such as a refused subscription.
    Fault(Fault),
    /// The connection ended while its bootstrap frames were still owed.
    Lost(Box<Failure>),
    /// Not Live within `bootstrap_timeout` (B3).
    Timeout,
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
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl core::error::Error for Fault {}

/// Why a feed ended for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The application asked for it (S1).
    Shutdown,
    /// As many attempts in a streak as the retry policy allows have failed (R2).
    RetriesExhausted {
        /// Why the last one failed.
        last: Failure,
    },
    /// A failure that is classified as one that no retry mends (R6).
    Fatal {
        /// That failure.
        failure: Failure,
    },
    /// The handler, or another function of the application, panicked (H5).
    HandlerPanicked,
}

impl StopReason {
    /// A short, stable name in `snake_case`, for logs and machine-readable output.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Shutdown => "shutdown",
            Self::RetriesExhausted { .. } => "retries_exhausted",
            Self::Fatal { .. } => "fatal",
            Self::HandlerPanicked => "handler_panicked",
        }
    }

    /// The failure that led to it, if one did.
    #[must_use]
    pub const fn failure(&self) -> Option<&Failure> {
        match self {
            Self::RetriesExhausted { last: failure } | Self::Fatal { failure } => Some(failure),
            Self::Shutdown | Self::HandlerPanicked => None,
        }
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shutdown => f.write_str("the feed was shut down"),
            Self::RetriesExhausted { last } => write!(f, "no retries left; last failure: {last}"),
            Self::Fatal { failure } => write!(f, "not retried: {failure}"),
            Self::HandlerPanicked => f.write_str("the frame handler panicked"),
        }
    }
}

impl core::error::Error for StopReason {}
