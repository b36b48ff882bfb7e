//! State that all connections share: their control, and the count of attempts.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// Length of an interval in which attempts are counted.
const INTERVAL: Duration = Duration::from_millis(100);

pub(crate) struct ServerState {
    control: watch::Sender<Control>,
    attempts: Mutex<Attempts>,
}

/// Behavior of the connections on [`Path::Hold`](super::path::Path::Hold).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Control {
    /// Whether each receives a message a second.
    pub(crate) messages: bool,
    /// Connections of an earlier epoch are dropped.
    pub(crate) epoch: u64,
}

/// Whether a connection is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Accept { epoch: u64 },
    Refuse,
}

/// Attempts since the last outage ended.
struct Attempts {
    outage_end: Instant,
    /// Number of the current [`INTERVAL`], and the attempts in it.
    interval: u128,
    count: u32,
    /// Most attempts in an interval.
    peak: u32,
}

impl ServerState {
    pub(crate) fn new() -> Self {
        let attempts = Attempts::after(Duration::ZERO);
        Self { control: watch::Sender::new(Control::default()), attempts: Mutex::new(attempts) }
    }

    /// The control of connections, and its changes.
    pub(crate) fn control(&self) -> watch::Receiver<Control> {
        self.control.subscribe()
    }

    pub(crate) fn send_messages(&self, on: bool) {
        self.control.send_modify(|control| control.messages = on);
    }

    /// Drops all connections and refuses new ones for `outage`, as a restart does.
    pub(crate) fn drop_all(&self, outage: Duration) {
        *self.lock() = Attempts::after(outage);
        self.control.send_modify(|control| control.epoch += 1);
    }

    /// Decides about a new connection.
    pub(crate) fn attempt(&self) -> Admission {
        let mut attempts = self.lock();
        let Some(since) = Instant::now().checked_duration_since(attempts.outage_end) else {
            return Admission::Refuse;
        };
        attempts.count(since);
        Admission::Accept { epoch: self.control.borrow().epoch }
    }

    /// Most attempts in a tenth of a second since the last outage ended.
    pub(crate) fn peak_attempts(&self) -> u32 {
        self.lock().peak
    }

    fn lock(&self) -> MutexGuard<'_, Attempts> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempts {
    fn after(outage: Duration) -> Self {
        Self { outage_end: Instant::now() + outage, interval: 0, count: 0, peak: 0 }
    }

    fn count(&mut self, since: Duration) {
        let interval = since.as_millis() / INTERVAL.as_millis();
        if self.interval != interval {
            (self.interval, self.count) = (interval, 0);
        }
        self.count += 1;
        self.peak = self.peak.max(self.count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_the_most_attempts_in_a_tenth_of_a_second() {
        let mut attempts = Attempts::after(Duration::ZERO);
        for (ms, peak) in [(0, 1), (99, 2), (100, 2), (350, 2), (360, 2), (399, 3), (400, 3)] {
            attempts.count(Duration::from_millis(ms));
            assert_eq!(attempts.peak, peak, "{ms} ms");
        }
    }

    #[test]
    fn a_restart_refuses_until_the_outage_is_over() {
        let state = ServerState::new();
        assert_eq!(state.attempt(), Admission::Accept { epoch: 0 });
        state.drop_all(Duration::from_secs(3600));
        assert_eq!(state.attempt(), Admission::Refuse);
        assert_eq!(state.peak_attempts(), 0, "attempts before the end of the outage are not counted");
        state.drop_all(Duration::ZERO);
        assert_eq!(state.attempt(), Admission::Accept { epoch: 2 });
        assert_eq!(state.control().borrow().epoch, 2);
    }
}
