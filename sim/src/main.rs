//! Runs many simulations, and prints what they came to; a failure prints its seed and what happened.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use tidegate_sim::campaign::{self, Mode};
use tidegate_sim::{FaultKind, Report};

/// Simulates feeds under seeded faults, and checks the rules of the design after every step.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// How many seeds.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// What to ask of the feed.
    #[arg(long, value_enum, default_value_t = Modes::Both)]
    mode: Modes,
    /// Leave these kinds of faults out.
    #[arg(long, value_delimiter = ',')]
    without: Vec<FaultKind>,
    /// Print the trace of every run.
    #[arg(long)]
    trace: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Modes {
    /// Faults to the end: no rule is ever broken.
    Safety,
    /// The faults end: the feed recovers within its bound.
    Liveness,
    /// Each seed in both.
    Both,
}

impl Modes {
    const fn list(self) -> &'static [Mode] {
        match self {
            Self::Safety => &[Mode::Safety],
            Self::Liveness => &[Mode::Liveness],
            Self::Both => &[Mode::Safety, Mode::Liveness],
        }
    }
}

/// Sums over all runs.
#[derive(Default)]
struct Totals {
    runs: u64,
    entries: u64,
    elapsed: Duration,
    faults: BTreeMap<FaultKind, u64>,
    coverage: BTreeMap<(&'static str, &'static str), u64>,
    failures: u64,
}

impl Totals {
    fn add(&mut self, report: Report) {
        self.runs += 1;
        self.entries += report.entries;
        self.elapsed += report.elapsed;
        for (kind, count) in report.faults {
            *self.faults.entry(kind).or_default() += count;
        }
        for (pair, count) in report.coverage {
            *self.coverage.entry(pair).or_default() += count;
        }
    }

    fn print(&self, took: Duration) {
        let seconds = took.as_secs_f64().max(1e-9);
        println!("{} runs in {seconds:.1} s: {:.0} a second", self.runs, self.runs as f64 / seconds);
        let elapsed = self.elapsed.as_secs_f64();
        println!("{:.1} virtual hours, {:.0} virtual seconds a second", elapsed / 3600.0, elapsed / seconds);
        println!("{} entries judged", self.entries);
        println!("faults injected:");
        for kind in FaultKind::ALL {
            println!("  {kind:<20}{}", self.faults.get(&kind).unwrap_or(&0));
        }
        println!("events by phase ({} pairs):", self.coverage.len());
        for ((phase, event), count) in &self.coverage {
            println!("  {phase:<15}{event:<20}{count}");
        }
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    // A panic is reported with its seed; its own message would only stand between.
    std::panic::set_hook(Box::new(|_| {}));
    let began = Instant::now();
    let mut totals = Totals::default();
    for seed in args.seed..args.seed.saturating_add(args.seeds) {
        for mode in args.mode.list() {
            let report = campaign::run_without(seed, *mode, &args.without, args.trace);
            report.trace.iter().for_each(|line| println!("{line}"));
            if let Some(violation) = &report.violation {
                totals.failures += 1;
                println!("{}", explain(seed, *mode, &violation.to_string()));
            }
            totals.add(report);
        }
    }
    totals.print(began.elapsed());
    println!("{} failures", totals.failures);
    if totals.failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The failing run once more, with as few kinds of faults as it takes, written down.
fn explain(seed: u64, mode: Mode, violation: &str) -> String {
    let name = match mode {
        Mode::Safety => "safety",
        Mode::Liveness => "liveness",
    };
    let without = campaign::shrink(seed, mode);
    let trace = campaign::run_without(seed, mode, &without, true).trace;
    let from = trace.len().saturating_sub(40);
    let names: Vec<_> = without.iter().map(|kind| kind.as_str()).collect();
    let mut again = format!("tidegate-sim --seeds 1 --seed {seed} --mode {name} --trace");
    if !names.is_empty() {
        again += &format!(" --without {}", names.join(","));
    }
    format!("seed {seed}, {name}: {violation}\n{}\n  all of it: {again}", trace[from..].join("\n"))
}
