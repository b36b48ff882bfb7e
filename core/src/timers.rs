//! Timers of a connection's handler (H4).

use alloc::collections::{BTreeMap, BTreeSet};
use core::time::Duration;

use crate::time::{Deadline, Timestamp};

/// Names a timer of a handler. A handler chooses its keys freely; a handler around it has keys of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerKey(pub u64);

/// A timer's key, and the handler that set it: 0 is the outermost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Timer {
    pub(crate) depth: u32,
    pub(crate) key: TimerKey,
}

/// The timers of one connection.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    times: BTreeMap<Timer, Timestamp>,
    order: BTreeSet<(Timestamp, Timer)>,
}

impl Timers {
    /// Sets a timer, or moves it.
    pub(crate) fn set(&mut self, timer: Timer, at: Timestamp) {
        self.cancel(timer);
        self.times.insert(timer, at);
        self.order.insert((at, timer));
    }

    pub(crate) fn cancel(&mut self, timer: Timer) {
        if let Some(at) = self.times.remove(&timer) {
            self.order.remove(&(at, timer));
        }
    }

    pub(crate) fn deadline(&self) -> Deadline {
        self.order.first().map_or(Deadline::Never, |(at, _)| Deadline::At(*at))
    }

    /// Removes the earliest timer that is due. Of several for the same time, the outer handler's is first.
    pub(crate) fn pop_due(&mut self, now: Timestamp) -> Option<Timer> {
        if !self.deadline().is_due(now) {
            return None;
        }
        let (_, timer) = self.order.pop_first()?;
        self.times.remove(&timer);
        Some(timer)
    }

    /// Returns the outermost handler's timers, the earliest first.
    pub(crate) fn outermost(&self) -> impl Iterator<Item = (TimerKey, Timestamp)> {
        self.order.iter().filter(|(_, timer)| timer.depth == 0).map(|(at, timer)| (timer.key, *at))
    }

    /// Moves all timers by a pause that has just ended (L5).
    pub(crate) fn resume(&mut self, paused_for: Duration) {
        self.order = core::mem::take(&mut self.order)
            .into_iter()
            .map(|(at, timer)| (at.saturating_add(paused_for), timer))
            .collect();
        self.times = self.order.iter().map(|(at, timer)| (*timer, *at)).collect();
    }
}
