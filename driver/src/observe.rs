//! Passes notices to `tracing`, to `metrics` by feature, and to the application's observer (T3). Passes figures to
//! `metrics`.

#[cfg(feature = "metrics")]
mod measure;

use std::panic::{AssertUnwindSafe, catch_unwind};

use tidegate_core::{ConnectionId, Notice, Phase, Stats, StopReason, Timestamp};

pub(crate) type NoticeFn = Box<dyn FnMut(&Notice, Timestamp) + Send>;

/// Labels of metrics: names and values.
pub(crate) type Labels = Vec<(String, String)>;

/// What is known of a feed after a poll.
#[derive(Clone, Copy)]
#[cfg_attr(not(feature = "metrics"), expect(dead_code, reason = "only metrics have them"))]
pub(crate) struct Figures {
    pub(crate) phase: Phase,
    pub(crate) stats: Stats,
    /// Payload bytes read since the feed was created.
    pub(crate) bytes: u64,
}

pub(crate) struct Observer {
    telemetry_id: String,
    watch: Option<NoticeFn>,
    #[cfg(feature = "metrics")]
    recorder: measure::Recorder,
}

impl Observer {
    pub(crate) fn new(telemetry_id: String, labels: Labels, watch: Option<NoticeFn>) -> Self {
        #[cfg(not(feature = "metrics"))]
        let _ = labels;
        Self {
            #[cfg(feature = "metrics")]
            recorder: measure::Recorder::new(&telemetry_id, labels),
            telemetry_id,
            watch,
        }
    }

    /// Passes the notice on. Returns `None` if code of the application panicked (H5). An observer or recorder that did is not
    /// called again.
    pub(crate) fn notice(&mut self, notice: &Notice, now: Timestamp) -> Option<()> {
        let traced = guarded(|| trace(&self.telemetry_id, notice));
        let watched = self.watch.as_mut().map_or(Some(()), |watch| guarded(|| watch(notice, now)));
        if watched.is_none() {
            self.watch = None;
        }
        #[cfg(feature = "metrics")]
        self.recorder.record(|metrics| metrics.notice(notice, now))?;
        traced.and(watched)
    }

    /// Records the figures if metrics are enabled. Returns `None` if the application's recorder panicked.
    pub(crate) fn figures(&mut self, figures: Figures) -> Option<()> {
        #[cfg(feature = "metrics")]
        self.recorder.record(|metrics| metrics.figures(figures))?;
        let _ = figures;
        Some(())
    }
}

/// Calls `run`, which runs code of the application. Returns `None` if it panics (H5).
pub(crate) fn guarded<T>(run: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(run)).ok()
}

/// Core, driver and adapters keep header values, queries and payloads out of a failure's text (T3).
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
        // The application asked for it.
        Notice::Disconnected { failure: None, .. } => {
            tracing::info!(feed, event, connection, reason, "disconnected");
        }
        Notice::Timeout { failure, .. } => {
            tracing::warn!(feed, event, connection, reason, "timed out: {failure}");
        }
        Notice::Status { live } => tracing::debug!(feed, event, live, "status"),
        Notice::Pong { round_trip, .. } => tracing::debug!(feed, event, connection, ?round_trip, "pong"),
        Notice::Dropped { count } => tracing::warn!(feed, event, count, "items dropped: the queue was full"),
        Notice::Paused { .. } => {
            tracing::debug!(feed, event, connection, "reading is paused: the queue is full");
        }
        Notice::Resumed { paused_for, .. } => {
            tracing::debug!(feed, event, connection, ?paused_for, "reading resumed");
        }
        Notice::Retry { attempt, delay } => tracing::info!(feed, event, attempt, ?delay, "will retry"),
        Notice::Stopped { reason: stop @ StopReason::Shutdown } => {
            tracing::info!(feed, event, reason, "stopped: {stop}");
        }
        Notice::Stopped { reason: stop } => tracing::error!(feed, event, reason, "stopped: {stop}"),
        _ => tracing::debug!(feed, event, connection, reason, "{event}"),
    }
}
