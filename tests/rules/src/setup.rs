//! Setup of a feed: its configuration and its handler.

use std::time::Duration;

use tidegate_core::{Backoff, Config, Machine};

use crate::numbers::Numbers;

/// One feed's configuration and handler.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Of the jitter.
    pub seed: u64,
    /// No function of the application's own decides about delays and retries.
    pub config: Config,
    /// The handler, as it is at first.
    pub handler: Numbers,
}

impl Setup {
    /// A feed of this kind.
    #[must_use]
    pub fn feed(&self) -> Machine<Numbers> {
        Machine::new(self.config.clone(), self.handler.clone(), self.seed)
    }

    /// Whether a liveness clock watches a connection that is Live and read.
    #[must_use]
    pub fn watches(&self) -> bool {
        let config = &self.config;
        config.idle_timeout().is_some() || config.ping_interval().is_some() || config.stale_after().is_some()
    }

    /// More than every span that is measured from something that happened: all that is older is the same.
    pub(crate) fn ages_end(&self) -> Duration {
        let config = &self.config;
        let spans = [
            config.connect_timeout(),
            config.bootstrap_timeout(),
            config.close_timeout(),
            config.stable_after(),
        ];
        let pong = config.ping_interval().map(|_| config.pong_timeout());
        let clocks = [config.idle_timeout(), pong, config.stale_after(), config.max_pause()];
        let longest = spans.into_iter().chain(clocks.into_iter().flatten()).max().unwrap_or_default();
        longest.saturating_add(Duration::from_nanos(1))
    }

    /// The shortest and the longest delay before a retry, counted from 1 (R3).
    pub(crate) fn delay(&self, attempt: u32) -> (Duration, Duration) {
        match *self.config.retry().backoff() {
            Backoff::Fixed(delay) => (delay, delay),
            Backoff::Exponential { base, cap, jitter } => {
                // By then any delay has reached any cap.
                let doubled = (1..attempt.min(128)).fold(base, |delay, _| delay.saturating_mul(2));
                // No longer than the machine's clock can tell.
                let longest = doubled.min(cap).min(Duration::from_nanos(u64::MAX));
                (jitter.shortest(longest), longest)
            }
            _ => (Duration::ZERO, Duration::MAX),
        }
    }
}
