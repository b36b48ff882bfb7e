//! What a message costs: every client at every size, in rounds, so that what disturbs the machine disturbs all of them.

mod report;
mod roster;
mod summary;

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::Result;
use crate::args::Throughput;
use crate::instructions::{self, Extent};
use crate::machine::Machine;
use crate::process::{Process, Server};
use crate::server::path::Path;
use roster::Contender;
use summary::{Cell, Grid, Sample};

/// All sizes, in bytes.
const SIZES: [usize; 6] = [16, 64, 256, 1 << 10, 16 << 10, 1 << 20];

/// Those of a quick run.
const QUICK: [usize; 2] = [64, 256];

/// No run takes longer than this, or its client hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many bytes and messages a run has at least: what a first look takes to tell how many fit into the time.
const LEAST_BYTES: usize = 16 << 20;
const LEAST_MESSAGES: u64 = 20_000;

pub(crate) fn run(options: &Throughput) -> Result<()> {
    let rounds = options.rounds.unwrap_or(if options.quick { 3 } else { 5 });
    let contenders = roster::gather(options)?;
    if contenders.is_empty() {
        return Err("no client is left".into());
    }
    let bench = Bench {
        server: Server::start(1)?,
        sizes: sizes(options),
        duration: Duration::from_millis(if options.quick { 100 } else { 700 }),
        contenders,
    };
    let grid = bench.run(rounds)?;
    println!("{}, {rounds} rounds\n", Machine::here());
    print!("{}", report::tables(&bench.contenders, &bench.sizes, &grid));
    if let Some(file) = &options.json {
        std::fs::write(file, report::json(&bench.contenders, &bench.sizes, &grid)?)?;
    }
    // After the file: it must not be lost if this fails.
    if let Some(extent) = extent(options) {
        print!("{}", instructions::section(extent)?);
    }
    Ok(())
}

fn sizes(options: &Throughput) -> Vec<usize> {
    match (options.sizes.is_empty(), options.quick) {
        (false, _) => options.sizes.clone(),
        (true, true) => QUICK.to_vec(),
        (true, false) => SIZES.to_vec(),
    }
}

/// Which instructions are counted: none where the run is narrowed down to something else.
fn extent(options: &Throughput) -> Option<Extent> {
    let whole = options.only.is_empty() && options.sizes.is_empty();
    whole.then_some(if options.quick { Extent::Small } else { Extent::All })
}

struct Bench {
    server: Server,
    sizes: Vec<usize>,
    /// How long a run should take.
    duration: Duration,
    contenders: Vec<Contender>,
}

impl Bench {
    /// A first look at each, and then the rounds. A client that fails once is left out at that size from then on.
    fn run(&self, rounds: u32) -> Result<Grid> {
        let cells = self.sizes.len() * self.contenders.len();
        let bar = ProgressBar::new(cells as u64 * (u64::from(rounds) + 1));
        bar.set_style(ProgressStyle::with_template("{pos}/{len} {elapsed} {msg}")?);
        let mut counts = vec![vec![None; self.contenders.len()]; self.sizes.len()];
        for (&size, counts) in self.sizes.iter().zip(&mut counts) {
            for (contender, count) in self.contenders.iter().zip(counts) {
                let first = self.sample(&bar, contender, size, least(size));
                *count = first.map(|sample| fitting(sample, size, self.duration));
            }
        }
        let mut grid = vec![vec![Cell::new(); self.contenders.len()]; self.sizes.len()];
        for _ in 0..rounds {
            for ((&size, counts), row) in self.sizes.iter().zip(&mut counts).zip(&mut grid) {
                for ((contender, count), cell) in self.contenders.iter().zip(counts).zip(row) {
                    let sample = count.and_then(|count| self.sample(&bar, contender, size, count));
                    if sample.is_none() {
                        *count = None;
                    }
                    cell.push(sample);
                }
            }
        }
        bar.finish_and_clear();
        Ok(grid)
    }

    /// Runs a client once; nothing, and a line that says why, if it fails.
    fn sample(&self, bar: &ProgressBar, contender: &Contender, size: usize, count: u64) -> Option<Sample> {
        bar.set_message(format!("{} at {size} B", contender.title()));
        let url = self.server.url(Path::Flood { size, count });
        let sample = contender
            .command(&url, count, size)
            .and_then(|mut command| Process::start(&mut command)?.json(PATIENCE));
        bar.inc(1);
        sample
            .inspect_err(|error| bar.suspend(|| eprintln!("{} at {size} B: {error}", contender.title())))
            .ok()
    }
}

/// How many messages of `size` a first look takes.
fn least(size: usize) -> u64 {
    LEAST_MESSAGES.min((LEAST_BYTES / size) as u64)
}

/// How many messages of `size` take `duration`, as far as a first look tells.
fn fitting(first: Sample, size: usize, duration: Duration) -> u64 {
    // A rate is positive and finite, and far below what would not fit.
    ((first.msgs_per_s * duration.as_secs_f64()) as u64).max(least(size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_takes_the_time_it_should_and_has_no_fewer_messages_than_the_first_look() {
        let sample =
            |msgs_per_s| Sample { msgs_per_s, mib_per_s: 0.0, cpu_ns_per_msg: 0.0, peak_rss_kib: 0.0 };
        let second = Duration::from_secs(1);
        assert_eq!(fitting(sample(5e6), 64, second / 2), 2_500_000);
        assert_eq!(fitting(sample(1e3), 64, second), 20_000);
        assert_eq!(fitting(sample(1.0), 1 << 20, second), 16);
    }
}
