//! Why an attempt ended before the upgrade was complete.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;
use core::time::Duration;

use super::{ProxyProblem, Refusal, SHOWN, Severity, TlsProblem, separated, shown};

/// Why no connection was made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectFailure {
    /// The application's resolver failed. Fatal by default if the resolver says so.
    Resolve {
        /// The resolver's error.
        detail: String,
        /// Whether another attempt may help.
        severity: Severity,
    },
    /// The request that the resolver returned cannot be sent, because of one of its headers. Fatal by default.
    Request {
        /// The header, and what to do.
        detail: String,
    },
    /// The application's own function for connecting failed.
    Custom {
        /// The application's error.
        detail: String,
    },
    /// The lookup of the host's name failed.
    Lookup {
        /// The operating system's error.
        detail: String,
    },
    /// No TCP connection could be made.
    Tcp {
        /// The operating system's error.
        detail: String,
    },
    /// The proxy could not be reached, or opened no tunnel. Fatal by default for some [`ProxyProblem`]s.
    Proxy {
        /// The kind of problem.
        problem: ProxyProblem,
        /// The error of the proxy, the operating system or a library.
        detail: String,
    },
    /// TLS failed. Fatal by default for some [`TlsProblem`]s.
    ///
    /// This may happen after the connection is open: with TLS 1.3, a server may refuse a client's certificate that
    /// late.
    Tls {
        /// The kind of problem.
        problem: TlsProblem,
        /// The error, and what may help.
        detail: String,
    },
    /// The server answered the upgrade with another status than 101. By default 501 is fatal, and 4xx other than 408,
    /// 425 and 429.
    Rejected {
        /// HTTP status code.
        status: u16,
        /// The `Retry-After`, as a duration from now (RFC 9110 §10.2.3).
        retry_after: Option<Duration>,
        /// Headers, reason and body of the answer, and the URL that redirects led to.
        refusal: Box<Refusal>,
    },
    /// The server redirected to another origin, which the connector does not allow. Fatal by default.
    Redirected {
        /// Scheme, host, port and path of the new URL.
        to: String,
    },
    /// The answer to the upgrade is not valid (RFC 6455 §4.1).
    Upgrade {
        /// Why the answer is not valid.
        detail: String,
    },
    /// No connection was made within `connect_timeout`.
    Timeout,
}

impl ConnectFailure {
    /// Returns whether the failure is fatal by default. The docs of each variant say so.
    #[must_use]
    pub const fn is_fatal(&self) -> bool {
        match self {
            // 408 Request Timeout, 425 Too Early and 429 Too Many Requests ask for another try. Waiting does not change
            // 501 Not Implemented.
            Self::Rejected { status, .. } => {
                matches!(status, 400..=499 | 501) && !matches!(status, 408 | 425 | 429)
            }
            Self::Tls { problem, .. } => problem.is_fatal(),
            Self::Proxy { problem, .. } => problem.is_fatal(),
            // The next attempt would send the same request, or be redirected to the same place.
            Self::Request { .. } | Self::Redirected { .. } => true,
            Self::Resolve { severity, .. } => severity.is_fatal(),
            Self::Custom { .. }
            | Self::Lookup { .. }
            | Self::Tcp { .. }
            | Self::Upgrade { .. }
            | Self::Timeout => false,
        }
    }

    /// Returns a short, stable name in `snake_case`, for logs and metric labels.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Resolve { .. } => "resolve",
            Self::Request { .. } => "request",
            Self::Custom { .. } => "custom",
            Self::Lookup { .. } => "lookup",
            Self::Tcp { .. } => "tcp",
            Self::Proxy { problem, .. } => problem.kind(),
            Self::Tls { problem, .. } => problem.kind(),
            Self::Rejected { .. } => "rejected",
            Self::Redirected { .. } => "redirected",
            Self::Upgrade { .. } => "upgrade",
            Self::Timeout => "connect_timeout",
        }
    }

    pub(super) const fn retry_after(&self) -> Option<Duration> {
        if let Self::Rejected { status: 429 | 503, retry_after, .. } = self { *retry_after } else { None }
    }

    pub(super) const fn detail_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::Resolve { detail, .. }
            | Self::Request { detail }
            | Self::Custom { detail }
            | Self::Lookup { detail }
            | Self::Tcp { detail }
            | Self::Proxy { detail, .. }
            | Self::Tls { detail, .. }
            | Self::Upgrade { detail } => Some(detail),
            Self::Rejected { .. } | Self::Redirected { .. } | Self::Timeout => None,
        }
    }
}

impl fmt::Display for ConnectFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve { detail, .. } => {
                write!(f, "the resolver of URL and headers failed: {}", shown(detail))
            }
            Self::Request { detail } => write!(f, "the request cannot be sent: {detail}"),
            Self::Custom { detail } => write!(f, "the application could not connect: {}", shown(detail)),
            Self::Lookup { detail } => write!(f, "the host's name could not be looked up: {detail}"),
            Self::Tcp { detail } => write!(f, "no TCP connection: {detail}"),
            Self::Proxy { detail, .. } => write!(f, "could not connect through the proxy: {detail}"),
            Self::Tls { detail, .. } => write!(f, "TLS failed: {detail}"),
            Self::Rejected { status, refusal, .. } => fmt_rejected(*status, self.retry_after(), refusal, f),
            Self::Redirected { to } => write!(
                f,
                "the server redirected to {}, which is another origin: connect to that URL, or allow redirects to other \
                 origins if it may see what the feed sends",
                shown(to)
            ),
            Self::Upgrade { detail } => write!(f, "the answer to the upgrade is not valid: {detail}"),
            Self::Timeout => f.write_str("no connection was made within connect_timeout"),
        }
    }
}

impl core::error::Error for ConnectFailure {}

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
