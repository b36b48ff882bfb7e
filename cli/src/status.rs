//! Standard error: lines, and on a terminal a live status line below them.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use tidegate::{FeedHandle, Stats};

/// Where people look. Cheap to clone; all clones share the terminal.
#[derive(Clone)]
pub(crate) struct StatusLine {
    /// Only on a terminal: nothing of it when piped.
    bar: Option<ProgressBar>,
}

impl StatusLine {
    /// A live line, if somebody sits there and wants one.
    pub(crate) fn new(wanted: bool) -> Self {
        let bar = (wanted && io::stderr().is_terminal()).then(|| {
            let style = ProgressStyle::with_template("{msg}").expect("the template is a constant");
            ProgressBar::new_spinner().with_style(style)
        });
        Self { bar }
    }

    /// One line, above the live one. A closed standard error is no reason to stop.
    pub(crate) fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| print(text)),
            None => print(text),
        }
    }

    /// Whether what is written to standard output would run into the live line.
    pub(crate) fn shares_terminal(&self) -> bool {
        self.bar.is_some() && io::stdout().is_terminal()
    }

    /// Does something with the live line out of the way.
    pub(crate) fn suspend<T>(&self, act: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(act),
            None => act(),
        }
    }

    /// Keeps the live line current until it is dropped.
    pub(crate) async fn follow(self, feed: FeedHandle) {
        let Some(bar) = self.bar else { return std::future::pending().await };
        let mut ticks = tokio::time::interval(Duration::from_millis(250));
        let (mut last, mut delivered) = (Instant::now(), 0);
        loop {
            ticks.tick().await;
            let stats = feed.stats();
            let rate = per_second(stats.delivered - delivered, last.elapsed());
            (last, delivered) = (Instant::now(), stats.delivered);
            bar.set_message(describe(feed.phase().as_str(), &stats, rate));
            bar.tick();
        }
    }

    pub(crate) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn print(text: &str) {
    // There is nowhere left to say that standard error is closed.
    let _ = writeln!(io::stderr(), "{text}");
}

fn describe(phase: &str, stats: &Stats, rate: f64) -> String {
    let round_trip = stats.round_trip.map_or_else(|| "-".to_owned(), |span| format!("{span:.1?}"));
    format!(
        "{phase} · connection {} · {rate:.0} items/s · {} queued · retry {} · round trip {round_trip}",
        stats.attempts, stats.queued, stats.retries
    )
}

#[allow(clippy::cast_precision_loss, reason = "a rate for people")]
fn per_second(count: u64, span: Duration) -> f64 {
    count as f64 / span.as_secs_f64().max(0.001)
}

/// A span as people say it.
pub(crate) fn human(span: Duration) -> String {
    if span < Duration::from_secs(60) {
        format!("{:.3}s", span.as_secs_f64())
    } else {
        HumanDuration(span).to_string()
    }
}
