//! Many seeds of a simulation, as one call of a test.

use tidegate_driver::core::FrameHandler;

use crate::report::Report;
use crate::shrink::shrink;
use crate::simulation::{Simulation, SimulationBuilder};

/// At most so many runs to make a failure smaller.
const SHRINK_RUNS: u32 = 400;

/// Lines of a failure's trace.
const LINES: usize = 60;

impl Simulation {
    /// Runs the simulation that `make` builds with each of the seeds, up to the first that breaks a rule. Returns the
    /// reports of all, to assert that what is tested did come about.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tidegate_sim::core::{Config, RetryPolicy};
    /// use tidegate_sim::{Faults, Simulation};
    ///
    /// let seconds = Duration::from_secs;
    /// let config = Config::builder().retry(RetryPolicy::default().unlimited()).ping_interval(seconds(10));
    /// let reports = Simulation::check(0..5, || {
    ///     Simulation::builder().config(config.clone()).faults(Faults::all()).heal_after(seconds(300))
    /// });
    /// assert!(reports.iter().all(|report| report.stats.attempts > 1));
    /// ```
    ///
    /// # Panics
    /// Panics if a rule is broken: with the seed, the rule, a small set of faults that breaks it, the end of the trace,
    /// and what to call to see that run again. Panics as [`run`](SimulationBuilder::run) does.
    #[track_caller]
    pub fn check<H>(
        seeds: impl IntoIterator<Item = u64>,
        mut make: impl FnMut() -> SimulationBuilder<H>,
    ) -> Vec<Report>
    where
        H: FrameHandler<Item: Send, Session: Send> + Send + 'static,
    {
        let mut reports = Vec::new();
        for seed in seeds {
            let report = make().seed(seed).run();
            if report.violation.is_some() {
                panic!("{}", explain(report, || make().seed(seed)));
            }
            reports.push(report);
        }
        reports
    }
}

/// What is known of a failed run, once it has been made small.
fn explain<H>(failed: Report, mut make: impl FnMut() -> SimulationBuilder<H>) -> String
where
    H: FrameHandler<Item: Send, Session: Send> + Send + 'static,
{
    let (seed, injected) = (failed.seed, failed.injected.len());
    let mut run = |numbers: &[u64]| make().only_faults(numbers.iter().copied()).trace(true).run();
    let Some(shrunk) = shrink(failed, SHRINK_RUNS, &mut run) else { return String::new() };
    // The run with all of them may have had no trace.
    let report = run(&shrunk.numbers);
    let violation = report.violation.map(|violation| violation.to_string()).unwrap_or_default();
    let from = report.trace.len().saturating_sub(LINES);
    format!(
        "seed {seed} breaks a rule {violation}\nIt takes {} of {injected} faults:\n{shrunk}Its last lines:\n{}\n\
         All of it: .seed({seed}).only_faults({:?}).trace(true)",
        shrunk.faults().len(),
        report.trace[from..].join("\n"),
        shrunk.numbers
    )
}
