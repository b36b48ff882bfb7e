//! Draws and numbers the faults of a run, so that it can be repeated with some of them alone.

use std::collections::BTreeSet;
use std::time::Duration;

use fastrand::Rng;
use tidegate_driver::core::Timestamp;

use crate::fault::{FaultKind, Faults, Stage};

/// A fault that struck in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InjectedFault {
    /// Number in the run, from 1, as [`only_faults`](crate::SimulationBuilder::only_faults) takes it.
    pub number: u64,
    /// What went wrong.
    pub kind: FaultKind,
    /// When.
    pub at: Timestamp,
    /// Number of the feed, from 0.
    pub feed: usize,
    /// Number of the attempt or connection.
    pub connection: u64,
}

/// A fault to come.
#[derive(Clone, Debug)]
pub(crate) struct PlannedFault {
    pub(crate) number: u64,
    pub(crate) kind: FaultKind,
    /// Draws its details. Each fault has its own, so that leaving one out changes no other.
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

    /// Draws whether an attempt fails, or a connection is bad from the start.
    pub(crate) fn strike(&mut self, stage: Stage) -> Option<PlannedFault> {
        let kind = self.faults.strike(stage, &mut self.rng)?;
        Some(self.number(kind)).filter(|fault| !fault.left_out)
    }

    /// Draws the next fault of an open connection, and when. Faults that are left out are drawn too, which keeps the others.
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
