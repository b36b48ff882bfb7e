//! How fast the consumer is.

use std::time::Duration;

use fastrand::Rng;

/// How fast the consumer takes what there is. Once the faults are over, all are prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pace {
    /// At once.
    #[default]
    Prompt,
    /// With a rest of this length after each item.
    Slow(Duration),
    /// Bursts of some items, with rests in between.
    Bursty {
        /// How many items at once.
        items: u64,
        /// The rest after them.
        rest: Duration,
    },
    /// Prompt, but now and then it stops for this long.
    Stopping(Duration),
}

impl Pace {
    pub(crate) fn rest(self, items: u64, rng: &mut Rng) -> Option<Duration> {
        match self {
            Self::Prompt => None,
            Self::Slow(rest) => Some(rest),
            Self::Bursty { items: burst, rest } => items.is_multiple_of(burst.max(1)).then_some(rest),
            Self::Stopping(rest) => (rng.u32(0..200) == 0).then_some(rest),
        }
    }

    pub(crate) const fn longest_rest(self) -> Duration {
        match self {
            Self::Prompt => Duration::ZERO,
            Self::Slow(rest) | Self::Bursty { rest, .. } | Self::Stopping(rest) => rest,
        }
    }
}
