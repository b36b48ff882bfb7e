//! What happens, for people on standard error and for machines in the telemetry file: one thread that may wait for
//! either, so that neither the feed nor a signal does.

use std::fs::File;
use std::io::{self, LineWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use anstyle::Style;
use tidegate::{ConnectFailure, Failure, FeedHandle, Notice, Timestamp};
use tokio::sync::oneshot;

use crate::advice::{Streak, in_options};
use crate::status::{self, BAD, CHANGING, GOOD, Live, StatusLine, human};
use crate::telemetry;

/// Entries that may wait for a slow standard error or disk before they are given up.
const BACKLOG: usize = 4096;
/// How long the end waits for standard error and disk.
const PATIENCE: Duration = Duration::from_secs(1);
/// A flood of drops is one line a second.
const DROPS_EVERY: Duration = Duration::from_secs(1);

/// How much to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verbosity {
    Quiet,
    Normal,
    Verbose,
}

/// Hands over what is to be reported, without a wait.
pub(crate) struct Reporter {
    entries: SyncSender<Entry>,
    missed: Arc<AtomicU64>,
    done: oneshot::Receiver<()>,
}

enum Entry {
    Notice(Notice, Timestamp),
    Line(String),
    Follow(FeedHandle),
}

impl Reporter {
    /// Opens the telemetry file, which may wait for as long as a FIFO has no reader.
    ///
    /// # Errors
    /// If the telemetry file or the thread cannot be made.
    pub(crate) fn start(
        status: StatusLine,
        verbosity: Verbosity,
        file: Option<&Path>,
    ) -> Result<Self, String> {
        let telemetry: Option<Box<dyn Write + Send>> = match file {
            None => None,
            Some(path) if path == Path::new("-") => Some(Box::new(io::stderr())),
            Some(path) => {
                let file =
                    File::options().append(true).create(true).open(path).map_err(|error| {
                        format!("cannot open the telemetry file {}: {error}", path.display())
                    })?;
                Some(Box::new(LineWriter::new(file)))
            }
        };
        let (entries, incoming) = sync_channel(BACKLOG);
        let (finished, done) = oneshot::channel();
        let missed = Arc::new(AtomicU64::new(0));
        let mut desk = Desk {
            status,
            verbosity,
            telemetry,
            missed: missed.clone(),
            drops: Drops::default(),
            live: None,
            streak: Streak::default(),
        };
        let work = move || {
            desk.work(&incoming);
            // Nobody waits any more if the command has given up on it.
            let _ = finished.send(());
        };
        let thread = std::thread::Builder::new().name("report".to_owned()).spawn(work);
        thread.map_err(|error| format!("cannot start the thread for reports: {error}"))?;
        Ok(Self { entries, missed, done })
    }

    /// What the feed calls with each notice.
    pub(crate) fn observer(&self) -> impl FnMut(&Notice, Timestamp) + Send + 'static {
        let (entries, missed) = (self.entries.clone(), self.missed.clone());
        move |notice, at| submit(&entries, &missed, Entry::Notice(notice.clone(), at))
    }

    /// Writes a line to standard error.
    pub(crate) fn line(&self, text: impl Into<String>) {
        submit(&self.entries, &self.missed, Entry::Line(text.into()));
    }

    /// Keeps the status line at this feed's figures.
    pub(crate) fn follow(&self, feed: FeedHandle) {
        submit(&self.entries, &self.missed, Entry::Follow(feed));
    }

    /// Waits until all is written, within reason. The feed with its observer must be gone by then.
    pub(crate) async fn finish(self) {
        drop(self.entries);
        // Standard error may be a pipe that nobody reads.
        let _ = tokio::time::timeout(PATIENCE, self.done).await;
    }
}

fn submit(entries: &SyncSender<Entry>, missed: &AtomicU64, entry: Entry) {
    if entries.try_send(entry).is_err() {
        missed.fetch_add(1, Ordering::Relaxed);
    }
}

struct Desk {
    status: StatusLine,
    verbosity: Verbosity,
    telemetry: Option<Box<dyn Write + Send>>,
    missed: Arc<AtomicU64>,
    drops: Drops,
    live: Option<Live>,
    streak: Streak,
}

/// Drops that have not been told yet.
#[derive(Default)]
struct Drops {
    count: u64,
    told: Option<Instant>,
}

