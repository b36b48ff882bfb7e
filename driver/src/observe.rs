//! Passes notices to `tracing`, to `metrics` by feature, and to the application's observer (T3). Passes the figures of
//! [`Stats`](tidegate_core::Stats) to `metrics`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tidegate_core::{ConnectionId, Notice, Stats, Timestamp};

pub(crate) type NoticeFn = Box<dyn FnMut(&Notice, Timestamp) + Send>;

pub(crate) struct Observer {
    telemetry_id: String,
    watch: Option<NoticeFn>,
    #[cfg(feature = "metrics")]
    recorder: Recorder,
}

impl Observer {
    pub(crate) const fn new(telemetry_id: String, watch: Option<NoticeFn>) -> Self {
        Self {
            telemetry_id,
            watch,
            #[cfg(feature = "metrics")]
            recorder: Recorder::New,
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
        self.recorder.record(&self.telemetry_id, |id, _| measure(id, notice))?;
        traced.and(watched)
    }

    /// Records the figures if metrics are enabled. Returns `None` if the application's recorder panicked, which is not called
    /// again (H5).
    pub(crate) fn figures(&mut self, stats: Stats) -> Option<()> {
        #[cfg(feature = "metrics")]
        self.recorder.record(&self.telemetry_id, |_, figures| figures.publish(stats))?;
        let _ = stats;
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
            tracing::debug!(feed, event, connection, "reading is paused: the queue is full");
        }
        Notice::Resumed { paused_for, .. } => {
            tracing::debug!(feed, event, connection, ?paused_for, "reading resumed");
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

/// The application's recorder of metrics, and what is registered with it.
#[cfg(feature = "metrics")]
enum Recorder {
    /// Nothing, since the application may install its recorder after the feed is built.
    New,
    Registered(Box<Figures>),
    /// It has panicked.
    Panicked,
}

#[cfg(feature = "metrics")]
impl Recorder {
    fn record(&mut self, telemetry_id: &str, record: impl FnOnce(&str, &mut Figures)) -> Option<()> {
        let recorded = guarded(|| match self {
            Self::New => {
                let mut figures = Box::new(Figures::new(telemetry_id));
                record(telemetry_id, &mut figures);
                *self = Self::Registered(figures);
            }
            Self::Registered(figures) => record(telemetry_id, figures),
            Self::Panicked => {}
        });
        if recorded.is_none() {
            *self = Self::Panicked;
        }
        recorded
    }
}

/// The figures that no notice gives, as metrics `<telemetry_id>.feed.<name>`.
#[cfg(feature = "metrics")]
struct Figures {
    counters: [(metrics::Counter, Figure); 4],
    gauges: [(metrics::Gauge, Figure); 5],
    published: Stats,
}

#[cfg(feature = "metrics")]
type Figure = fn(&Stats) -> u64;

#[cfg(feature = "metrics")]
impl Figures {
    const COUNTERS: [(&str, Figure); 4] = [
        ("messages", |stats| stats.messages),
        ("items", |stats| stats.items),
        ("delivered", |stats| stats.delivered),
        ("stale_events", |stats| stats.stale_events),
    ];
    const GAUGES: [(&str, Figure); 5] = [
        ("queued", |stats| stats.queued),
        ("queued_bytes", |stats| stats.queued_bytes),
        ("demand", |stats| stats.demand),
        ("sending", |stats| stats.sending),
        ("retries", |stats| stats.retries.into()),
    ];

    fn new(feed: &str) -> Self {
        let name = |figure: &str| format!("{feed}.feed.{figure}");
        Self {
            counters: Self::COUNTERS.map(|(figure, of)| (metrics::counter!(name(figure)), of)),
            gauges: Self::GAUGES.map(|(figure, of)| (metrics::gauge!(name(figure)), of)),
            published: Stats::default(),
        }
    }

    fn publish(&mut self, stats: Stats) {
        for (counter, of) in &self.counters {
            let more = of(&stats) - of(&self.published);
            if more > 0 {
                counter.increment(more);
            }
        }
        for (gauge, of) in &self.gauges {
            if of(&stats) != of(&self.published) {
                gauge.set(of(&stats) as f64);
            }
        }
        self.published = stats;
    }
}

/// A gauge must not keep the value of a feed that is gone (T2).
#[cfg(feature = "metrics")]
impl Drop for Figures {
    fn drop(&mut self) {
        // Guarded: if a panic of the recorder drops them, a second panic would abort the process.
        let _ = guarded(|| self.gauges.iter().for_each(|(gauge, _)| gauge.set(0.0)));
    }
}
