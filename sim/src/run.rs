//! The loop of a run: all tasks run until they wait, the state is checked, the clock moves.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tidegate_driver::FeedHandle;
use tidegate_driver::core::{Phase, Timestamp};

use crate::entry::Entry;
use crate::report::{FeedReport, Report};
use crate::rule::panic_text;
use crate::runtime::SimRuntime;
use crate::trace::Trace;
use crate::world::ScheduledEvent;

/// A run under way.
pub(crate) struct Run {
    runtime: SimRuntime,
    seed: u64,
    /// One for each feed.
    handles: Vec<FeedHandle>,
    /// The feed that is checked although none of its tasks ran: that finds one that hangs.
    next: usize,
}

impl Run {
    /// `handles` is `None` if the feeds could not be built.
    pub(crate) fn new(runtime: SimRuntime, seed: u64, handles: Option<Vec<FeedHandle>>) -> Self {
        let built = handles.is_some();
        let run = Self { runtime, seed, handles: handles.unwrap_or_default(), next: 0 };
        if !built {
            run.violate("panic: the feed cannot be built".to_owned());
        }
        run
    }

    pub(crate) fn schedule(&self, span: Duration, event: ScheduledEvent) {
        self.runtime.world.state().schedule_in(span, event);
    }

    fn violate(&self, rule: String) {
        self.runtime.world.state().violate(rule);
    }

    /// Runs until that time, or until a rule is broken.
    pub(crate) fn go(&mut self, until: Duration) {
        let until = Timestamp::ZERO.saturating_add(until);
        while self.settle() && self.runtime.world.advance(until) {}
    }

    /// Runs all tasks until they wait, and checks the feeds. Returns false once a rule is broken.
    fn settle(&mut self) -> bool {
        if self.runtime.world.state().journal.violation.is_some() {
            return false;
        }
        match catch_unwind(AssertUnwindSafe(|| self.runtime.run())) {
            Ok(Some(_)) => {}
            Ok(None) => self.violate("hang: the tasks never come to rest".to_owned()),
            Err(panic) => {
                self.violate(format!("panic: {}", panic_text(&*panic)));
            }
        }
        let mut state = self.runtime.world.state();
        self.next = (self.next + 1) % self.handles.len().max(1);
        for (feed, handle) in self.handles.iter().enumerate() {
            let feed_state = &mut state.feeds[feed];
            if !std::mem::take(&mut feed_state.touched) && feed != self.next {
                continue;
            }
            let (phase, stats) = (handle.phase(), handle.stats());
            let (alarm, waits) = (feed_state.alarm.at, feed_state.consumer_waits);
            let waits_for = feed_state.awaited(phase);
            state.record(feed, &Entry::Quiet { phase, stats, alarm, waits_for, waits });
        }
        state.journal.violation.is_none()
    }

    /// Shuts all feeds down; consumers take what is left at once.
    pub(crate) fn shut_down(&self) {
        self.runtime.world.state().healed = true;
        for (feed, handle) in self.handles.iter().enumerate() {
            self.runtime.world.record(feed, &Entry::Shutdown);
            handle.shutdown();
        }
    }

    pub(crate) fn report(self) -> Report {
        // Before the tasks are dropped, which is no part of the run.
        let mut state = self.runtime.world.state();
        if state.journal.violation.is_none() {
            state.record_all(&Entry::Over);
        }
        let now = state.now;
        let journal = &mut state.journal;
        let feeds: Vec<FeedReport> = (self.handles.iter().enumerate())
            .map(|(feed, handle)| FeedReport {
                phase: handle.phase(),
                stats: handle.stats(),
                stopped: journal.take_stopped(feed),
                attempts: journal.take_dialed(feed),
            })
            .collect();
        let mut faults = BTreeMap::new();
        journal.injected.iter().for_each(|fault| *faults.entry(fault.kind).or_default() += 1);
        let report = Report {
            seed: self.seed,
            violation: journal.violation.take(),
            trace: journal.trace.take().map(Trace::into_lines).unwrap_or_default(),
            elapsed: now.saturating_since(Timestamp::ZERO),
            injected: std::mem::take(&mut journal.injected),
            faults,
            coverage: std::mem::take(&mut journal.coverage),
            phase: feeds.first().map_or(Phase::Idle, |feed| feed.phase),
            stats: feeds.first().map(|feed| feed.stats).unwrap_or_default(),
            feeds,
            entries: journal.entries,
        };
        drop(state);
        self.runtime.drop_tasks();
        report
    }
}
