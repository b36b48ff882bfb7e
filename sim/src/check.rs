//! The rules of the design that can be stated from outside, checked after every entry. It takes the options
//! of the feed, and decides nothing with the machine's code: a second, much simpler view of the same feed.

#![allow(clippy::wildcard_enum_match_arm, reason = "it watches: most of what it sees concerns others")]

mod clocks;
mod connections;
mod ending;
mod fleet;
mod notices;
mod retries;
mod stream;

use std::time::Duration;

use tidegate_driver::core::{Backoff, Config, Jitter, Timestamp};

use crate::entry::Entry;

pub(crate) use fleet::Fleet;

/// An error names the rule, and what is wrong.
pub(crate) type Verdict = Result<(), String>;

macro_rules! hold {
    ($cond:expr, $($message:tt)+) => {
        if !$cond {
            return Err(format!($($message)+));
        }
    };
}
pub(crate) use hold;

/// Options of the run that the checker uses.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) config: Config,
    pub(crate) delays: Delays,
    /// The longest delay, if a function of the application decides.
    pub(crate) longest_delay: Option<Duration>,
    /// Whether the feed is polled whenever it is woken. An inline feed with a slow consumer is not, and may be late.
    pub(crate) prompt: bool,
    pub(crate) max_attempts: Option<u64>,
    /// Frames that the campaign's handler must send on each connection.
    pub(crate) bootstrap: Option<BootstrapRule>,
    /// Items that the campaign's handler emits.
    pub(crate) emission: Option<Emission>,
}

impl Rules {
    /// Whether a connection that has fallen silent is ever found dead.
    pub(crate) fn detects_silence(&self) -> bool {
        self.config.idle_timeout().is_some() || self.config.ping_interval().is_some()
    }

    /// How long it may take until the feed is Live once the faults are over, without delays of the network. At worst, a
    /// connection is found dead late and closed late, then an attempt hangs, then a bootstrap, each with the longest delay
    /// before the next attempt.
    pub(crate) fn recovery_bound(&self) -> Duration {
        let config = &self.config;
        let ping = config.ping_interval().map(|interval| interval + config.pong_timeout());
        let silence = match (config.idle_timeout(), ping) {
            (Some(idle), Some(ping)) => idle.min(ping),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => Duration::ZERO,
        };
        let dead =
            silence.max(config.stale_after().unwrap_or_default()).max(config.max_pause().unwrap_or_default());
        let delay = self.longest_delay.unwrap_or_else(|| self.delays.longest()).max(config.max_retry_after());
        dead + config.connect_timeout() + config.bootstrap_timeout() + config.close_timeout() + 3 * delay
    }
}

/// The delays that a retry policy gives (R3).
#[derive(Clone, Copy, Debug)]
pub(crate) enum Delays {
    Fixed(Duration),
    Exponential {
        base: Duration,
        cap: Duration,
        jitter: Jitter,
    },
    /// Those of a custom policy, which also decides how many there are.
    UpTo(Duration),
}

impl Delays {
    pub(crate) fn new(config: &Config, longest: Option<Duration>) -> Self {
        match *config.retry().backoff() {
            Backoff::Fixed(delay) => Self::Fixed(delay),
            Backoff::Exponential { base, cap, jitter } => Self::Exponential { base, cap, jitter },
            _ => Self::UpTo(longest.expect("a custom retry policy needs SimulationBuilder::longest_delay")),
        }
    }

    /// The shortest delay before the `attempt`th retry of a streak, and the longest, if a function adjusts it.
    fn range(self, attempt: u32, adjusted: impl Fn(Duration) -> Duration) -> (Duration, Duration) {
        match self {
            Self::Fixed(delay) => (adjusted(delay), adjusted(delay)),
            Self::Exponential { base, cap, jitter } => {
                let doublings = 1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
                let most = adjusted(base.saturating_mul(doublings).min(cap));
                (jitter.shortest(most), most)
            }
            Self::UpTo(longest) => (Duration::ZERO, longest),
        }
    }

    fn longest(self) -> Duration {
        self.range(u32::MAX, |delay| delay).1
    }
}

/// Subscriptions named `sub <number>`, answered by `ack <number>`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BootstrapRule {
    pub(crate) frames: u32,
    /// Live only once all are acknowledged.
    pub(crate) acks: bool,
}

/// At most so much for one message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Emission {
    pub(crate) items: u64,
    /// Of each item, in bytes.
    pub(crate) weight: u64,
}

/// Checks one feed against all rules.
pub(crate) struct Checker {
    connections: connections::Connections,
    retries: retries::Retries,
    notices: notices::NoticeRules,
    stream: stream::Stream,
    clocks: clocks::Clocks,
    ending: ending::Ending,
}

impl Checker {
    pub(crate) fn new(rules: &Rules) -> Self {
        Self {
            connections: connections::Connections::new(rules),
            retries: retries::Retries::new(rules),
            notices: notices::NoticeRules::default(),
            stream: stream::Stream::new(rules),
            clocks: clocks::Clocks::new(rules.clone()),
            ending: ending::Ending::new(matches!(rules.delays, Delays::UpTo(_))),
        }
    }

    pub(crate) fn see(&mut self, now: Timestamp, entry: &Entry) -> Verdict {
        self.connections.see(now, entry)?;
        self.retries.see(now, entry)?;
        self.notices.see(entry)?;
        self.stream.see(entry)?;
        self.clocks.see(now, entry)?;
        self.ending.see(entry)
    }
}

#[cfg(test)]
mod tests;
