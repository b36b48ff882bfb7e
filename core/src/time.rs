//! Points in time and deadlines. The embedding loop passes the time in.

use core::ops::Add;
use core::time::Duration;

/// A point in time, in nanoseconds since an origin that the embedding loop chooses once per feed.
///
/// The machine never reads a clock. A plain number can be recorded, replayed and fuzzed on any platform. 64 bits last
/// for 584 years.
///
/// ```
/// use std::time::Duration;
/// use tidegate_core::Timestamp;
///
/// assert_eq!(Timestamp::from_millis(5) + Duration::from_millis(1), Timestamp::from_millis(6));
/// // Beyond the last point it is the last point.
/// assert_eq!(Timestamp::from_millis(5) + Duration::MAX, Timestamp::from_nanos(u64::MAX));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The origin.
    pub const ZERO: Self = Self(0);

    /// Returns the point `nanos` nanoseconds after the origin.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Returns the point `millis` milliseconds after the origin, or the last point if that is later.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// Returns the nanoseconds since the origin.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Returns the whole milliseconds since the origin.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// Returns the point `by` later, or the last point if that is later.
    #[must_use]
    pub fn saturating_add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// Returns the duration from `earlier` to this point, or zero if this point is not later.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Returns the next point, for deadlines that must lie in the future (P2).
    pub(crate) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// As [`Timestamp::saturating_add`]: beyond the last point it is the last point.
impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        self.saturating_add(by)
    }
}

/// The time of the next [`Tick`](crate::Event::Tick).
///
/// Deadlines are ordered by time, and [`Never`](Self::Never) is last. So the minimum of several deadlines is the one to
/// wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Deadline {
    /// At this time, or as soon as possible after it.
    At(Timestamp),
    /// No deadline. Only other events are awaited.
    Never,
}

impl Deadline {
    /// Returns the deadline `span` after `start`, or `Never` without a span.
    #[must_use]
    pub fn after(start: Timestamp, span: Option<Duration>) -> Self {
        span.map_or(Self::Never, |span| Self::At(start.saturating_add(span)))
    }

    /// Returns whether the deadline has passed at `now`.
    #[must_use]
    pub fn is_due(self, now: Timestamp) -> bool {
        self <= Self::At(now)
    }
}

impl From<Timestamp> for Deadline {
    fn from(at: Timestamp) -> Self {
        Self::At(at)
    }
}
