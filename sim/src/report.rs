//! What comes of a run.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use tidegate_driver::core::{Phase, Stats, Timestamp};

use crate::entry::Moment;
use crate::fault::FaultKind;

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// When.
    pub at: Timestamp,
    /// Which rule, by its name in the design, and how.
    pub rule: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {} s: {}", Moment(self.at), self.rule)
    }
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct Report {
    /// What it was drawn from.
    pub seed: u64,
    /// The first rule that was broken.
    pub violation: Option<Violation>,
    /// What happened, a line each; empty unless [`trace`](crate::SimulationBuilder::trace) asked for it.
    pub trace: Vec<String>,
    /// How long it took in virtual time.
    pub elapsed: Duration,
    /// Faults injected, by kind.
    pub faults: BTreeMap<FaultKind, u64>,
    /// How often which event came in which phase.
    pub coverage: BTreeMap<(&'static str, &'static str), u64>,
    /// The phase at the end.
    pub phase: Phase,
    /// The feed's own figures at the end.
    pub stats: Stats,
    /// What was seen and judged.
    pub entries: u64,
}

impl Report {
    /// For tests.
    ///
    /// # Panics
    /// If a rule was broken, with the seed and the end of the trace.
    pub fn assert_ok(&self) -> &Self {
        if let Some(violation) = &self.violation {
            let from = self.trace.len().saturating_sub(60);
            panic!("seed {}: {violation}\n{}", self.seed, self.trace[from..].join("\n"));
        }
        self
    }
}
