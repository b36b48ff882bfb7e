//! Which fault strikes when: drawn, and numbered, so that a run can be repeated with some of its faults alone.

use std::collections::BTreeSet;
use std::time::Duration;

use fastrand::Rng;
use tidegate_driver::core::Timestamp;

use crate::fault::{FaultKind, Faults, Stage};

/// A fault that a run has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InjectedFault {
    /// Its number in the run, from 1: what [`only_faults`](crate::SimulationBuilder::only_faults) takes.
    pub number: u64,
    /// What went wrong.
    pub kind: FaultKind,
    /// When.
    pub at: Timestamp,
    /// For which feed of the run, from 0.
    pub feed: usize,
    /// During which attempt, or on which connection.
    pub connection: u64,
}

/// A fault that is to strike.
#[derive(Clone, Debug)]
pub(crate) struct PlannedFault {
    pub(crate) number: u64,
    pub(crate) kind: FaultKind,
    /// What else there is to be drawn for it. Of its own, so that leaving a fault out changes no other.
    pub(crate) rng: Rng,
    pub(crate) left_out: bool,
}

pub(crate) struct Injector {
    faults: Faults,
    only: Option<BTreeSet<u64>>,
    rng: Rng,
    count: u64,
}

impl Injector {
    pub(crate) const fn new(faults: Faults, only: Option<BTreeSet<u64>>, rng: Rng) -> Self {
        Self { faults, only, rng, count: 0 }
    }

    /// What becomes of an attempt, or what a connection is like from the start, if not the ordinary.
    pub(crate) fn strike(&mut self, stage: Stage) -> Option<PlannedFault> {
        let kind = self.faults.strike(stage, &mut self.rng)?;
        Some(self.number(kind)).filter(|fault| !fault.left_out)
    }

    /// The next fault on an open connection, and in how long. One that is left out comes too, for the sake of the next.
    pub(crate) fn next(&mut self) -> Option<(PlannedFault, Duration)> {
        let (kind, span) = self.faults.next(&mut self.rng)?;
        Some((self.number(kind), span))
    }

    pub(crate) fn heal(&mut self) {
        self.faults = Faults::none();
    }

    fn number(&mut self, kind: FaultKind) -> PlannedFault {
        self.count += 1;
        let number = self.count;
        let left_out = self.only.as_ref().is_some_and(|only| !only.contains(&number));
        PlannedFault { number, kind, rng: self.rng.fork(), left_out }
    }
}
