//! What happened, one line each, for people.

use std::fmt;
use std::sync::Arc;

use tidegate_driver::core::{Delivery, Frame, Message, Timestamp};

use crate::entry::Entry;

/// Shows a value in one line of a trace.
pub(crate) type Show<T> = Arc<dyn Fn(&T) -> String + Send + Sync>;

/// Characters of a payload or an item that a line shows.
const LONGEST: usize = 200;

/// The lines so far.
pub(crate) struct Trace {
    show: Show<Message>,
    lines: Vec<String>,
    last: Last,
    /// The last state of rest of each feed.
    quiet: Vec<String>,
}

/// The last line, which may come again.
#[derive(Default)]
struct Last {
    text: String,
    first: Moment,
    times: u32,
}

impl Trace {
    pub(crate) fn new(show: Show<Message>, feeds: usize) -> Self {
        Self { show, lines: Vec::new(), last: Last::default(), quiet: vec![String::new(); feeds] }
    }

    /// Adds what happened to a feed. A line that comes again is counted, and a feed that still waits for the same is not
    /// mentioned again.
    pub(crate) fn write(&mut self, now: Timestamp, feed: usize, entry: &Entry) {
        let text = Line { entry, show: &self.show }.to_string();
        if let Entry::Quiet { .. } = entry {
            if self.quiet[feed] == text {
                return;
            }
            self.quiet[feed].clone_from(&text);
        }
        self.line(now, if self.quiet.len() > 1 { format!("feed {feed}: {text}") } else { text });
    }

    /// Adds a line of all feeds.
    pub(crate) fn line(&mut self, now: Timestamp, text: String) {
        let now = Moment(now);
        if self.last.text == text {
            self.last.times += 1;
            self.lines.pop();
        } else {
            self.last = Last { text, first: now, times: 1 };
        }
        let Last { text, first, times } = &self.last;
        let start = first.to_string();
        self.lines.push(match times {
            _ if *times > 1 && *first == now => format!("{start:>16} {text} ({times} times)"),
            1 => format!("{start:>16} {text}"),
            _ => format!("{start:>16} {text} ({times} times until {now})"),
        });
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        self.lines
    }
}

/// Text as it is, and bytes as far as they are no text.
pub(crate) fn show_message(message: &Message) -> String {
    match (message, std::str::from_utf8(message.payload())) {
        (Message::Text(_), Ok(text)) => format!("{text:?}"),
        (Message::Binary(_), Ok(text)) => format!("binary {text:?}"),
        (_, Err(_)) => format!("binary b\"{}\"", message.payload().escape_ascii()),
    }
}

fn cut(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(end);
        text.push('…');
    }
    text
}

struct Line<'a> {
    entry: &'a Entry,
    show: &'a Show<Message>,
}

impl Line<'_> {
    fn frame(&self, frame: &Frame) -> String {
        match frame {
            Frame::Message(message) => cut((self.show)(message)),
            Frame::Ping(_) | Frame::Pong(_) | Frame::Close(_) => format!("{frame:?}"),
        }
    }
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.entry {
            Entry::Connect { id } => write!(f, "{id} connect"),
            Entry::Opened { id } => write!(f, "{id} opened"),
            Entry::DialFailed { id, failure } => write!(f, "{id} attempt failed: {failure}"),
            Entry::Gone { id } => write!(f, "{id} dropped by the feed"),
            Entry::Sent { id, frame } => write!(f, "{id} sent {}", self.frame(frame)),
            Entry::Flushed { id } => write!(f, "{id} flushed"),
            Entry::Arrived { id } => write!(f, "{id} something arrived"),
            Entry::Read { id, frame } => write!(f, "{id} read {}", self.frame(frame)),
            Entry::Broke { id, failure } => write!(f, "{id} broke: {failure}"),
            Entry::Notice(notice) => write!(f, "notice {notice:?}"),
            Entry::Ordered { number } => write!(f, "application sends {number}"),
            Entry::Consumed(Delivery::Item(item)) => write!(f, "consumer got {}", cut(item.clone())),
            Entry::Consumed(marker) => write!(f, "consumer got {marker:?}"),
            Entry::Ended { reason: None } => f.write_str("consumer's stream ended"),
            Entry::Ended { reason: Some(reason) } => write!(f, "consumer's stream ended: {reason}"),
            Entry::Shutdown => f.write_str("application shuts down"),
            Entry::Abandoned => f.write_str("application drops the feed"),
            Entry::Panicked => f.write_str("PANIC in a function of the application"),
            Entry::Fault { id, kind, number } => write!(f, "{id} FAULT {number}: {kind}"),
            Entry::Outage { until } => write!(f, "OUTAGE until {}", Moment(*until)),
            Entry::Over => f.write_str("the run is over"),
            Entry::Jumped { to } => write!(f, "CLOCK jumps to {}", Moment(*to)),
            Entry::Healed { bound } => write!(f, "FAULTS end; live within {bound:?}"),
            Entry::Quiet { phase, stats, waits_for, .. } => {
                write!(f, "{phase}: waits for {waits_for}")?;
                if stats.queued > 0 { write!(f, ", {} items queued", stats.queued) } else { Ok(()) }
            }
        }
    }
}

/// Virtual seconds.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) Timestamp);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        write!(f, "{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
    }
}
