//! Why a feed ended permanently.

use core::fmt;

use super::Failure;

/// Why a feed ended for good.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
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
