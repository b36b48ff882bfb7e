//! A feed's options, each with unit, default and reason.

mod builder;
mod error;

use alloc::string::String;
use core::time::Duration;

pub use builder::ConfigBuilder;
pub use error::{ConfigError, Value};

use crate::demand::{DemandWindow, Overflow, QueueConfig};
use crate::retry::{Backoff, Classification, RetryConfig, RetryPolicy};

/// A feed's options, after they have been checked.
///
/// The setters of [`ConfigBuilder`] document the defaults, which [`Config::default`] has.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) connect_timeout: Duration,
    pub(crate) bootstrap_timeout: Duration,
    pub(crate) close_timeout: Duration,
    pub(crate) stable_after: Duration,
    pub(crate) liveness: LivenessConfig,
    pub(crate) queue: QueueConfig,
    pub(crate) send_buffer: usize,
    pub(crate) retry: RetryConfig,
    min_demand: Option<u32>,
    max_demand: u32,
    telemetry_id: String,
}

/// The liveness clocks. `None` turns a clock off.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LivenessConfig {
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) pings: Pings,
    pub(crate) pong_timeout: Option<Duration>,
    pub(crate) stale_after: Option<Duration>,
    pub(crate) max_pause: Option<Duration>,
}

/// When to send pings.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Pings {
    /// Every 20 s, and twice within the idle timeout.
    #[default]
    Default,
    Off,
    Every(Duration),
}

impl LivenessConfig {
    pub(crate) fn ping_interval(&self) -> Option<Duration> {
        match self.pings {
            Pings::Default => {
                let twice = self.idle_timeout.map_or(Duration::MAX, |idle| idle / 2);
                // Half of a nanosecond is nothing, and an interval is more than that.
                Some(Duration::from_secs(20).min(twice).max(Duration::from_nanos(1)))
            }
            Pings::Off => None,
            Pings::Every(interval) => Some(interval),
        }
    }

    /// Returns the timeout, 10 s by default.
    pub(crate) fn pong_timeout(&self) -> Duration {
        self.pong_timeout.unwrap_or(Duration::from_secs(10))
    }
}

impl Config {
    /// Returns a builder with the default options.
    #[must_use]
    pub fn builder() -> ConfigBuilder {
        ConfigBuilder::default()
    }

    /// Returns a builder with the defaults of off_broadway_websocket, for users who come from it.
    ///
    /// | option | [`builder`](Self::builder) | `reference` |
    /// |---|---|---|
    /// | [`retry`](ConfigBuilder::retry) | exponential from 250 ms to 30 s, full jitter, no limit | 5 retries 10 s apart |
    /// | [`ping_interval`](ConfigBuilder::ping_interval) | 20 s, or half of `idle_timeout` if that is less | off |
    /// | [`idle_timeout`](ConfigBuilder::idle_timeout), its `ws_timeout` | off | off |
    /// | [`connect_timeout`](ConfigBuilder::connect_timeout), its `await_timeout` | 10 s | 10 s |
    /// | [`min_demand`](ConfigBuilder::min_demand) | half of `max_demand` | 10 |
    /// | [`max_demand`](ConfigBuilder::max_demand) | 2000 | 100 |
    /// | [`telemetry_id`](ConfigBuilder::telemetry_id) | `websocket_producer` | `websocket_producer` |
    ///
    /// All other options have the same defaults. Its rule for HTTP errors is [`Classification::AnyHttpError`], and its retry
    /// function is [`RetryPolicy::custom`]. Its option `:path` is `FeedBuilder::path`, and its telemetry events are the
    /// notices of these names.
    #[must_use]
    pub fn reference() -> ConfigBuilder {
        Self::builder()
            .retry(RetryPolicy::fixed(Duration::from_secs(10)).max_retries(5))
            .ping_interval(None)
            .min_demand(10)
            .max_demand(100)
    }

    /// Returns the time limit for the resolver, name lookup, TCP, TLS and the upgrade together.
    #[must_use]
    pub const fn connect_timeout(&self) -> Duration {
        self.connect_timeout
    }

    /// Returns the time limit from the upgrade to Live.
    #[must_use]
    pub const fn bootstrap_timeout(&self) -> Duration {
        self.bootstrap_timeout
    }

    /// Returns the time limit for a closing handshake.
    #[must_use]
    pub const fn close_timeout(&self) -> Duration {
        self.close_timeout
    }

    /// Returns how long a connection must be Live before the count of retries starts over.
    #[must_use]
    pub const fn stable_after(&self) -> Duration {
        self.stable_after
    }

    /// Returns the upper bound on a server's `Retry-After`.
    #[must_use]
    pub const fn max_retry_after(&self) -> Duration {
        self.retry.max_retry_after
    }

    /// Returns how long the connection may be silent before it fails.
    #[must_use]
    pub const fn idle_timeout(&self) -> Option<Duration> {
        self.liveness.idle_timeout
    }

    /// Returns the interval between pings.
    #[must_use]
    pub fn ping_interval(&self) -> Option<Duration> {
        self.liveness.ping_interval()
    }

    /// Returns the time limit for the answer to a ping.
    #[must_use]
    pub fn pong_timeout(&self) -> Duration {
        self.liveness.pong_timeout()
    }