impl Desk {
    fn work(&mut self, incoming: &Receiver<Entry>) {
        loop {
            match incoming.recv_timeout(if self.live.is_some() { status::PACE } else { DROPS_EVERY }) {
                Ok(Entry::Notice(notice, at)) => self.notice(&notice, at),
                Ok(Entry::Line(text)) => self.status.line(&text),
                Ok(Entry::Follow(feed)) => self.live = self.status.is_live().then(|| Live::new(feed)),
                Err(RecvTimeoutError::Timeout) => self.tell_drops(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if let Some(live) = &mut self.live {
                live.show(&self.status);
            }
        }
        self.status.clear();
        self.drops.told = None;
        self.tell_drops();
        let missed = self.missed.load(Ordering::Relaxed);
        if missed > 0 {
            self.status.line(&format!(
                "tidegate: {missed} notices were lost: standard error or the disk was too slow"
            ));
        }
    }

    fn notice(&mut self, notice: &Notice, at: Timestamp) {
        if let Some(file) = &mut self.telemetry
            && let Err(error) = writeln!(file, "{}", telemetry::json(notice, at))
        {
            self.status.line(&format!("tidegate: the telemetry file cannot be written: {error}"));
            self.telemetry = None;
        }
        if self.verbosity == Verbosity::Quiet {
            return;
        }
        if let Notice::Dropped { count } = notice {
            self.drops.count += count;
            return self.tell_drops();
        }
        if let Some(text) = line(notice, self.verbosity) {
            self.status.line(&format!("[{:>9.3}] {}", seconds(at), in_options(&text)));
        }
        if let Some(text) = self.streak.advice(notice) {
            self.status.line(&format!("[{:>9.3}] {text}", seconds(at)));
        }
    }

    fn tell_drops(&mut self) {
        if self.drops.count == 0 || self.drops.told.is_some_and(|told| told.elapsed() < DROPS_EVERY) {
            return;
        }
        self.status.line(&format!("dropped {} items: the reader is too slow", self.drops.count));
        self.drops = Drops { count: 0, told: Some(Instant::now()) };
    }
}

fn seconds(at: Timestamp) -> f64 {
    at.saturating_since(Timestamp::ZERO).as_secs_f64()
}

/// One readable line per change of state.
fn line(notice: &Notice, verbosity: Verbosity) -> Option<String> {
    let verbose = verbosity == Verbosity::Verbose;
    match notice {
        Notice::Success { id } => Some(colored(GOOD, "live", &format!("connection {id}"))),
        Notice::Failure { id, failure } => {
            let text = if verbose { in_full(failure) } else { failure.to_string() };
            Some(colored(BAD, &format!("attempt {id} failed"), &text))
        }
        Notice::Disconnected { id, failure: Some(failure) } => {
            Some(colored(BAD, "disconnected", &format!("connection {id}: {failure}")))
        }
        Notice::Disconnected { id, failure: None } => {
            Some(colored(CHANGING, "closed", &format!("connection {id}")))
        }
        Notice::Timeout { id, failure } => {
            Some(colored(BAD, "timed out", &format!("connection {id}: {failure}")))
        }
        Notice::Retry { attempt, delay } => {
            Some(format!("{CHANGING}retry {attempt}{CHANGING:#} in {}", human(*delay)))
        }
        Notice::Stopped { reason } => verbose.then(|| colored(CHANGING, "stopped", &reason.to_string())),
        Notice::Connecting { id } => {
            verbose.then(|| colored(CHANGING, "connecting", &format!("attempt {id}")))
        }
        Notice::Pong { id, round_trip } => {
            verbose.then(|| format!("pong: connection {id}, round trip {}", status::millis(*round_trip)))
        }
        Notice::Paused { id } => verbose.then(|| format!("paused: connection {id}: the queue is full")),
        Notice::Resumed { id, paused_for } => {
            verbose.then(|| format!("resumed: connection {id}, after {}", human(*paused_for)))
        }
        Notice::Status { .. } | Notice::Dropped { .. } | _ => None,
    }
}

/// The failure, and all of a refusal's body where its own text cuts it (T3).
fn in_full(failure: &Failure) -> String {
    let text = failure.to_string();
    let Failure::Connect(ConnectFailure::Rejected { refusal, .. }) = failure else { return text };
    let body = refusal.body().to_string();
    if text.ends_with(&body) { text } else { format!("{text} (in full: {body})") }
}

fn colored(style: Style, what: &str, more: &str) -> String {
    format!("{style}{what}{style:#}: {more}")
}

#[cfg(test)]
mod tests {
    use tidegate::{ConnectionId, Refusal};

    use super::*;

    #[test]
    fn a_refusal_is_shown_whole_if_more_is_wanted() {
        let body = format!("{}END", "word ".repeat(100));
        let refusal = Box::new(Refusal::default().with_body(&body));
        let failure = Failure::Connect(ConnectFailure::Rejected { status: 403, retry_after: None, refusal });
        let notice = Notice::Failure { id: ConnectionId::new(1), failure };
        assert!(!line(&notice, Verbosity::Normal).unwrap().contains("END"));
        assert!(line(&notice, Verbosity::Verbose).unwrap().contains(&body));
    }
}
