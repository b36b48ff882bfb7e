//! Refusals, where the words of the server do not matter.

use tidegate::{ConnectFailure, Failure, StopReason};

/// The failure, without what a server said besides status and `Retry-After`.
#[must_use]
pub fn without_words(failure: Failure) -> Failure {
    if let Failure::Connect(ConnectFailure::Rejected { status, retry_after, .. }) = failure {
        return Failure::rejected(status, retry_after);
    }
    failure
}

/// The same of what ended a feed.
#[must_use]
pub fn stop_without_words(reason: StopReason) -> StopReason {
    match reason {
        StopReason::RetriesExhausted { last } => StopReason::RetriesExhausted { last: without_words(last) },
        StopReason::Fatal { failure } => StopReason::Fatal { failure: without_words(failure) },
        reason @ (StopReason::Shutdown | StopReason::HandlerPanicked | _) => reason,
    }
}
