//! The terminal behind standard error: lines in color, and a live status line below them.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use anstream::adapter::strip_str;
use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use tidegate::{FeedHandle, Phase, Stats};

/// How often the live line changes.
pub(crate) const PACE: Duration = Duration::from_millis(250);

pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const CHANGING: Style = AnsiColor::Yellow.on_default();
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();

/// Where people look. Cheap to clone; all clones share the terminal.
#[derive(Clone)]
pub(crate) struct StatusLine {
    /// Only on a terminal: nothing of it when piped.
    bar: Option<ProgressBar>,
    colored: bool,
}

impl StatusLine {
    /// A live line, if standard error is a terminal and one is wanted.
    pub(crate) fn new(wanted: bool) -> Self {
        let bar = (wanted && io::stderr().is_terminal()).then(|| {
            let style = ProgressStyle::with_template("{msg}").expect("the template is a constant");
            ProgressBar::new_spinner().with_style(style)
        });
        Self { bar, colored: is_colored(&io::stderr()) }
    }

    /// Writes one line, above the live one. A closed standard error is no reason to stop.
    pub(crate) fn line(&self, text: &str) {
        let text = paint(text, self.colored);
        self.suspend(|| {
            // There is nowhere left to say that standard error is closed.
            let _ = writeln!(io::stderr(), "{text}");
        });
    }

    /// Whether what is written to standard output would run into the live line.
    pub(crate) fn shares_terminal(&self) -> bool {
        self.bar.is_some() && io::stdout().is_terminal()
    }

    /// Whether there is a live line to keep up to date.
    pub(crate) const fn is_live(&self) -> bool {
        self.bar.is_some()
    }

    /// Does something with the live line out of the way.
    pub(crate) fn suspend<T>(&self, act: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(act),
            None => act(),
        }
    }

    /// Removes the live line.
    pub(crate) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// What the live line says of a feed.
pub(crate) struct Live {
    feed: FeedHandle,
    shown: Instant,
    delivered: u64,
}

impl Live {
    pub(crate) fn new(feed: FeedHandle) -> Self {
        Self { feed, shown: Instant::now(), delivered: 0 }
    }

    /// Shows the present figures, if it is time to.
    pub(crate) fn show(&mut self, on: &StatusLine) {
        let Some(bar) = on.bar.as_ref().filter(|_| self.shown.elapsed() >= PACE) else { return };
        let stats = self.feed.stats();
        let rate = per_second(stats.delivered - self.delivered, self.shown.elapsed());
        (self.shown, self.delivered) = (Instant::now(), stats.delivered);
        bar.set_message(paint(&describe(self.feed.phase(), &stats, rate), on.colored));
        bar.tick();
    }
}

/// Says when to use color. `Auto` is on a terminal, unless the environment says otherwise.
pub(crate) fn choose_color(when: clap::ColorChoice) {
    let choice = match when {
        clap::ColorChoice::Auto => ColorChoice::Auto,
        clap::ColorChoice::Always => ColorChoice::Always,
        clap::ColorChoice::Never => ColorChoice::Never,
    };
    choice.write_global();
}

/// Whether colors are wanted on a stream: it is a terminal, or `--color` or the environment says so.
pub(crate) fn is_colored(stream: &impl anstream::stream::RawStream) -> bool {
    AutoStream::choice(stream) != ColorChoice::Never
}

/// The text as it is, or without its colors.
pub(crate) fn paint(text: &str, colored: bool) -> String {
    if colored { text.to_owned() } else { strip_str(text).to_string() }
}

/// The style of a phase's name.
const fn style(phase: Phase) -> Style {
    match phase {
        Phase::Live => GOOD,
        Phase::Idle | Phase::Connecting | Phase::Bootstrapping | Phase::Closing | Phase::Waiting => CHANGING,
        Phase::Stopped => BAD,
    }
}

fn describe(phase: Phase, stats: &Stats, rate: f64) -> String {
    let round_trip = stats.round_trip.map_or_else(|| "-".to_owned(), millis);
    let style = style(phase);
    format!(
        "{style}{}{style:#} · connection {} · {rate:.0} items/s · {} queued · retry {} · round trip {round_trip}",
        phase.as_str(),
        stats.attempts,
        stats.queued,
        stats.retries
    )
}

#[allow(clippy::cast_precision_loss, reason = "a rate for people")]
fn per_second(count: u64, span: Duration) -> f64 {
    count as f64 / span.as_secs_f64().max(0.001)
}

/// A short span, such as a round trip.
pub(crate) fn millis(span: Duration) -> String {
    format!("{:.1} ms", span.as_secs_f64() * 1000.0)
}

/// A span as people say it.
pub(crate) fn human(span: Duration) -> String {
    if span < Duration::from_secs(60) {
        format!("{:.3}s", span.as_secs_f64())
    } else {
        HumanDuration(span).to_string()
    }
}
