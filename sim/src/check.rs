//! The rules of the design that can be stated from outside, judged after every entry. It shares no code with the
//! machine: a second, much simpler view of the same feed.

#![allow(clippy::wildcard_enum_match_arm, reason = "it watches: most of what it sees concerns others")]

mod clocks;
mod connections;
mod ending;
mod fleet;
mod retries;
mod stream;
mod told;

use std::time::Duration;

use tidegate_driver::core::{Classification, Timestamp};

use crate::entry::Entry;
use crate::settings::Settings;

pub(crate) use fleet::Fleet;

/// What is wrong, with the name of the rule.
pub(crate) type Verdict = Result<(), String>;

macro_rules! hold {
    ($cond:expr, $($message:tt)+) => {
        if !$cond {
            return Err(format!($($message)+));
        }
    };
}
pub(crate) use hold;

/// What the checker needs to know of the run.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) settings: Settings,
    /// Whether the feed is polled whenever it is woken: an inline feed under a slow consumer is not, and may be late.
    pub(crate) prompt: bool,
    /// Of a retry policy that is not the settings'.
    pub(crate) longest_own_delay: Option<Duration>,
    pub(crate) max_attempts: Option<u64>,
    /// What the handler of the campaign owes on each connection.
    pub(crate) bootstrap: Option<BootstrapRule>,
    /// What the handler of the campaign emits.
    pub(crate) emission: Option<Emission>,
}

impl Rules {
    pub(crate) fn longest_delay(&self) -> Duration {
        self.longest_own_delay.unwrap_or_else(|| self.settings.backoff.longest())
    }
}

/// Subscriptions named `sub <number>`, answered by `ack <number>`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BootstrapRule {
    pub(crate) frames: u32,
    /// Live only once all are acknowledged.
    pub(crate) acks: bool,
}

/// What one message makes at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Emission {
    pub(crate) items: u64,
    /// Of each item, in bytes.
    pub(crate) weight: u64,
}

/// The rules for one feed, each part on its own.
pub(crate) struct Checker {
    connections: connections::Connections,
    retries: retries::Retries,
    told: told::Told,
    stream: stream::Stream,
    clocks: clocks::Clocks,
    ending: ending::Ending,
}

impl Checker {
    /// `classification` is a second one of the user's own, if the feed has one.
    pub(crate) fn new(rules: &Rules, classification: Option<Classification>) -> Self {
        Self {
            connections: connections::Connections::new(rules),
            retries: retries::Retries::new(rules, classification),
            told: told::Told::default(),
            stream: stream::Stream::new(rules),
            clocks: clocks::Clocks::new(rules.clone()),
            ending: ending::Ending::new(rules.longest_own_delay.is_some()),
        }
    }

    pub(crate) fn see(&mut self, now: Timestamp, entry: &Entry) -> Verdict {
        self.connections.see(now, entry)?;
        self.retries.see(now, entry)?;
        self.told.see(entry)?;
        self.stream.see(entry)?;
        self.clocks.see(now, entry)?;
        self.ending.see(entry)
    }
}

#[cfg(test)]
mod tests;
