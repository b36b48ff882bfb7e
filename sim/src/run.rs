//! The loop of a run: everything does what it can, is looked at, and then the clock moves on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tidegate_driver::FeedHandle;
use tidegate_driver::core::Timestamp;

use crate::entry::Entry;
use crate::report::Report;
use crate::runtime::SimRuntime;
use crate::world::Happening;

/// A run under way.
pub(crate) struct Run {
    runtime: SimRuntime,
    seed: u64,
    handle: Option<FeedHandle>,
}

impl Run {
    pub(crate) fn new(runtime: SimRuntime, seed: u64, handle: Option<FeedHandle>) -> Self {
        let run = Self { runtime, seed, handle };
        if run.handle.is_none() {
            run.violate("panic: the feed cannot be built".to_owned());
        }
        run
    }

    pub(crate) fn heal_after(&self, span: Duration, bound: Duration) {
        self.runtime.world.state().plan_in(span, Happening::Heal(bound));
    }

    fn violate(&self, rule: String) {
        let mut state = self.runtime.world.state();
        let now = state.now;
        state.journal.violate(now, rule);
    }

    /// Runs until then, or until a rule is broken.
    pub(crate) fn go(&mut self, until: Duration) {
        let until = Timestamp::ZERO.saturating_add(until);
        while self.settle() && self.runtime.world.advance(until) {}
    }

    /// Lets everything do what it can, and looks at it. False once a rule is broken.
    fn settle(&mut self) -> bool {
        if self.runtime.world.state().journal.violation.is_some() {
            return false;
        }
        match catch_unwind(AssertUnwindSafe(|| self.runtime.run())) {
            Ok(true) => {}
            Ok(false) => self.violate("hang: the tasks never come to rest".to_owned()),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map_or("a panic", String::as_str);
                self.violate(format!("panic: {text}"));
            }
        }
        let Some(handle) = &self.handle else { return false };
        let (phase, stats) = (handle.phase(), handle.stats());
        let mut state = self.runtime.world.state();
        state.phase = phase;
        let (alarm, waits) = (state.bell.at, state.consumer_waits);
        state.record(&Entry::Quiet { phase, stats, alarm, waits });
        state.journal.violation.is_none()
    }

    pub(crate) fn shut_down(&self) {
        if let Some(handle) = &self.handle {
            self.runtime.world.record(&Entry::Shutdown);
            handle.shutdown();
        }
    }

    pub(crate) fn report(self) -> Report {
        // Dropping what is left is no part of the run.
        let mut state = self.runtime.world.state();
        let (phase, now) = (state.phase, state.now);
        let journal = &mut state.journal;
        let report = Report {
            seed: self.seed,
            violation: journal.violation.take(),
            trace: std::mem::take(&mut journal.trace),
            elapsed: now.saturating_since(Timestamp::ZERO),
            faults: std::mem::take(&mut journal.faults),
            coverage: std::mem::take(&mut journal.coverage),
            phase,
            stats: self.handle.as_ref().map(FeedHandle::stats).unwrap_or_default(),
            entries: journal.entries,
        };
        drop(state);
        self.runtime.drop_tasks();
        report
    }
}
