//! Records what happens: checks it at once, counts it, and keeps it if asked to.

#![allow(clippy::wildcard_enum_match_arm, reason = "it watches: most of what it sees concerns others")]

use tidegate_driver::core::{Notice, StopReason, Timestamp};

use crate::check::{Checker, Fleet};
use crate::coverage::{Coverage, Mirror};
use crate::entry::Entry;
use crate::injector::InjectedFault;
use crate::report::Violation;
use crate::trace::Trace;

/// The record of a run.
pub(crate) struct Journal {
    feeds: Vec<Witness>,
    fleet: Fleet,
    pub(crate) trace: Option<Trace>,
    pub(crate) violation: Option<Violation>,
    pub(crate) injected: Vec<InjectedFault>,
    pub(crate) coverage: Coverage,
    pub(crate) entries: u64,
}

/// Facts about one feed.
struct Witness {
    checker: Checker,
    mirror: Mirror,
    dialed: Vec<Timestamp>,
    stopped: Option<StopReason>,
}

impl Journal {
    pub(crate) fn new(checkers: impl Iterator<Item = Checker>, fleet: Fleet, trace: Option<Trace>) -> Self {
        let witness = |checker| Witness { checker, mirror: Mirror::new(), dialed: Vec::new(), stopped: None };
        Self {
            feeds: checkers.map(witness).collect(),
            fleet,
            trace,
            violation: None,
            injected: Vec::new(),
            coverage: Coverage::default(),
            entries: 0,
        }
    }

    /// Records nothing more once a rule is broken: the trace ends there. Nothing at all where no feed is judged.
    pub(crate) fn record(&mut self, now: Timestamp, feed: usize, entry: &Entry) {
        if self.violation.is_some() || self.feeds.is_empty() {
            return;
        }
        self.entries += 1;
        if let Some(trace) = &mut self.trace {
            trace.write(now, feed, entry);
        }
        let witness = &mut self.feeds[feed];
        witness.mirror.see(entry, &mut self.coverage);
        match entry {
            Entry::Fault { id, kind, number } => {
                let (number, kind, connection) = (*number, *kind, *id);
                self.injected.push(InjectedFault { number, kind, at: now, feed, connection });
            }
            Entry::Connect { .. } => witness.dialed.push(now),
            Entry::Notice(Notice::Stopped { reason }) => witness.stopped = Some(reason.clone()),
            _ => {}
        }
        let verdict = witness.checker.see(now, entry).map_err(|rule| self.naming(feed, rule));
        if let Err(rule) = verdict.and_then(|()| self.fleet.see(now, feed, entry)) {
            self.violate(now, rule);
        }
    }

    /// Records what concerns all feeds.
    pub(crate) fn record_all(&mut self, now: Timestamp, entry: &Entry) {
        (0..self.feeds.len()).for_each(|feed| self.record(now, feed, entry));
    }

    /// Keeps the first violation; later ones may follow from it.
    pub(crate) fn violate(&mut self, at: Timestamp, rule: String) {
        if self.violation.is_none() {
            if let Some(trace) = &mut self.trace {
                trace.line(at, format!("VIOLATION {rule}"));
            }
            self.violation = Some(Violation { at, rule });
        }
    }

    /// Why a feed stopped.
    pub(crate) fn take_stopped(&mut self, feed: usize) -> Option<StopReason> {
        self.feeds[feed].stopped.take()
    }

    /// When each attempt of a feed began.
    pub(crate) fn take_dialed(&mut self, feed: usize) -> Vec<Timestamp> {
        std::mem::take(&mut self.feeds[feed].dialed)
    }

    fn naming(&self, feed: usize, rule: String) -> String {
        if self.feeds.len() > 1 { format!("{rule} (feed {feed})") } else { rule }
    }
}
