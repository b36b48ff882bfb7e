//! What the feed under test is configured with: one description that both the feed and the checker go by.

use std::time::Duration;

use tidegate_driver::core::{Config, ConfigBuilder, Jitter, Overflow, RetryPolicy};

/// The options of the feed under test. Each is the option of [`ConfigBuilder`] of the same name, with its default.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is documented where the feed takes it")]
pub struct Settings {
    pub connect_timeout: Duration,
    pub bootstrap_timeout: Duration,
    pub close_timeout: Duration,
    pub stable_after: Duration,
    pub max_retry_after: Duration,
    pub idle_timeout: Option<Duration>,
    pub ping_interval: Option<Duration>,
    pub pong_timeout: Duration,
    pub stale_after: Option<Duration>,
    pub max_pause: Option<Duration>,
    pub buffer: usize,
    pub buffer_bytes: usize,
    pub send_buffer: usize,
    pub overflow: Overflow,
    pub backoff: Backoff,
    /// `None` retries for ever.
    pub max_retries: Option<u32>,
    /// `None` is half of `max_demand`.
    pub min_demand: Option<u32>,
    pub max_demand: u32,
}

/// How long the feed under test waits before a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backoff {
    /// [`RetryPolicy::fixed`].
    Fixed(Duration),
    /// [`RetryPolicy::exponential`].
    Exponential {
        /// Before the first retry.
        base: Duration,
        /// Before any retry.
        cap: Duration,
        /// How it is spread.
        jitter: Jitter,
    },
}

impl Backoff {
    /// The longest delay before the `attempt`th retry of a streak, and the shortest.
    pub(crate) fn range(self, attempt: u32) -> (Duration, Duration) {
        match self {
            Self::Fixed(delay) => (delay, delay),
            Self::Exponential { base, cap, jitter } => {
                let doublings = 1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
                let most = base.saturating_mul(doublings).min(cap);
                (jitter.shortest(most), most)
            }
        }
    }

    pub(crate) const fn longest(self) -> Duration {
        match self {
            Self::Fixed(delay) => delay,
            Self::Exponential { cap, .. } => cap,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            bootstrap_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(1),
            stable_after: Duration::from_secs(10),
            max_retry_after: Duration::from_secs(300),
            idle_timeout: None,
            ping_interval: None,
            pong_timeout: Duration::from_secs(10),
            stale_after: None,
            max_pause: None,
            buffer: 1024,
            buffer_bytes: 1024 * 1024,
            send_buffer: 256,
            overflow: Overflow::Pause,
            backoff: Backoff::Fixed(RetryPolicy::DEFAULT_DELAY),
            max_retries: Some(RetryPolicy::DEFAULT_MAX_RETRIES),
            min_demand: None,
            max_demand: 2000,
        }
    }
}

impl Settings {
    /// As the feed takes it.
    #[must_use]
    pub fn config(&self) -> ConfigBuilder {
        let mut config = Config::builder()
            .connect_timeout(self.connect_timeout)
            .bootstrap_timeout(self.bootstrap_timeout)
            .close_timeout(self.close_timeout)
            .stable_after(self.stable_after)
            .max_retry_after(self.max_retry_after)
            .buffer(self.buffer)
            .buffer_bytes(self.buffer_bytes)
            .send_buffer(self.send_buffer)
            .overflow(self.overflow)
            .retry(self.policy())
            .max_demand(self.max_demand);
        if let Some(min) = self.min_demand {
            config = config.min_demand(min);
        }
        if let Some(idle) = self.idle_timeout {
            config = config.idle_timeout(idle);
        }
        if let Some(interval) = self.ping_interval {
            config = config.ping_interval(interval).pong_timeout(self.pong_timeout);
        }
        if let Some(stale) = self.stale_after {
            config = config.stale_after(stale);
        }
        if let Some(pause) = self.max_pause {
            config = config.max_pause(pause);
        }
        config
    }

    fn policy(&self) -> RetryPolicy {
        let policy = match self.backoff {
            Backoff::Fixed(delay) => RetryPolicy::fixed(delay),
            Backoff::Exponential { base, cap, jitter } => RetryPolicy::exponential(base, cap).jitter(jitter),
        };
        match self.max_retries {
            Some(retries) => policy.max_retries(retries),
            None => policy.unlimited(),
        }
    }

    /// Whether a connection that has fallen silent is ever found dead.
    pub(crate) const fn detects_silence(&self) -> bool {
        self.idle_timeout.is_some() || self.ping_interval.is_some()
    }

    /// Once the faults are over, how long it may take until the feed is Live, but for the network's own time: the worst
    /// chain is a connection found dead late, closed late, an attempt that hangs, a bootstrap that hangs, and the
    /// longest delay before each of the attempts after them.
    pub(crate) fn recovery_bound(&self, longest_delay: Duration) -> Duration {
        let ping = self.ping_interval.map(|interval| interval + self.pong_timeout);
        let silence = match (self.idle_timeout, ping) {
            (Some(idle), Some(ping)) => idle.min(ping),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => Duration::ZERO,
        };
        let dead = silence.max(self.stale_after.unwrap_or_default()).max(self.max_pause.unwrap_or_default());
        let delay = longest_delay.max(self.max_retry_after);
        dead + self.connect_timeout + self.bootstrap_timeout + self.close_timeout + 3 * delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_a_feed() {
        let simulated = Settings::default().config().build().unwrap();
        assert_eq!(format!("{simulated:?}"), format!("{:?}", Config::default()));
    }
}
