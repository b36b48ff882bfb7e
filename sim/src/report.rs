//! The result of a run.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use tidegate_driver::core::{Phase, Stats, StopReason, Timestamp};

use crate::coverage::Coverage;
use crate::fault::FaultKind;
use crate::injector::InjectedFault;
use crate::trace::Moment;

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// When.
    pub at: Timestamp,
    /// The rule, by its name in the design, and how it was broken.
    pub rule: String,
}

impl Violation {
    /// Name of the rule, such as `L2` or `recovery`; for a check of your own, the text before the first colon.
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

/// Result of a run.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
#[non_exhaustive]
pub struct Report {
    /// Seed of the run.
    pub seed: u64,
    /// The first broken rule.
    pub violation: Option<Violation>,
    /// What happened, one line each; empty unless [`trace`](crate::SimulationBuilder::trace) asked for it.
    pub trace: Vec<String>,
    /// Length in virtual time.
    pub elapsed: Duration,
    /// The faults injected, in order.
    pub injected: Vec<InjectedFault>,
    /// Number of faults of each kind.
    pub faults: BTreeMap<FaultKind, u64>,
    /// Which event occurred in which phase.
    pub coverage: Coverage,
    /// The phase at the end; of a fleet, that of its first feed.
    pub phase: Phase,
    /// Figures of the feed at the end; of a fleet, those of its first feed.
    pub stats: Stats,
    /// Each feed at the end: one, unless [`feeds`](crate::SimulationBuilder::feeds) asked for more.
    pub feeds: Vec<FeedReport>,
    /// Number of entries recorded and checked.
    pub entries: u64,
}

/// Result of one feed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FeedReport {
    /// The phase at the end.
    pub phase: Phase,
    /// Figures at the end.
    pub stats: Stats,
    /// Why the feed stopped.
    pub stopped: Option<StopReason>,
    /// When each of its attempts began.
    pub attempts: Vec<Timestamp>,
}

impl std::error::Error for Violation {}

impl Report {
    /// The broken rule as an error, for tests that use `?`, such as those of proptest.
    ///
    /// # Errors
    /// Returns the first broken rule.
    pub fn result(&self) -> Result<(), Violation> {
        self.violation.clone().map_or(Ok(()), Err)
    }

    /// Asserts that no rule was broken.
    ///
    /// # Panics
    /// Panics if a rule was broken, with the seed, the number of faults and the end of the trace.
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
