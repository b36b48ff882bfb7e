//! Notices for people and machines: `tracing` events, `metrics` if wanted, and the application's own observer (T3).

use tidegate_core::{Notice, Timestamp};

pub(crate) type NoticeFn = Box<dyn FnMut(&Notice, Timestamp) + Send>;

pub(crate) struct Observer {
    telemetry_id: String,
    watch: Option<NoticeFn>,
}

impl Observer {
    pub(crate) const fn new(telemetry_id: String, watch: Option<NoticeFn>) -> Self {
        Self { telemetry_id, watch }
    }

    pub(crate) fn notice(&mut self, notice: &Notice, now: Timestamp) {
        trace(&self.telemetry_id, notice);
        #[cfg(feature = "metrics")]
        measure(&self.telemetry_id, notice);
        if let Some(watch) = &mut self.watch {
            watch(notice, now);
        }
    }

    /// The application's observer is not called again.
    pub(crate) fn mute(&mut self) {
        self.watch = None;
    }
}

/// A failure's text holds no header value, query or payload of ours (T3): core, driver and adapters see to it.
fn trace(feed: &str, notice: &Notice) {
    let event = notice.name();
    match notice {
        Notice::Success { id } => tracing::info!(feed, event, connection = id.get(), "live"),
        Notice::Failure { id, failure } => {
            tracing::warn!(
                feed,
                event,
                connection = id.get(),
                reason = failure.kind(),
                "attempt failed: {failure}"
            );
        }
        Notice::Disconnected { id, failure: Some(failure) } => {
            tracing::warn!(
                feed,
                event,
                connection = id.get(),
                reason = failure.kind(),
                "disconnected: {failure}"
            );
        }
        Notice::Disconnected { id, failure: None } => {
            tracing::warn!(feed, event, connection = id.get(), reason = "shutdown", "disconnected");
        }
        Notice::Timeout { id, failure } => {
            tracing::warn!(
                feed,
                event,
                connection = id.get(),
                reason = failure.kind(),
                "timed out: {failure}"
            );
        }
        Notice::Status { live } => tracing::debug!(feed, event, live, "status"),
        Notice::Pong { id, round_trip } => {
            tracing::debug!(feed, event, connection = id.get(), ?round_trip, "pong");
        }
        Notice::Dropped { count } => tracing::warn!(feed, event, count, "items dropped: the queue was full"),
        Notice::Paused { id } => {
            tracing::debug!(feed, event, connection = id.get(), "reading held back: the queue is full");
        }
        Notice::Resumed { id, paused_for } => {
            tracing::debug!(feed, event, connection = id.get(), ?paused_for, "reading again");
        }
        Notice::Retry { attempt, delay } => tracing::info!(feed, event, attempt, ?delay, "will retry"),
        Notice::Connecting { id } => tracing::debug!(feed, event, connection = id.get(), "connecting"),
        Notice::Stopped { reason } => {
            tracing::info!(feed, event, reason = reason.kind(), "stopped: {reason}")
        }
    }
}

#[cfg(feature = "metrics")]
fn measure(feed: &str, notice: &Notice) {
    let name = notice.telemetry_name(feed);
    match notice {
        Notice::Success { .. } | Notice::Paused { .. } | Notice::Retry { .. } | Notice::Connecting { .. } => {
            metrics::counter!(name).increment(1)
        }
        Notice::Failure { failure, .. } | Notice::Timeout { failure, .. } => {
            metrics::counter!(name, "reason" => failure.kind()).increment(1);
        }
        Notice::Disconnected { failure, .. } => {
            let reason = failure.as_ref().map_or("shutdown", |failure| failure.kind());
            metrics::counter!(name, "reason" => reason).increment(1);
        }
        Notice::Stopped { reason } => metrics::counter!(name, "reason" => reason.kind()).increment(1),
        Notice::Status { live } => metrics::gauge!(name).set(f64::from(u8::from(*live))),
        Notice::Dropped { count } => metrics::counter!(name).increment(*count),
        Notice::Pong { round_trip: span, .. } | Notice::Resumed { paused_for: span, .. } => {
            metrics::histogram!(name).record(span.as_secs_f64());
        }
    }
}
