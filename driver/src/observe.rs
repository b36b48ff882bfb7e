//! Notices for people and machines: `tracing` events, `metrics` if wanted, and the application's own observer (T3).

use tidegate_core::{ConnectionId, Notice, Timestamp};

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
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a notice without a text or field of its own needs no arm"
)]
fn trace(feed: &str, notice: &Notice) {
    let (event, reason) = (notice.name(), notice.reason());
    let connection = notice.connection().map(ConnectionId::get);
    match notice {
        Notice::Success { .. } => tracing::info!(feed, event, connection, "live"),
        Notice::Failure { failure, .. } => {
            tracing::warn!(feed, event, connection, reason, "attempt failed: {failure}");
        }
        Notice::Disconnected { failure: Some(failure), .. } => {
            tracing::warn!(feed, event, connection, reason, "disconnected: {failure}");
        }
        Notice::Disconnected { failure: None, .. } => {
            tracing::warn!(feed, event, connection, reason, "disconnected");
        }
        Notice::Timeout { failure, .. } => {
            tracing::warn!(feed, event, connection, reason, "timed out: {failure}");
        }
        Notice::Status { live } => tracing::debug!(feed, event, live, "status"),
        Notice::Pong { round_trip, .. } => tracing::debug!(feed, event, connection, ?round_trip, "pong"),
        Notice::Dropped { count } => tracing::warn!(feed, event, count, "items dropped: the queue was full"),
        Notice::Paused { .. } => {
            tracing::debug!(feed, event, connection, "reading held back: the queue is full");
        }
        Notice::Resumed { paused_for, .. } => {
            tracing::debug!(feed, event, connection, ?paused_for, "reading again");
        }
        Notice::Retry { attempt, delay } => tracing::info!(feed, event, attempt, ?delay, "will retry"),
        Notice::Stopped { reason: stop } => tracing::info!(feed, event, reason, "stopped: {stop}"),
        _ => tracing::debug!(feed, event, connection, reason, "{event}"),
    }
}

#[cfg(feature = "metrics")]
fn measure(feed: &str, notice: &Notice) {
    let name = notice.telemetry_name(feed);
    if let Notice::Status { live } = notice {
        metrics::gauge!(name).set(f64::from(u8::from(*live)));
    } else if let Notice::Dropped { count } = notice {
        metrics::counter!(name).increment(*count);
    } else if let Some(duration) = notice.duration() {
        metrics::histogram!(name).record(duration.as_secs_f64());
    } else if let Some(reason) = notice.reason() {
        metrics::counter!(name, "reason" => reason).increment(1);
    } else {
        metrics::counter!(name).increment(1);
    }
}
