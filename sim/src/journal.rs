//! Keeps what happened: judged at once, written down if asked for, counted.

use std::collections::BTreeMap;

use tidegate_driver::core::{Phase, Timestamp};

use crate::check::Checker;
use crate::entry::{Entry, Moment};
use crate::fault::FaultKind;
use crate::report::Violation;

/// The record of a run.
pub(crate) struct Journal {
    checker: Checker,
    traces: bool,
    pub(crate) trace: Vec<String>,
    pub(crate) violation: Option<Violation>,
    pub(crate) faults: BTreeMap<FaultKind, u64>,
    pub(crate) coverage: BTreeMap<(&'static str, &'static str), u64>,
    pub(crate) entries: u64,
}

impl Journal {
    pub(crate) fn new(checker: Checker, traces: bool) -> Self {
        Self {
            checker,
            traces,
            trace: Vec::new(),
            violation: None,
            faults: BTreeMap::new(),
            coverage: BTreeMap::new(),
            entries: 0,
        }
    }

    pub(crate) fn record(&mut self, now: Timestamp, entry: &Entry) {
        self.entries += 1;
        if self.traces {
            self.trace.push(format!("{:>16} {entry}", Moment(now).to_string()));
        }
        if let Entry::Fault { kind, .. } = entry {
            *self.faults.entry(*kind).or_default() += 1;
        }
        if let Err(rule) = self.checker.see(now, entry) {
            self.violate(now, rule);
        }
    }

    /// The first one counts: what follows from it says less.
    pub(crate) fn violate(&mut self, at: Timestamp, rule: String) {
        if self.violation.is_none() {
            if self.traces {
                self.trace.push(format!("{:>16} VIOLATION {rule}", Moment(at).to_string()));
            }
            self.violation = Some(Violation { at, rule });
        }
    }

    pub(crate) fn cover(&mut self, phase: Phase, event: &'static str) {
        *self.coverage.entry((phase.as_str(), event)).or_default() += 1;
    }
}
