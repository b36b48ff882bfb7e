//! Builds a feed's options.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::sync::Arc;
use core::time::Duration;

use super::{Config, ConfigError, LivenessConfig, Pings};
use crate::demand::{Overflow, QueueConfig};
use crate::failure::Failure;
use crate::retry::{Class, Classification, RetryConfig, RetryPolicy};

/// Builder of a [`Config`]. [`build`](Self::build) checks the options.
#[derive(Clone, Debug)]
pub struct ConfigBuilder(Config);

impl From<Config> for ConfigBuilder {
    fn from(config: Config) -> Self {
        Self(config)
    }
}

impl Default for ConfigBuilder {
    fn default() -> Self {
        Self(Config {
            connect_timeout: Duration::from_secs(10),
            bootstrap_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(1),
            stable_after: Duration::from_secs(10),
            liveness: LivenessConfig::default(),
            queue: QueueConfig { items: 1024, bytes: 1024 * 1024, overflow: Overflow::Pause },
            send_buffer: 256,
            retry: RetryConfig {
                policy: RetryPolicy::default(),
                classification: Classification::default(),
                max_retry_after: Duration::from_secs(5 * 60),
            },
            min_demand: None,
            max_demand: 2000,
            telemetry_id: "websocket_producer".to_owned(),
        })
    }
}

impl ConfigBuilder {
    /// Sets one deadline over the resolver, name lookup, TCP, TLS and the upgrade. Default 10 s.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.0.connect_timeout = timeout;
        self
    }

    /// Sets the time limit from the upgrade to Live. Default 10 s.
    #[must_use]
    pub fn bootstrap_timeout(mut self, timeout: Duration) -> Self {
        self.0.bootstrap_timeout = timeout;
        self
    }

    /// Sets the time limit for a closing handshake, after which the socket is dropped. Default 1 s.
    #[must_use]
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.0.close_timeout = timeout;
        self
    }

    /// Sets how long a connection must be Live before the count of retries starts over. Default 10 s, so that a
    /// server that accepts and closes at once is still backed off.
    #[must_use]
    pub fn stable_after(mut self, span: Duration) -> Self {
        self.0.stable_after = span;
        self
    }

    /// Sets the upper bound on a server's `Retry-After`. Default 5 min.
    #[must_use]
    pub fn max_retry_after(mut self, span: Duration) -> Self {
        self.0.retry.max_retry_after = span;
        self
    }

    /// Ends the connection after this long without any bytes from the peer. Default off.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.0.liveness.idle_timeout = Some(timeout);
        self
    }

    /// Sends a ping at this interval; `None` turns pings off. Default 20 s, or half of
    /// [`idle_timeout`](Self::idle_timeout) if that is less. Must be less than `idle_timeout`, if that is set.
    #[must_use]
    pub fn ping_interval(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.0.liveness.pings = interval.into().map_or(Pings::Off, Pings::Every);
        self
    }

    /// Sets the time limit for the answer to a ping. Default 10 s. Needs pings.
    #[must_use]
    pub fn pong_timeout(mut self, timeout: Duration) -> Self {
        self.0.liveness.pong_timeout = Some(timeout);
        self
    }

    /// Closes the connection after this long without an item from the handler, even if frames still arrive.
    /// Default off.
    #[must_use]
    pub fn stale_after(mut self, span: Duration) -> Self {
        self.0.liveness.stale_after = Some(span);
        self
    }

    /// Drops the connection once a slow consumer has paused reading for this long. Default off: a connection that breaks
    /// during a pause is then noticed when reading resumes.
    #[must_use]
    pub fn max_pause(mut self, span: Duration) -> Self {
        self.0.liveness.max_pause = Some(span);
        self
    }

    /// Sets the maximum length of the queue, in items. Default 1024.
    ///
    /// The consumer of a spawned feed has up to [`max_demand`](Self::max_demand) items more: they have left the queue, and
    /// are not dropped any more.
    #[must_use]
    pub fn buffer(mut self, items: usize) -> Self {
        self.0.queue.items = items;
        self
    }

    /// Sets the maximum size of the queue, in bytes. Each item counts with its weight, and at least with its own
    /// size. Default 1 MiB.
    #[must_use]
    pub fn buffer_bytes(mut self, bytes: usize) -> Self {
        self.0.queue.bytes = bytes;
        self
    }

    /// Sets the policy for a full queue. Default [`Overflow::Pause`].
    ///
    /// For a spawned feed whose consumer needs the newest items, set a small [`max_demand`](Self::max_demand) too.
    #[must_use]
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.0.queue.overflow = overflow;
        self
    }

    /// Sets the maximum number of outgoing frames that are not flushed yet. Default 256. Bootstrap frames do not
    /// count.
    #[must_use]
    pub fn send_buffer(mut self, frames: usize) -> Self {
        self.0.send_buffer = frames;
        self
    }

    /// Sets the delays before retries, and the number of retries. Default [`RetryPolicy::default`].
    #[must_use]
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.0.retry.policy = policy;
        self
    }

    /// Sets the rule for which failures are fatal. Default [`Classification::Standard`].
    #[must_use]
    pub fn classification(mut self, classification: Classification) -> Self {
        self.0.retry.classification = classification;
        self
    }

    /// Lets a function decide which failures are fatal.
    #[must_use]
    pub fn classify(self, classify: impl Fn(&Failure) -> Class + Send + Sync + 'static) -> Self {
        self.classification(Classification::Custom(Arc::new(classify)))
    }

    /// Sets the number of outstanding items at which the consumer requests more. Default half of
    /// [`max_demand`](Self::max_demand), and must be less than that.
    #[must_use]
    pub fn min_demand(mut self, items: u32) -> Self {
        self.0.min_demand = Some(items);
        self
    }

    /// Sets the maximum number of outstanding items. Default 2000. With a small number, a fast consumer in another task and the feed spend their time waking each other.
    #[must_use]
    pub fn max_demand(mut self, items: u32) -> Self {
        self.0.max_demand = items;
        self
    }

    /// Sets the name of the feed in log records and metrics. Default `websocket_producer`. Give each feed of a
    /// process its own: feeds that share one overwrite each other's gauges.
    #[must_use]
    pub fn telemetry_id(mut self, id: impl Into<String>) -> Self {
        self.0.telemetry_id = id.into();
        self
    }

    /// Checks the options and returns the configuration.
    ///
    /// # Errors
    /// Returns an error if an option, or a combination of two, is not valid. The error names option, value and rule.
    pub fn build(self) -> Result<Config, ConfigError> {
        self.0.check_spans()?;
        self.0.check_retry()?;
        self.0.check_bounds()?;
        self.0.check_pings()?;
        Ok(self.0)
    }
}
