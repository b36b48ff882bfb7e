//! Decides after a failure: another attempt after a delay, or the end of the feed (R1-R6).

use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

use fastrand::Rng;

use crate::failure::{ConnectFailure, Failure};
use crate::time::Timestamp;

/// State of a streak of retries, as in off_broadway_websocket's retry options (R2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryState {
    /// Maximum number of retries in a streak. `None` means no limit.
    pub max_retries: Option<u32>,
    /// Number of retries left, without the one that is being decided. `None` means no limit.
    pub retries_left: Option<u32>,
    /// Delay before the retry.
    pub delay: Duration,
}

/// Randomization of a delay, so that the feeds of a fleet do not reconnect at the same time (R3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Jitter {
    /// No randomization: wait exactly the delay.
    None,
    /// Wait between zero and the delay. The default.
    #[default]
    Full,
    /// Wait between half the delay and the delay.
    Equal,
}

/// A retry policy: the delay before each retry, and the number of retries.
///
/// The default is off_broadway_websocket's: 5 retries, 10 s apart (R2).
#[derive(Clone)]
pub struct RetryPolicy {
    pub(crate) backoff: Backoff,
    pub(crate) max_retries: Option<u32>,
}

/// Function for [`RetryPolicy::custom`], which returns the state after a failure.
pub type NextState = Arc<dyn Fn(RetryState, &Failure) -> RetryState + Send + Sync>;

/// The delays of a [`RetryPolicy`].
#[derive(Clone)]
#[non_exhaustive]
pub enum Backoff {
    /// Constant delay, from [`RetryPolicy::fixed`].
    Fixed(Duration),
    /// Growing delay, from [`RetryPolicy::exponential`].
    Exponential {
        /// Delay before the first retry.
        base: Duration,
        /// Maximum delay.
        cap: Duration,
        /// Randomization of the delay.
        jitter: Jitter,
    },
    /// Delay of the application's own function, from [`RetryPolicy::custom`].
    Custom {
        /// Delay in the first state.
        initial: Duration,
        /// Returns the next state.
        next: NextState,
    },
}

impl RetryPolicy {
    /// Default number of retries in a streak, as in off_broadway_websocket.
    pub const DEFAULT_MAX_RETRIES: u32 = 5;
    /// Default delay, as in off_broadway_websocket: 10 s.
    pub const DEFAULT_DELAY: Duration = Duration::from_secs(10);

    /// Returns a policy with the same delay before every retry, and 5 retries in a streak. `delay` must not be zero.
    #[must_use]
    pub const fn fixed(delay: Duration) -> Self {
        Self { backoff: Backoff::Fixed(delay), max_retries: Some(Self::DEFAULT_MAX_RETRIES) }
    }

    /// Returns a policy with exponential backoff, [`Jitter::Full`], and 5 retries in a streak.
    ///
    /// The delay is `base` before the first retry, and doubles up to `cap`. Jitter is applied after the cap, so that a
    /// fleet stays spread out at the cap (R3). `base` must not be zero, nor above `cap`.
    #[must_use]
    pub const fn exponential(base: Duration, cap: Duration) -> Self {
        Self {
            backoff: Backoff::Exponential { base, cap, jitter: Jitter::Full },
            max_retries: Some(Self::DEFAULT_MAX_RETRIES),
        }
    }

    /// Returns a policy whose delays `next` decides, as off_broadway_websocket's retry function does, with 5 retries in a
    /// streak.
    ///
    /// `next` maps the state so far and the failure to the next state, whose delay is the one before the retry. The first
    /// state that it sees has the delay `initial`, which is not itself a delay before a retry. No jitter is added, and no
    /// minimum: a delay of zero against a server that accepts and closes is an endless stream of attempts. Clones of the
    /// policy share the function.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tidegate_core::RetryPolicy;
    ///
    /// // 1 s, 3 s, 9 s, ... up to a minute.
    /// let policy = RetryPolicy::custom(Duration::from_millis(333), |mut state, _failure| {
    ///     state.delay = (state.delay * 3).min(Duration::from_secs(60));
    ///     state
    /// });
    /// ```
    pub fn custom(
        initial: Duration,
        next: impl Fn(RetryState, &Failure) -> RetryState + Send + Sync + 'static,
    ) -> Self {
        Self {
            backoff: Backoff::Custom { initial, next: Arc::new(next) },
            max_retries: Some(Self::DEFAULT_MAX_RETRIES),
        }
    }

    /// Sets the maximum number of retries in a streak, so that it has 1 + `retries` attempts. Default 5.
    #[must_use]
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.max_retries = Some(retries);
        self
    }

    /// Removes the limit on retries.
    #[must_use]
    pub fn unlimited(mut self) -> Self {
        self.max_retries = None;
        self
    }

    /// Returns the delays.
    #[must_use]
    pub const fn backoff(&self) -> &Backoff {
        &self.backoff
    }

    /// Returns the maximum number of retries in a streak, or `None` for no limit.
    #[must_use]
    pub const fn retries(&self) -> Option<u32> {
        self.max_retries
    }

    /// Sets the randomization of an [`exponential`](Self::exponential) policy. It has no effect on other policies.
    /// Default [`Jitter::Full`].
    #[must_use]
    pub fn jitter(mut self, kind: Jitter) -> Self {
        match &mut self.backoff {
            Backoff::Exponential { jitter, .. } => *jitter = kind,
            Backoff::Fixed(_) | Backoff::Custom { .. } => {}
        }
        self
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::fixed(Self::DEFAULT_DELAY)
    }
}

