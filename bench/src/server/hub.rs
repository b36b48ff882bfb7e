//! What the connections that are held have in common: the orders, and a log of attempts.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// One entry of the log of attempts counts this long.
pub(crate) const BIN: Duration = Duration::from_millis(100);

/// The log holds no more entries than this: ten minutes.
const MAX_BINS: usize = 6000;

pub(crate) struct Hub {
    orders: watch::Sender<Orders>,
    log: Mutex<Log>,
}

/// What holds for all connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Orders {
    /// Whether each gets a message a second.
    pub(crate) messages: bool,
    /// Connections of an earlier epoch are dropped.
    pub(crate) epoch: u64,
}

/// What becomes of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Serve { epoch: u64 },
    Refuse,
}

/// Attempts since all connections were dropped.
struct Log {
    since: Instant,
    outage: Duration,
    bins: Vec<u32>,
}

impl Hub {
    pub(crate) fn new() -> Self {
        let log = Log { since: Instant::now(), outage: Duration::ZERO, bins: Vec::new() };
        Self { orders: watch::Sender::new(Orders::default()), log: Mutex::new(log) }
    }

    /// The orders, as they change.
    pub(crate) fn orders(&self) -> watch::Receiver<Orders> {
        self.orders.subscribe()
    }

    pub(crate) fn send_messages(&self, on: bool) {
        self.orders.send_modify(|orders| orders.messages = on);
    }

    /// Drops all connections, and refuses new ones for as long as `outage`: a restart.
    pub(crate) fn drop_all(&self, outage: Duration) {
        *self.log() = Log { since: Instant::now(), outage, bins: Vec::new() };
        self.orders.send_modify(|orders| orders.epoch += 1);
    }

    /// Somebody connects.
    pub(crate) fn attempt(&self) -> Verdict {
        let mut log = self.log();
        let elapsed = log.since.elapsed();
        log.count(elapsed);
        if elapsed < log.outage {
            Verdict::Refuse
        } else {
            Verdict::Serve { epoch: self.orders.borrow().epoch }
        }
    }

    /// Attempts since all were dropped, for each [`BIN`].
    pub(crate) fn attempts(&self) -> Vec<u32> {
        self.log().bins.clone()
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    fn count(&mut self, elapsed: Duration) {
        let bin = usize::try_from(elapsed.as_millis() / BIN.as_millis()).unwrap_or(MAX_BINS);
        if bin < MAX_BINS {
            if self.bins.len() <= bin {
                self.bins.resize(bin + 1, 0);
            }
            self.bins[bin] += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_counted_by_the_tenth_of_a_second() {
        let mut log = Log { since: Instant::now(), outage: Duration::ZERO, bins: Vec::new() };
        for ms in [0, 99, 100, 350] {
            log.count(Duration::from_millis(ms));
        }
        log.count(Duration::MAX);
        assert_eq!(log.bins, [2, 1, 0, 1]);
    }

    #[test]
    fn a_restart_refuses_until_the_outage_is_over() {
        let hub = Hub::new();
        assert_eq!(hub.attempt(), Verdict::Serve { epoch: 0 });
        hub.drop_all(Duration::from_secs(3600));
        assert_eq!(hub.attempt(), Verdict::Refuse);
        assert_eq!(hub.attempts().iter().sum::<u32>(), 1, "the one before it is not counted");
        hub.drop_all(Duration::ZERO);
        assert_eq!(hub.attempt(), Verdict::Serve { epoch: 2 });
        assert_eq!(hub.orders().borrow().epoch, 2);
    }
}
