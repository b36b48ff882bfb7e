//! Decides after a failure: another attempt after a delay, or the end of the feed (R1-R6).

mod classification;

use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

use fastrand::Rng;

use crate::failure::Failure;
use crate::time::Timestamp;

pub use classification::{Class, Classification, Exception};

/// State of a streak of retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryState {
    /// Maximum number of retries in a streak. `None` means no limit.
    pub max_retries: Option<u32>,
    /// Number of retries left, without the one that is being decided. `None` means no limit.
    pub retries_left: Option<u32>,
    /// Delay before the retry.
    pub delay: Duration,
}

/// Randomization of a delay, so that the feeds of a fleet do not reconnect at the same time.
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
/// The default is exponential, from 250 ms to 30 s, with full jitter. No policy limits the number of retries, unless
/// [`max_retries`](Self::max_retries) does.
#[derive(Clone)]
pub struct RetryPolicy {
    pub(crate) backoff: Backoff,
    max_retries: Option<u32>,
    adjust: Option<Adjust>,
}

type Adjust = Arc<dyn Fn(&Failure, Duration) -> Duration + Send + Sync>;

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
    /// Returns a policy with the same delay before every retry. `delay` must not be zero.
    #[must_use]
    pub const fn fixed(delay: Duration) -> Self {
        Self::new(Backoff::Fixed(delay))
    }

    /// Returns a policy with exponential backoff and [`Jitter::Full`].
    ///
    /// The delay is `base` before the first retry, and doubles up to `cap`. Jitter is applied after the cap, so that a
    /// fleet stays spread out at the cap. `base` must not be zero, nor above `cap`.
    #[must_use]
    pub const fn exponential(base: Duration, cap: Duration) -> Self {
        Self::new(Backoff::Exponential { base, cap, jitter: Jitter::Full })
    }

    /// Returns a policy whose delays `next` decides.
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
        Self::new(Backoff::Custom { initial, next: Arc::new(next) })
    }

    const fn new(backoff: Backoff) -> Self {
        Self { backoff, max_retries: None, adjust: None }
    }

    /// Lets `adjust` change each delay, depending on the failure. A second call replaces the function of the first.
    ///
    /// `adjust` gets the policy's delay, which has grown up to the cap, and returns another one, which may also be above
    /// the cap, or zero. After that, jitter is applied, and then the lower bound of `Retry-After`. The policy's own delay
    /// grows as if it had not been changed. Clones of the policy share the function.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tidegate_core::RetryPolicy;
    ///
    /// // At once with another token; spread over a minute after a restart of the server (a Close with 1012).
    /// let policy = RetryPolicy::exponential(Duration::from_millis(250), Duration::from_secs(30))
    ///     .with(|failure, delay| match (failure.status(), failure.close_code()) {
    ///         (Some(401), _) => Duration::ZERO,
    ///         (_, Some(1012)) => delay.max(Duration::from_secs(60)),
    ///         _ => delay,
    ///     });
    /// ```
    #[must_use]
    pub fn with(mut self, adjust: impl Fn(&Failure, Duration) -> Duration + Send + Sync + 'static) -> Self {
        self.adjust = Some(Arc::new(adjust));
        self
    }

    /// Returns `delay` as the function of [`with`](Self::with) changes it, before jitter. Without a function it is
    /// unchanged.
    #[must_use]
    pub fn adjusted(&self, failure: &Failure, delay: Duration) -> Duration {
        self.adjust.as_ref().map_or(delay, |adjust| adjust(failure, delay))
    }

    /// Sets the maximum number of retries in a streak, so that it has 1 + `retries` attempts. Default: no limit.
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
        Self::exponential(Duration::from_millis(250), Duration::from_secs(30))
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
        out.field("max_retries", &self.max_retries);
        match &self.adjust {
            Some(_) => out.finish_non_exhaustive(),
            None => out.finish(),
        }
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
    /// Status with which the last attempt was refused, if it was one that is retried once.
    refused_before: Option<u16>,
}

impl Retry {
    /// Starts a streak: when the feed starts, and after a connection that was Live for long enough (R4).
    pub(crate) fn new(policy: &RetryPolicy) -> Self {
        Self { state: policy.start(), attempt: 0, refused_before: None }
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
        let status = failure.status().filter(|status| config.classification.retries_once(*status));
        let before = core::mem::replace(&mut self.refused_before, status);
        if config.classification.judge(failure, before) == Class::Fatal {
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
        let (next, delay, jitter) = match &self.backoff {
            Backoff::Fixed(_) => (spent, spent.delay, None),
            Backoff::Exponential { cap, jitter, .. } => {
                let doubled = spent.delay.saturating_mul(2).min(*cap);
                (RetryState { delay: doubled, ..spent }, spent.delay, Some(jitter))
            }
            Backoff::Custom { next, .. } => {
                let next = next(spent, failure);
                (next, next.delay, None)
            }
        };
        let delay = self.adjusted(failure, delay);
        *state = next;
        // Last: a fleet stays spread out at the cap (R3).
        jitter.map_or(delay, |jitter| jitter.spread(delay, rng))
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
