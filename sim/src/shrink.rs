//! Which faults a failure takes: the others are left out, half of them at a time, then one by one.

use std::fmt;

use crate::injector::InjectedFault;
use crate::report::Report;
use crate::trace::Moment;

/// A failure, with as few faults as were found to bring it about.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Shrunk {
    /// What [`only_faults`](crate::SimulationBuilder::only_faults) takes to see it again.
    pub numbers: Vec<u64>,
    /// The run with these alone.
    pub report: Report,
    /// How many runs it took.
    pub runs: u32,
}

impl Shrunk {
    /// The faults that are left.
    #[must_use]
    pub fn faults(&self) -> &[InjectedFault] {
        &self.report.injected
    }
}

/// One fault a line: its number, when, what, and where.
impl fmt::Display for Shrunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for InjectedFault { number, kind, at, feed, connection } in self.faults() {
            write!(f, "{number:>6}  {:>16} s  {kind:<20} connection {connection}", Moment(*at).to_string())?;
            if self.report.feeds.len() > 1 {
                write!(f, " of feed {feed}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// Runs `run` again and again, each time with other numbers for
/// [`only_faults`](crate::SimulationBuilder::only_faults), at most `most_runs` times, and finds a small set of faults
/// with which the same rule is broken. `None` if `failed`, the run with all of them, has broken none.
pub fn shrink(failed: Report, most_runs: u32, run: impl FnMut(&[u64]) -> Report) -> Option<Shrunk> {
    let rule = failed.violation.as_ref()?.name().to_owned();
    let numbers = numbers(&failed);
    let mut search = Search { best: Shrunk { numbers, report: failed, runs: 0 }, rule, most_runs, run };
    // With none at all: it is the handler, the server or the consumer.
    if !search.try_without(0, usize::MAX) {
        let mut size = search.best.numbers.len().div_ceil(2);
        while size > 0 && !search.is_over() {
            let found = search.pass(size);
            // Single ones again, as long as any can go: they hold each other up.
            size = if size == 1 && found { 1 } else { size / 2 };
        }
    }
    Some(search.best)
}

fn numbers(report: &Report) -> Vec<u64> {
    report.injected.iter().map(|fault| fault.number).collect()
}

struct Search<F> {
    best: Shrunk,
    rule: String,
    most_runs: u32,
    run: F,
}

impl<F: FnMut(&[u64]) -> Report> Search<F> {
    fn is_over(&self) -> bool {
        self.best.runs >= self.most_runs
    }

    /// Leaves out so many at a time; whether any could go.
    fn pass(&mut self, size: usize) -> bool {
        let mut found = false;
        let mut from = 0;
        while from < self.best.numbers.len() && !self.is_over() {
            if self.try_without(from, size) {
                found = true;
            } else {
                from += size;
            }
        }
        found
    }

    fn try_without(&mut self, from: usize, size: usize) -> bool {
        let to = from.saturating_add(size).min(self.best.numbers.len());
        let mut fewer = self.best.numbers.clone();
        fewer.drain(from..to);
        self.best.runs += 1;
        let report = (self.run)(&fewer);
        let same = report.violation.as_ref().is_some_and(|violation| violation.name() == self.rule);
        if same {
            // What did not come about any more is not needed either.
            self.best.numbers = numbers(&report);
            self.best.report = report;
        }
        same
    }
}