impl fmt::Debug for RetryPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("RetryPolicy");
        match &self.backoff {
            Backoff::Fixed(delay) => out.field("fixed", delay),
            Backoff::Exponential { base, cap, jitter } => out.field("exponential", &(base, cap, jitter)),
            Backoff::Custom { initial, .. } => out.field("custom", initial),
        };
        out.field("max_retries", &self.max_retries).finish()
    }
}

/// Whether a failure is retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Make another attempt.
    Retry,
    /// Stop the feed.
    Fatal,
}

/// The rule for which failures are fatal (R6).
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Classification {
    /// Failures for which [`Failure::is_fatal`] returns `true`. The default.
    #[default]
    Standard,
    /// Any HTTP status of 400 or above, as in off_broadway_websocket, and all other failures that are fatal by default.
    AnyHttpError,
    /// Failures for which this function returns [`Class::Fatal`]. Clones share the function.
    Custom(Arc<dyn Fn(&Failure) -> Class + Send + Sync>),
}

impl Classification {
    /// Returns whether `failure` is retried. A custom function can fall back on [`Standard`](Self::Standard) with it.
    pub fn classify(&self, failure: &Failure) -> Class {
        let fatal = match self {
            Self::Standard => failure.is_fatal(),
            Self::AnyHttpError => {
                failure.is_fatal()
                    || matches!(failure, Failure::Connect(ConnectFailure::Rejected { status: 400.., .. }))
            }
            Self::Custom(classify) => return classify(failure),
        };
        if fatal { Class::Fatal } else { Class::Retry }
    }
}

impl fmt::Debug for Classification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Standard => "Standard",
            Self::AnyHttpError => "AnyHttpError",
            Self::Custom(_) => "Custom",
        })
    }
}

/// Options of the retry path.
#[derive(Clone, Debug)]
pub(crate) struct RetryConfig {
    pub(crate) policy: RetryPolicy,
    pub(crate) classification: Classification,
    pub(crate) max_retry_after: Duration,
}

/// The decision after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    RetryAt { at: Timestamp, attempt: u32, delay: Duration },
    Exhausted,
    Fatal,
}

/// The current streak of retries, since the last stable connection.
#[derive(Debug)]
pub(crate) struct Retry {
    state: RetryState,
    attempt: u32,
}

impl Retry {
    /// Starts a streak: when the feed starts, and after a connection that was Live for long enough (R4).
    pub(crate) fn new(policy: &RetryPolicy) -> Self {
        Self { state: policy.start(), attempt: 0 }
    }

    /// Returns the number of retries in this streak.
    pub(crate) const fn attempt(&self) -> u32 {
        self.attempt
    }

    pub(crate) fn next(
        &mut self,
        config: &RetryConfig,
        failure: &Failure,
        rng: &mut Rng,
        now: Timestamp,
    ) -> Decision {
        if config.classification.classify(failure) == Class::Fatal {
            return Decision::Fatal;
        }
        let retries_left = match self.state.retries_left {
            Some(0) => return Decision::Exhausted,
            Some(left) => Some(left - 1),
            None => None,
        };
        let spent = RetryState { retries_left, ..self.state };
        let wait = config.policy.next(spent, failure, &mut self.state, rng);
        // The server's `Retry-After` is a lower bound, up to a limit (R5).
        let asked = failure.retry_after().unwrap_or_default().min(config.max_retry_after);
        let delay = wait.max(asked);
        self.attempt = self.attempt.saturating_add(1);
        // A delay of zero still ends later than now, so that no deadline is due after a Tick (P2).
        Decision::RetryAt { at: now.saturating_add(delay).max(now.next()), attempt: self.attempt, delay }
    }
}

impl RetryPolicy {
    fn start(&self) -> RetryState {
        let delay = match &self.backoff {
            Backoff::Fixed(delay) => *delay,
            Backoff::Exponential { base, cap, .. } => *base.min(cap),
            Backoff::Custom { initial, .. } => *initial,
        };
        RetryState { max_retries: self.max_retries, retries_left: self.max_retries, delay }
    }

    /// Updates `state` from `spent`, and returns the delay.
    fn next(&self, spent: RetryState, failure: &Failure, state: &mut RetryState, rng: &mut Rng) -> Duration {
        match &self.backoff {
            Backoff::Fixed(_) => {
                *state = spent;
                spent.delay
            }
            Backoff::Exponential { cap, jitter, .. } => {
                *state = RetryState { delay: spent.delay.saturating_mul(2).min(*cap), ..spent };
                // After the cap: a fleet stays spread out at the cap (R3).
                jitter.spread(spent.delay, rng)
            }
            Backoff::Custom { next, .. } => {
                *state = next(spent, failure);
                state.delay
            }
        }
    }
}

impl Jitter {
    /// All kinds.
    pub const ALL: &'static [Self] = &[Self::None, Self::Full, Self::Equal];

    /// Returns the shortest wait for `delay`. The longest is `delay` itself.
    #[must_use]
    pub fn shortest(self, delay: Duration) -> Duration {
        match self {
            Self::None => delay,
            Self::Full => Duration::ZERO,
            Self::Equal => delay - delay / 2,
        }
    }

    fn spread(self, delay: Duration, rng: &mut Rng) -> Duration {
        let nanos = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(match self {
            Self::None => nanos,
            Self::Full => rng.u64(0..=nanos),
            Self::Equal => nanos - rng.u64(0..=nanos / 2),
        })
    }
}
