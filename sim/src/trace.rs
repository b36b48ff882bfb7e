//! What happened, one line each, for people.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use tidegate_driver::core::{Delivery, Frame, Message, Timestamp};

use crate::entry::Entry;

/// Shows a value in one line of a trace.
pub(crate) type Show<T> = Arc<dyn Fn(&T) -> String + Send + Sync>;

/// Characters of a payload or an item that a line shows.
const LONGEST: usize = 200;

/// Lines that repeat together are counted if they are at most so many.
const LONGEST_CYCLE: usize = 8;

/// The lines so far.
pub(crate) struct Trace {
    show: Show<Message>,
    lines: Vec<Repeated>,
    /// The last state of rest of each feed.
    quiet: Vec<String>,
}

/// A line, and how often it came.
struct Repeated {
    text: String,
    first: Moment,
    last: Moment,
    times: u32,
}

impl Trace {
    pub(crate) fn new(show: Show<Message>, feeds: usize) -> Self {
        Self { show, lines: Vec::new(), quiet: vec![String::new(); feeds] }
    }

    /// Adds what happened to a feed. A feed that still waits for the same is not mentioned again.
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

    /// Adds a line of all feeds. Lines that come again are counted.
    pub(crate) fn line(&mut self, now: Timestamp, text: String) {
        let now = Moment(now);
        self.lines.push(Repeated { text, first: now, last: now, times: 1 });
        if let Some(cycle) = (1..=LONGEST_CYCLE).find(|cycle| self.repeats(*cycle)) {
            let again = self.lines.split_off(self.lines.len() - cycle);
            let from = self.lines.len() - cycle;
            for (line, again) in self.lines[from..].iter_mut().zip(again) {
                line.last = again.last;
                line.times += again.times;
            }
        }
    }

    /// Whether the last `cycle` lines say what those before them said.
    fn repeats(&self, cycle: usize) -> bool {
        let Some(from) = self.lines.len().checked_sub(2 * cycle) else { return false };
        let (before, again) = self.lines[from..].split_at(cycle);
        before.iter().map(|line| &line.text).eq(again.iter().map(|line| &line.text))
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        self.lines.iter().map(Repeated::to_string).collect()
    }
}

impl fmt::Display for Repeated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { text, first, last, times } = self;
        write!(f, "{:>16} {text}", first.to_string())?;
        match times {
            1 => Ok(()),
            _ if first == last => write!(f, " ({times} times)"),
            _ => write!(f, " ({times} times until {last})"),
        }
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

/// By `Debug`, which for messages says no more than their length.
pub(crate) fn show_item<T: fmt::Debug + 'static>(item: &T) -> String {
    let message = (item as &dyn Any).downcast_ref();
    message.map_or_else(|| format!("{item:?}"), show_message)
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
