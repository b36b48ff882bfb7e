//! What comes of a run.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use tidegate_driver::core::{Phase, Stats, Timestamp};

use crate::coverage::Coverage;
use crate::entry::Moment;
use crate::fault::FaultKind;
use crate::injector::InjectedFault;

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// When.
    pub at: Timestamp,
    /// Which rule, by its name in the design, and how.
    pub rule: String,
}

impl Violation {
    /// The rule's name alone, such as `L2` or `recovery`; of a check of your own what stands before the first colon.
    #[must_use]
    pub fn name(&self) -> &str {
        self.rule.split_once(':').map_or(&self.rule, |(name, _)| name)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {} s: {}", Moment(self.at), self.rule)
    }
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
#[non_exhaustive]
pub struct Report {
    /// What it was drawn from.
    pub seed: u64,
    /// The first rule that was broken.
    pub violation: Option<Violation>,
    /// What happened, a key each; empty unless [`trace`](crate::SimulationBuilder::trace) asked for it.
    pub trace: Vec<String>,
    /// How long it took in virtual time.
    pub elapsed: Duration,
    /// The faults injected, in order.
    pub injected: Vec<InjectedFault>,
    /// How many there were of each kind.
    pub faults: BTreeMap<FaultKind, u64>,
    /// Which event came in which phase.
    pub coverage: Coverage,
    /// The phase at the end; of a fleet, that of its first feed.
    pub phase: Phase,
    /// The feed's own figures at the end; of a fleet, those of its first feed.
    pub stats: Stats,
    /// Each feed at the end: one, unless [`feeds`](crate::SimulationBuilder::feeds) asked for more.
    pub feeds: Vec<FeedReport>,
    /// What was seen and judged.
    pub entries: u64,
}

/// What became of one feed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FeedReport {
    /// The phase at the end.
    pub phase: Phase,
    /// Its own figures at the end.
    pub stats: Stats,
    /// When each of its attempts began.
    pub attempts: Vec<Timestamp>,
}

impl Report {
    /// For tests.
    ///
    /// # Panics
    /// If a rule was broken, with the seed, the faults that were injected last, and the end of the trace.
    pub fn assert_ok(&self) -> &Self {
        if let Some(violation) = &self.violation {
            let from = self.trace.len().saturating_sub(60);
            panic!(
                "seed {}: {violation}\n{}\n{} faults were injected; `only_faults` and `shrink` find those that matter",
                self.seed,
                self.trace[from..].join("\n"),
                self.injected.len()
            );
        }
        self
    }
}
