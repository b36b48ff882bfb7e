//! A feed's configuration and handler, as the rules need to know them.

use std::time::Duration;

use tidegate_core::{Classification, Config, ConfigBuilder, Jitter, Machine, Overflow, RetryPolicy};

use crate::numbers::Numbers;

/// One feed's configuration and handler. Each option is [`ConfigBuilder`]'s of the same name.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "`ConfigBuilder` has them by these names")]
pub struct Setup {
    pub seed: u64,
    pub connect_timeout: Duration,
    pub bootstrap_timeout: Duration,
    pub close_timeout: Duration,
    pub stable_after: Duration,
    pub max_retry_after: Duration,
    pub clocks: Clocks,
    pub buffer: usize,
    pub buffer_bytes: usize,
    pub overflow: Overflow,
    pub send_buffer: usize,
    pub retry: Retry,
    /// Whether any HTTP status of 400 or above is fatal (R6).
    pub any_http_error: bool,
    pub handler: Numbers,
}

/// The liveness clocks; `None` is off (L1-L5).
#[derive(Clone, Copy, Debug, Default)]
#[expect(missing_docs, reason = "`ConfigBuilder` has them by these names")]
pub struct Clocks {
    pub idle_timeout: Option<Duration>,
    pub ping_interval: Option<Duration>,
    /// Without it, [`Clocks::PONG`] if there are pings.
    pub pong_timeout: Option<Duration>,
    pub stale_after: Option<Duration>,
    pub max_pause: Option<Duration>,
}

/// How retries are spaced, and how many there are (R2, R3).
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    /// Before the first.
    pub base: Duration,
    /// The cap and the spread of delays that double; a fixed delay without.
    pub exponential: Option<(Duration, Jitter)>,
    /// How many in a streak; `None` for no limit.
    pub max: Option<u32>,
}

impl Clocks {
    /// The time for an answer unless told otherwise (L3).
    pub const PONG: Duration = Duration::from_secs(10);

    /// Whether one of them watches a connection that is Live and read.
    #[must_use]
    pub const fn watch(&self) -> bool {
        self.idle_timeout.is_some() || self.ping_interval.is_some() || self.stale_after.is_some()
    }

    pub(crate) fn pong(&self) -> Duration {
        self.pong_timeout.unwrap_or(Self::PONG)
    }
}

impl Setup {
    /// A feed of this kind.
    ///
    /// # Panics
    /// If the configuration is refused.
    #[must_use]
    pub fn feed(&self) -> Machine<Numbers> {
        self.feed_with(self.builder().build().expect("a configuration that is valid"))
    }

    /// A feed with what [`builder`](Self::builder) has been made into.
    #[must_use]
    pub fn feed_with(&self, config: Config) -> Machine<Numbers> {
        Machine::new(config, self.handler.clone(), self.seed)
    }

    /// The configuration.
    #[must_use]
    pub fn builder(&self) -> ConfigBuilder {
        let Clocks { idle_timeout, ping_interval, pong_timeout, stale_after, max_pause } = self.clocks;
        let builder = Config::builder()
            .connect_timeout(self.connect_timeout)
            .bootstrap_timeout(self.bootstrap_timeout)
            .close_timeout(self.close_timeout)
            .stable_after(self.stable_after)
            .max_retry_after(self.max_retry_after)
            .buffer(self.buffer)
            .buffer_bytes(self.buffer_bytes)
            .overflow(self.overflow)
            .send_buffer(self.send_buffer)
            .classification(if self.any_http_error {
                Classification::AnyHttpError
            } else {
                Classification::Standard
            })
            .retry(self.retry.policy());
        type Set = fn(ConfigBuilder, Duration) -> ConfigBuilder;
        let clocks: [(Option<Duration>, Set); 5] = [
            (idle_timeout, ConfigBuilder::idle_timeout),
            (ping_interval, ConfigBuilder::ping_interval),
            (pong_timeout, ConfigBuilder::pong_timeout),
            (stale_after, ConfigBuilder::stale_after),
            (max_pause, ConfigBuilder::max_pause),
        ];
        clocks.into_iter().fold(builder, |builder, (span, set)| match span {
            Some(span) => set(builder, span),
            None => builder,
        })
    }

    /// More than every span that is measured from something that happened: all that is older is the same.
    pub(crate) fn ages_end(&self) -> Duration {
        let Clocks { idle_timeout, ping_interval, stale_after, max_pause, .. } = self.clocks;
        let spans = [self.connect_timeout, self.bootstrap_timeout, self.close_timeout, self.stable_after];
        let clocks = [idle_timeout, ping_interval.map(|_| self.clocks.pong()), stale_after, max_pause];
        let longest = spans.into_iter().chain(clocks.into_iter().flatten()).max().unwrap_or_default();
        longest.saturating_add(Duration::from_nanos(1))
    }
}

impl Retry {
    /// The longest delay that is spread: what the machine's clock can tell.
    const END: Duration = Duration::from_nanos(u64::MAX);

    /// A fixed delay.
    #[must_use]
    pub const fn fixed(delay: Duration, max: Option<u32>) -> Self {
        Self { base: delay, exponential: None, max }
    }

    /// The shortest and the longest delay before a retry, counted from 1 (R3).
    pub(crate) fn delay(&self, attempt: u32) -> (Duration, Duration) {
        let Some((cap, jitter)) = self.exponential else { return (self.base, self.base) };
        // By then any delay has reached any cap.
        let doubled = (1..attempt.min(128)).fold(self.base, |delay, _| delay.saturating_mul(2));
        let longest = doubled.min(cap).min(Self::END);
        (jitter.shortest(longest), longest)
    }

    fn policy(&self) -> RetryPolicy {
        let policy = match self.exponential {
            Some((cap, jitter)) => RetryPolicy::exponential(self.base, cap).jitter(jitter),
            None => RetryPolicy::fixed(self.base),
        };
        match self.max {
            Some(max) => policy.max_retries(max),
            None => policy.unlimited(),
        }
    }
}
