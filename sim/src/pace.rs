//! How fast consumers are.

use std::time::Duration;

use fastrand::Rng;

/// How fast the consumer takes deliveries. Once the faults are over, all are prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pace {
    /// Takes everything at once.
    #[default]
    Prompt,
    /// Rests this long after each item.
    Slow(Duration),
    /// Takes bursts of items, with rests between them.
    Bursty {
        /// Items in a burst.
        items: u64,
        /// Rest after each burst.
        rest: Duration,
    },
    /// Prompt, but sometimes stops for this long.
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
