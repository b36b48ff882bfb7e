//! Notices as short lines, and the times between them.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use event_listener::Event;
use tidegate::{Notice, Timestamp};

/// All notices of a feed.
#[derive(Clone, Default)]
pub struct Notices(Arc<Inner>);

#[derive(Default)]
struct Inner {
    seen: Mutex<Vec<Seen>>,
    more: Event,
}

/// A notice, and when it came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// What was noticed.
    pub notice: Notice,
    /// The feed's own time.
    pub time: Timestamp,
    /// The clock's time.
    pub at: Instant,
}

impl Notices {
    /// To be given to `on_notice`.
    pub fn watch(&self) -> impl FnMut(&Notice, Timestamp) + Send + 'static {
        let inner = Arc::clone(&self.0);
        move |notice, time| {
            let seen = Seen { notice: notice.clone(), time, at: Instant::now() };
            inner.seen.lock().unwrap().push(seen);
            inner.more.notify(usize::MAX);
        }
    }

    /// All so far.
    pub fn all(&self) -> Vec<Seen> {
        self.0.seen.lock().unwrap().clone()
    }

    /// All so far, as lines.
    pub fn lines(&self) -> Vec<String> {
        self.all().iter().map(|seen| notice_line(&seen.notice)).collect()
    }

    /// Attempt and delay of each retry.
    pub fn retries(&self) -> Vec<(u32, Duration)> {
        let retry = |seen: Seen| {
            let Notice::Retry { attempt, delay } = seen.notice else { return None };
            Some((attempt, delay))
        };
        self.all().into_iter().filter_map(retry).collect()
    }

    /// The feed's time at each of the notices that read so.
    pub fn times(&self, line: &str) -> Vec<Timestamp> {
        let all = self.all();
        all.iter().filter(|seen| notice_line(&seen.notice).starts_with(line)).map(|seen| seen.time).collect()
    }

    /// Waits until `count` notices begin so.
    pub async fn until(&self, line: &str, count: usize) {
        loop {
            let more = self.0.more.listen();
            if self.times(line).len() >= count {
                return;
            }
            more.await;
        }
    }
}

fn notice_line(notice: &Notice) -> String {
    #[expect(clippy::wildcard_enum_match_arm, reason = "most are told by their name, connection and reason")]
    match notice {
        Notice::Status { live } => format!("status {live}"),
        Notice::Retry { attempt, .. } => format!("retry {attempt}"),
        _ => {
            let connection = notice.connection().map(|id| format!(" {id}")).unwrap_or_default();
            let reason = notice.reason().map(|reason| format!(": {reason}")).unwrap_or_default();
            format!("{}{connection}{reason}", notice.name())
        }
    }
}

/// Each span between neighbors.
pub fn spans(times: &[Timestamp]) -> Vec<Duration> {
    times.windows(2).map(|pair| pair[1].saturating_since(pair[0])).collect()
}

/// Time can always pass: only the best of several measurements says how late something is.
#[track_caller]
pub fn assert_best(spans: &[Duration], at_least: Duration, late: Duration) {
    assert!(!spans.is_empty());
    assert!(spans.iter().all(|span| *span >= at_least), "too early: {spans:?}, not {at_least:?}");
    assert!(spans.iter().any(|span| *span <= at_least + late), "always late: {spans:?}, not {at_least:?}");
}