    /// Returns how long the handler may emit no item before the connection is closed.
    #[must_use]
    pub const fn stale_after(&self) -> Option<Duration> {
        self.liveness.stale_after
    }

    /// Returns how long a slow consumer may pause reading before the connection is dropped.
    #[must_use]
    pub const fn max_pause(&self) -> Option<Duration> {
        self.liveness.max_pause
    }

    /// Returns the maximum length of the queue, in items.
    #[must_use]
    pub const fn buffer(&self) -> usize {
        self.queue.items
    }

    /// Returns the maximum size of the queue, in bytes.
    #[must_use]
    pub const fn buffer_bytes(&self) -> usize {
        self.queue.bytes
    }

    /// Returns the policy for a full queue.
    #[must_use]
    pub const fn overflow(&self) -> Overflow {
        self.queue.overflow
    }

    /// Returns the retry policy: delays and the number of retries.
    #[must_use]
    pub const fn retry(&self) -> &RetryPolicy {
        &self.retry.policy
    }

    /// Returns the rule for which failures are fatal.
    #[must_use]
    pub const fn classification(&self) -> &Classification {
        &self.retry.classification
    }

    /// Returns the consumer's side of demand, with nothing requested yet.
    #[must_use]
    pub fn demand_window(&self) -> DemandWindow {
        DemandWindow::new(self.min_demand(), self.max_demand)
    }

    /// Returns the number of outstanding items at which the consumer requests more.
    #[must_use]
    pub fn min_demand(&self) -> u32 {
        self.min_demand.unwrap_or(self.max_demand / 2)
    }

    /// Returns the maximum number of items outstanding between machine and consumer.
    #[must_use]
    pub const fn max_demand(&self) -> u32 {
        self.max_demand
    }

    /// Returns the maximum number of outgoing frames, for queues in front of the machine.
    #[must_use]
    pub const fn send_buffer(&self) -> usize {
        self.send_buffer
    }

    /// Returns the name of the feed in log records and metrics.
    #[must_use]
    pub fn telemetry_id(&self) -> &str {
        &self.telemetry_id
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::builder().build().expect("the defaults obey the rules; a test holds it")
    }
}

impl Config {
    fn check_spans(&self) -> Result<(), ConfigError> {
        let spans = [
            ("connect_timeout", Some(self.connect_timeout)),
            ("bootstrap_timeout", Some(self.bootstrap_timeout)),
            ("close_timeout", Some(self.close_timeout)),
            ("idle_timeout", self.liveness.idle_timeout),
            ("ping_interval", self.liveness.ping_interval()),
            ("pong_timeout", self.liveness.pong_timeout),
            ("stale_after", self.liveness.stale_after),
            ("max_pause", self.liveness.max_pause),
        ];
        spans.into_iter().try_for_each(|(option, span)| match span {
            Some(Duration::ZERO) => Err(ConfigError::Zero { option }),
            Some(_) | None => Ok(()),
        })
    }

    fn check_retry(&self) -> Result<(), ConfigError> {
        let (option, delay) = match &self.retry.policy.backoff {
            Backoff::Fixed(delay) => ("retry delay", *delay),
            Backoff::Exponential { base, cap, .. } if base > cap => {
                return Err(ConfigError::Above {
                    option: "retry base",
                    value: Value::Span(*base),
                    limit: "retry cap",
                    limit_value: Value::Span(*cap),
                });
            }
            Backoff::Exponential { base, .. } => ("retry base", *base),
            // An application's own function may return any delay, zero included.
            Backoff::Custom { .. } => return Ok(()),
        };
        if delay.is_zero() { Err(ConfigError::Zero { option }) } else { Ok(()) }
    }

    fn check_bounds(&self) -> Result<(), ConfigError> {
        let bounds = [
            ("buffer", self.queue.items),
            ("buffer_bytes", self.queue.bytes),
            ("send_buffer", self.send_buffer),
            ("max_demand", self.max_demand as usize),
        ];
        if let Some((option, _)) = bounds.into_iter().find(|(_, bound)| *bound == 0) {
            return Err(ConfigError::Zero { option });
        }
        if self.min_demand() >= self.max_demand {
            return Err(ConfigError::NotBelow {
                option: "min_demand",
                value: Value::Count(self.min_demand().into()),
                limit: "max_demand",
                limit_value: Value::Count(self.max_demand.into()),
            });
        }
        if self.telemetry_id.is_empty() {
            return Err(ConfigError::Empty { option: "telemetry_id" });
        }
        Ok(())
    }

    fn check_pings(&self) -> Result<(), ConfigError> {
        match self.liveness {
            LivenessConfig { pong_timeout: Some(_), pings: Pings::Off, .. } => {
                Err(ConfigError::Needs { option: "pong_timeout", needs: "ping_interval" })
            }
            LivenessConfig { pings: Pings::Every(interval), idle_timeout: Some(idle), .. }
                if interval >= idle =>
            {
                Err(ConfigError::NotBelow {
                    option: "ping_interval",
                    value: Value::Span(interval),
                    limit: "idle_timeout",
                    limit_value: Value::Span(idle),
                })
            }
            LivenessConfig { .. } => Ok(()),
        }
    }
}
