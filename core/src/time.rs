//! Time as the machine sees it: a number that the embedder hands in.

use core::time::Duration;

/// A point in time: nanoseconds since an origin that the embedder picks, the same for the life of a feed.
///
/// The machine never reads a clock. A plain number can be written down, replayed and fuzzed on any platform;
/// 64 bits last for 584 years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The origin itself.
    pub const ZERO: Self = Self(0);

    /// The point `nanos` nanoseconds after the origin.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The point `millis` milliseconds after the origin; later than the clock can tell is the last point it can.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// Nanoseconds since the origin.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Whole milliseconds since the origin.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// The point `by` later; later than the clock can tell is the last point it can.
    #[must_use]
    pub fn saturating_add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// How long after `earlier` this point is; zero if it is not after it.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The first point after this one, for deadlines that must lie in the future (P2).
    pub(crate) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// When the machine next wants a [`Tick`](crate::Event::Tick), whatever else happens.
///
/// The order is the order in time: [`Never`](Self::Never) sorts last, so that the minimum of several deadlines is
/// the one to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Deadline {
    /// At this time, or as soon after it as can be.
    At(Timestamp),
    /// Nothing is due; wait for other events alone.
    Never,
}

impl Deadline {
    /// `span` after `start`, or never if there is no span.
    #[must_use]
    pub fn after(start: Timestamp, span: Option<Duration>) -> Self {
        span.map_or(Self::Never, |span| Self::At(start.saturating_add(span)))
    }

    /// Whether it has come.
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
