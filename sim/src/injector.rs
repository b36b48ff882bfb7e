//! Draws and numbers the faults of a run, so that it can be repeated with some of them alone.

use std::collections::{BTreeSet, VecDeque};
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
    /// Faults of given times that are still to come, in their order.
    planned: VecDeque<(Timestamp, PlannedFault)>,
    only: Option<BTreeSet<u64>>,
    rng: Rng,
    count: u64,
}

impl Injector {
    pub(crate) const fn new(faults: Faults, only: Option<BTreeSet<u64>>, rng: Rng) -> Self {
        Self { faults, planned: VecDeque::new(), only, rng, count: 0 }
    }

    /// Adds faults of given times. They have the first numbers, and those of a kind have the same details, so that neither
    /// leaving one out nor moving one changes another.
    pub(crate) fn plan(&mut self, seed: u64, faults: &[(Duration, FaultKind)]) {
        for (after, kind) in faults {
            let fault = self.number(*kind);
            let rng = Rng::with_seed(seed ^ ((*kind as u64) << 32));
            if !fault.left_out {
                let at = Timestamp::ZERO.saturating_add(*after);
                self.planned.push_back((at, PlannedFault { rng, ..fault }));
            }
        }
        self.planned.make_contiguous().sort_by_key(|(at, _)| *at);
    }

    /// The first planned fault of this stage whose time has come.
    pub(crate) fn take_due(&mut self, stage: Stage, now: Timestamp) -> Option<PlannedFault> {
        let due = |(at, fault): &(Timestamp, PlannedFault)| *at <= now && fault.kind.stage() == stage;
        let index = self.planned.iter().position(due)?;
        self.planned.remove(index).map(|(_, fault)| fault)
    }

    /// Whether the time of a planned fault has come.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.planned.front().is_some_and(|(at, _)| *at <= now)
    }

    /// When the planned faults are due.
    pub(crate) fn times(&self) -> Vec<Timestamp> {
        self.planned.iter().map(|(at, _)| *at).collect()
    }

    /// Decides whether an attempt fails, or a connection is bad from the start.
    pub(crate) fn strike(&mut self, stage: Stage, now: Timestamp) -> Option<PlannedFault> {
        if let Some(fault) = self.take_due(stage, now) {
            return Some(fault);
        }
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
        self.planned.clear();
    }

    fn number(&mut self, kind: FaultKind) -> PlannedFault {
        self.count += 1;
        let number = self.count;
        let left_out = self.only.as_ref().is_some_and(|only| !only.contains(&number));
        PlannedFault { number, kind, rng: self.rng.fork(), left_out }
    }
}
