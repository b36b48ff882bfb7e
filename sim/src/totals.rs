//! Sums over all runs.

use std::collections::BTreeMap;
use std::time::Duration;

use tidegate_sim::{Coverage, FaultKind, Report};

#[derive(Default)]
pub(crate) struct Totals {
    runs: u64,
    entries: u64,
    elapsed: Duration,
    faults: BTreeMap<FaultKind, u64>,
    coverage: Coverage,
    pub(crate) failures: u64,
}

impl Totals {
    pub(crate) fn add(&mut self, report: &Report) {
        self.runs += 1;
        self.entries += report.entries;
        self.elapsed += report.elapsed;
        for (kind, count) in &report.faults {
            *self.faults.entry(*kind).or_default() += count;
        }
        self.coverage.add(&report.coverage);
        self.failures += u64::from(report.violation.is_some());
    }

    pub(crate) fn print(&self, seeds: u64, took: Duration) {
        let seconds = took.as_secs_f64().max(1e-9);
        println!(
            "{seeds} seeds, {} runs in {seconds:.1} s: {:.0} seeds/s, {:.0} runs/s",
            self.runs,
            seeds as f64 / seconds,
            self.runs as f64 / seconds
        );
        let elapsed = self.elapsed.as_secs_f64();
        println!("{:.1} virtual hours, {:.0} virtual seconds a second", elapsed / 3600.0, elapsed / seconds);
        println!("{} entries judged", self.entries);
        println!("faults injected:");
        for kind in FaultKind::ALL {
            println!("  {kind:<20}{:>10}", self.faults.get(&kind).unwrap_or(&0));
        }
        println!("events of the core by phase:\n{}", self.coverage);
        println!("never came: {}; - cannot come", self.coverage.missing().len());
    }
}
