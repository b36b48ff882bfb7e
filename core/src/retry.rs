//! What follows a failure: another attempt, and when, or the end (R1-R6).

use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

use fastrand::Rng;

use crate::failure::{ConnectFailure, Failure};
use crate::time::Timestamp;

/// Where a streak of failures stands, as in the reference's retry options (R2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryState {
    /// How many retries a streak has; `None` for no limit.
    pub max_retries: Option<u32>,
    /// How many are left. The retry that is being decided has already been taken off.
    pub retries_left: Option<u32>,
    /// How long to wait before the retry.
    pub delay: Duration,
}

/// How a delay is spread, so that a fleet does not come back all at once (R3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Jitter {
    /// Wait exactly the delay.
    None,
    /// Wait anything from zero to the delay. The default.
    #[default]
    Full,
    /// Wait anything from half the delay to the delay.
    Equal,
}

/// How long to wait before each retry, and how many there are.
///
/// The default is the reference's: 5 retries, 10 s apart (R2).
#[derive(Clone)]
pub struct RetryPolicy {
    pub(crate) backoff: Backoff,
    pub(crate) max_retries: Option<u32>,
}

/// Gives the state after a failure, for [`RetryPolicy::custom`].
pub type NextState = Arc<dyn Fn(RetryState, &Failure) -> RetryState + Send + Sync>;

/// How long a [`RetryPolicy`] waits before each retry.
#[derive(Clone)]
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
    /// [`RetryPolicy::custom`].
    Custom {
        /// The delay in the first state.
        initial: Duration,
        /// Gives the next state.
        next: NextState,
    },
}

impl RetryPolicy {
    /// Retries in a streak unless told otherwise: the reference's default.
    pub const DEFAULT_MAX_RETRIES: u32 = 5;
    /// The delay unless told otherwise: the reference's default.
    pub const DEFAULT_DELAY: Duration = Duration::from_secs(10);

    /// The same delay before every retry.
    #[must_use]
    pub const fn fixed(delay: Duration) -> Self {
        Self { backoff: Backoff::Fixed(delay), max_retries: Some(Self::DEFAULT_MAX_RETRIES) }
    }

    /// `base` before the first retry, twice as long before each further one, at most `cap`; with [`Jitter::Full`],
    /// drawn after the cap, so that a fleet stays spread out at the cap (R3).
    #[must_use]
    pub const fn exponential(base: Duration, cap: Duration) -> Self {
        Self {
            backoff: Backoff::Exponential { base, cap, jitter: Jitter::Full },
            max_retries: Some(Self::DEFAULT_MAX_RETRIES),
        }
    }

    /// A function of the state so far and the failure gives the next state, as the reference's retry function does.
    /// `initial` is the delay in the state that it sees first. No jitter is added. Clones of the policy share the function.
    pub fn custom(
        initial: Duration,
        next: impl Fn(RetryState, &Failure) -> RetryState + Send + Sync + 'static,
    ) -> Self {
        Self {
            backoff: Backoff::Custom { initial, next: Arc::new(next) },
            max_retries: Some(Self::DEFAULT_MAX_RETRIES),
        }
    }

    /// At most `retries` retries in a streak: 1 + `retries` attempts.
    #[must_use]
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.max_retries = Some(retries);
        self
    }

    /// Retry for ever.
    #[must_use]
    pub fn unlimited(mut self) -> Self {
        self.max_retries = None;
        self
    }

    /// How long it waits.
    #[must_use]
    pub const fn backoff(&self) -> &Backoff {
        &self.backoff
    }

    /// How many retries a streak has; `None` for no limit.
    #[must_use]
    pub const fn retries(&self) -> Option<u32> {
        self.max_retries
    }

    /// How the delays of [`Self::exponential`] are spread; other policies have none.
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

/// Whether a failure is worth a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Try again.
    Retry,
    /// No retry mends it: stop.
    Fatal,
}

/// Which failures are fatal (R6).
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Classification {
    /// What [`Failure::is_fatal`] says, as the variants' docs do. The default.
    #[default]
    Standard,
    /// Any HTTP status of 400 or above, as in the reference, and all else that is fatal by default.
    AnyHttpError,
    /// A function of the application's own decides. Clones share it.
    Custom(Arc<dyn Fn(&Failure) -> Class + Send + Sync>),
}

impl Classification {
    /// Whether `failure` is worth a retry. A function of your own can fall back on [`Standard`](Self::Standard) with it.
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

/// What the retry path is configured with.
#[derive(Clone, Debug)]
pub(crate) struct RetryConfig {
    pub(crate) policy: RetryPolicy,
    pub(crate) classification: Classification,
    pub(crate) max_retry_after: Duration,
}

/// What follows a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    RetryAt { at: Timestamp, attempt: u32, delay: Duration },
    Exhausted,
    Fatal,
}

/// The streak: what a policy has given out since the last stable connection.
#[derive(Debug)]
pub(crate) struct Retry {
    state: RetryState,
    attempt: u32,
}

impl Retry {
    /// A new streak: at the start, and after a connection that was Live for long enough (R4).
    pub(crate) fn new(policy: &RetryPolicy) -> Self {
        Self { state: policy.start(), attempt: 0 }
    }

    /// Retries given out in this streak.
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
        // What the server asks for, up to a limit (R5).
        let asked = failure.retry_after().unwrap_or_default().min(config.max_retry_after);
        let delay = wait.max(asked);
        self.attempt = self.attempt.saturating_add(1);
        // A delay of zero still ends after now, so that a Tick never leaves a deadline due (P2).
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

    /// Moves `state` on from `spent` and gives the time to wait.
    fn next(&self, spent: RetryState, failure: &Failure, state: &mut RetryState, rng: &mut Rng) -> Duration {
        match &self.backoff {
            Backoff::Fixed(_) => {
                *state = spent;
                spent.delay
            }
            Backoff::Exponential { cap, jitter, .. } => {
                *state = RetryState { delay: spent.delay.saturating_mul(2).min(*cap), ..spent };
                // After the cap, so that a fleet stays spread out at the cap (R3).
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

    /// Returns the shortest wait that it makes of `delay`; the longest is `delay` itself.
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
