//! Runs many simulations, and prints what they came to; a failure prints its seed and what happened.
#![forbid(unsafe_code)]

mod totals;

use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use tidegate_sim::campaign::{self, Case, Mode};
use tidegate_sim::{FaultKind, Report};
use totals::Totals;

/// Lines of a failure's trace.
const LINES: usize = 40;
/// So many failures are made small and shown; of the others only the first line.
const SHOWN: u64 = 5;
/// One seed in so many is also run as a fleet.
const FLEET_EVERY: u64 = 25;

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
    #[arg(long, value_enum, default_value_t = Modes::All)]
    mode: Modes,
    /// Leave these kinds of faults out.
    #[arg(long, value_delimiter = ',')]
    without: Vec<FaultKind>,
    /// Of the faults that a seed gives only those with these numbers; 0 for none at all.
    #[arg(long, value_delimiter = ',')]
    only_faults: Option<Vec<u64>>,
    /// A run fails in which a feed dials more often than this.
    #[arg(long)]
    max_attempts: Option<u64>,
    /// How many runs at once; by default one for each core.
    #[arg(long)]
    jobs: Option<NonZeroUsize>,
    /// Print the trace of every run.
    #[arg(long)]
    trace: bool,
    /// Measure the simulator: one feed, connected for so many virtual seconds, with a ping every 25 s and no faults.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "20000000")]
    quiet_scenario: Option<u64>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Modes {
    /// Faults to the end: no rule is ever broken.
    Safety,
    /// The faults end: the feed recovers within its bound.
    Liveness,
    /// Many feeds and an outage: all recover, and do not come back at once.
    Fleet,
    /// Each seed in safety and liveness, one in 25 as a fleet too.
    All,
}

impl Modes {
    const fn includes(self, mode: Mode, seed: u64) -> bool {
        match self {
            Self::Safety => matches!(mode, Mode::Safety),
            Self::Liveness => matches!(mode, Mode::Liveness),
            Self::Fleet => matches!(mode, Mode::Fleet),
            Self::All => !matches!(mode, Mode::Fleet) || seed.is_multiple_of(FLEET_EVERY),
        }
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    // Those that are faults like any other would only stand between.
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.to_string();
        if !text.contains("by the simulation") {
            eprintln!("{text}");
        }
    }));
    let failures = match args.quiet_scenario {
        Some(seconds) => measure(Duration::from_secs(seconds)),
        None => simulate(&args),
    };
    println!("{failures} failures");
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn measure(span: Duration) -> u64 {
    let began = Instant::now();
    let report = campaign::quiet(span);
    let (elapsed, took) = (report.elapsed.as_secs_f64(), began.elapsed().as_secs_f64().max(1e-9));
    println!("a quiet feed: {elapsed:.0} virtual seconds in {took:.1} s: {:.0} a second", elapsed / took);
    println!("{} entries judged", report.entries);
    report.violation.iter().for_each(|violation| println!("{violation}"));
    report.violation.iter().count() as u64
}

fn simulate(args: &Args) -> u64 {
    let began = Instant::now();
    let mut totals = Totals::default();
    let jobs = args.jobs.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    let next = AtomicU64::new(args.seed);
    thread::scope(|scope| {
        let (reports, done) = sync_channel(jobs);
        for _ in 0..jobs {
            let (reports, next) = (reports.clone(), &next);
            scope.spawn(move || work(args, next, &reports));
        }
        drop(reports);
        for (case, report) in done {
            report.trace.iter().for_each(|line| println!("{line}"));
            totals.add(&report);
            if let Some(violation) = report.violation.clone() {
                println!("FAILURE of seed {}, {}: {violation}", case.seed, case.mode.as_str());
                if totals.failures <= SHOWN {
                    print_failure(&case, report);
                }
            }
        }
    });
    totals.print(args.seeds, began.elapsed());
    totals.failures
}

/// Takes one seed after another; each run is alone in its own world.
fn work(args: &Args, next: &AtomicU64, reports: &SyncSender<(Case, Report)>) {
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed.wrapping_sub(args.seed) >= args.seeds {
            return;
        }
        for mode in Mode::ALL.into_iter().filter(|mode| args.mode.includes(*mode, seed)) {
            let case = Case {
                without: args.without.clone(),
                only_faults: args.only_faults.clone(),
                max_attempts: args.max_attempts,
                trace: args.trace,
                ..Case::new(seed, mode)
            };
            let report = case.run();
            if reports.send((case, report)).is_err() {
                return;
            }
        }
    }
}

/// The failing run once more, with as few faults as it takes.
fn print_failure(case: &Case, report: Report) {
    let injected = report.injected.len();
    let Some(shrunk) = case.shrink(report) else { return };
    println!("faults it takes: {} of {injected}, after {} runs", shrunk.faults().len(), shrunk.runs);
    print!("{shrunk}");
    let small = Case { only_faults: Some(shrunk.numbers), trace: true, ..case.clone() };
    let trace = small.run().trace;
    let from = trace.len().saturating_sub(LINES);
    println!("its last lines:\n{}", trace[from..].join("\n"));
    println!("all of it: {}", replay(&small));
}

/// The command line that repeats it.
fn replay(case: &Case) -> String {
    let numbers = case.only_faults.as_ref().map(|numbers| match &numbers[..] {
        [] => "0".to_owned(),
        some => some.iter().map(u64::to_string).collect::<Vec<_>>().join(","),
    });
    let kinds: Vec<_> = case.without.iter().map(|kind| kind.as_str()).collect();
    let options = [
        Some(format!("--seeds 1 --seed {} --mode {}", case.seed, case.mode.as_str())),
        numbers.map(|numbers| format!("--only-faults {numbers}")),
        Some(kinds.join(",")).filter(|kinds| !kinds.is_empty()).map(|kinds| format!("--without {kinds}")),
        case.max_attempts.map(|most| format!("--max-attempts {most}")),
        Some("--trace".to_owned()),
    ];
    let options: Vec<_> = options.into_iter().flatten().collect();
    format!("cargo run -r -p tidegate-sim -- {}", options.join(" "))
}
