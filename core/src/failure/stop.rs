//! Why a feed ended permanently.

use core::fmt;

use super::Failure;

/// Why a feed ended permanently.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopReason {
    /// The application shut the feed down.
    Shutdown,
    /// The retries that the policy allows have been used up.
    RetriesExhausted {
        /// The failure of the last attempt or connection.
        last: Failure,
    },
    /// A failure was classified as fatal.
    Fatal {
        /// The failure.
        failure: Failure,
    },
    /// The handler, or another function of the application, panicked.
    HandlerPanicked,
    /// The runtime dropped the task of the feed, as runtimes do when they shut down.
    RuntimeStopped,
}

impl StopReason {
    /// Returns a short, stable name in `snake_case`, for logs and machine-readable output.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Shutdown => "shutdown",
            Self::RetriesExhausted { .. } => "retries_exhausted",
            Self::Fatal { .. } => "fatal",
            Self::HandlerPanicked => "handler_panicked",
            Self::RuntimeStopped => "runtime_stopped",
        }
    }

    /// Returns the failure that ended the feed, if one did.
    #[must_use]
    pub const fn failure(&self) -> Option<&Failure> {
        match self {
            Self::RetriesExhausted { last: failure } | Self::Fatal { failure } => Some(failure),
            Self::Shutdown | Self::HandlerPanicked | Self::RuntimeStopped => None,
        }
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shutdown => f.write_str("the feed was shut down"),
            Self::RetriesExhausted { last } => write!(f, "no retries left; last failure: {last}"),
            Self::Fatal { failure } => write!(f, "stopped without a retry: {failure}"),
            Self::HandlerPanicked => {
                f.write_str("the handler, or another function of the application, panicked")
            }
            Self::RuntimeStopped => f.write_str("the runtime dropped the feed's task"),
        }
    }
}

impl core::error::Error for StopReason {}
