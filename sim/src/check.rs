//! The rules of the design that can be stated from outside, judged after every entry. It shares no code with the
//! machine: a second, much simpler view of the same feed.

mod clocks;
mod connections;
mod retries;
mod stream;
mod told;

use tidegate_driver::core::Timestamp;

use crate::entry::Entry;
use crate::settings::Settings;

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
    /// What the handler of the campaign owes on each connection.
    pub(crate) bootstrap: Option<BootstrapRule>,
    /// What the handler of the campaign emits.
    pub(crate) emission: Option<Emission>,
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

/// The rules, each part on its own.
pub(crate) struct Checker {
    connections: connections::Connections,
    retries: retries::Retries,
    told: told::Told,
    stream: stream::Stream,
    clocks: clocks::Clocks,
}

impl Checker {
    pub(crate) fn new(rules: &Rules) -> Self {
        Self {
            connections: connections::Connections::new(rules.bootstrap),
            retries: retries::Retries::new(rules.settings.clone()),
            told: told::Told::default(),
            stream: stream::Stream::new(rules),
            clocks: clocks::Clocks::new(rules.clone()),
        }
    }

    pub(crate) fn see(&mut self, now: Timestamp, entry: &Entry) -> Verdict {
        self.connections.see(now, entry)?;
        self.retries.see(now, entry)?;
        self.told.see(entry)?;
        self.stream.see(entry)?;
        self.clocks.see(now, entry)
    }
}

#[cfg(test)]
mod tests;
