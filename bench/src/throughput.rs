//! Cost of a message: every client at every size, in rounds, so that a load on the machine affects all clients alike.

mod candidates;
mod report;
mod summary;

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::Result;
use crate::args::Throughput;
use crate::instructions::{self, Extent};
use crate::machine::Machine;
use crate::process::{Process, Server};
use crate::server::path::Path;
use candidates::Candidate;
use summary::{Cell, Grid, Sample};

/// Sizes of messages, in bytes.
const SIZES: [usize; 6] = [16, 64, 256, 1 << 10, 16 << 10, 1 << 20];

/// Sizes in a quick run.
const QUICK: [usize; 2] = [64, 256];

/// A client that runs longer than this hangs.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes and messages of the first run, which finds out how many messages fit into the time: whichever is less.
const FIRST_BYTES: usize = 16 << 20;
const FIRST_MESSAGES: u64 = 20_000;

pub(crate) fn run(options: &Throughput) -> Result<()> {
    let rounds = options.rounds.unwrap_or(if options.quick { 3 } else { 5 });
    let candidates = candidates::gather(options)?;
    if candidates.is_empty() {
        return Err("no client is left".into());
    }
    let bench = Bench {
        server: Server::start(1)?,
        sizes: sizes(options),
        duration: Duration::from_millis(if options.quick { 100 } else { 700 }),
        candidates,
    };
    let grid = bench.run(rounds)?;
    println!("{}, {rounds} rounds\n", Machine::here());
    print!("{}", report::tables(&bench.candidates, &bench.sizes, &grid));
    if let Some(file) = &options.json {
        std::fs::write(file, report::json(&bench.candidates, &bench.sizes, &grid)?)?;
    }
    // Last: the file must not be lost if this fails.
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

/// Which instructions to count: none if the run has other clients or sizes than usual.
fn extent(options: &Throughput) -> Option<Extent> {
    let whole = options.only.is_empty() && options.sizes.is_empty();
    whole.then_some(if options.quick { Extent::Small } else { Extent::All })
}

struct Bench {
    server: Server,
    sizes: Vec<usize>,
    /// How long a run takes, about.
    duration: Duration,
    candidates: Vec<Candidate>,
}

impl Bench {
    /// Runs each client once to find its number of messages, then all rounds. After a failure, a client no longer runs at that
    /// size.
    fn run(&self, rounds: u32) -> Result<Grid> {
        let cells = self.sizes.len() * self.candidates.len();
        let bar = ProgressBar::new(cells as u64 * (u64::from(rounds) + 1));
        bar.set_style(ProgressStyle::with_template("{pos}/{len} {elapsed} {msg}")?);
        let mut counts = vec![vec![None; self.candidates.len()]; self.sizes.len()];
        for (&size, counts) in self.sizes.iter().zip(&mut counts) {
            for (candidate, count) in self.candidates.iter().zip(counts) {
                let first = self.sample(&bar, candidate, size, first_count(size));
                *count = first.map(|sample| count_for(sample, size, self.duration));
            }
        }
        let mut grid = vec![vec![Cell::new(); self.candidates.len()]; self.sizes.len()];
        for _ in 0..rounds {
            for ((&size, counts), row) in self.sizes.iter().zip(&mut counts).zip(&mut grid) {
                for ((candidate, count), cell) in self.candidates.iter().zip(counts).zip(row) {
                    let sample = count.and_then(|count| self.sample(&bar, candidate, size, count));
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

    /// Runs a client once. Reports a failure and returns `None`.
    fn sample(&self, bar: &ProgressBar, candidate: &Candidate, size: usize, count: u64) -> Option<Sample> {
        bar.set_message(format!("{} at {size} B", candidate.title()));
        let url = self.server.url(Path::Flood { size, count });
        let sample = candidate
            .command(&url, count, size)
            .and_then(|mut command| Process::start(&mut command)?.json(TIMEOUT));
        bar.inc(1);
        sample
            .inspect_err(|error| bar.suspend(|| eprintln!("{} at {size} B: {error}", candidate.title())))
            .ok()
    }
}

/// Messages of the first run.
fn first_count(size: usize) -> u64 {
    FIRST_MESSAGES.min((FIRST_BYTES / size) as u64)
}

/// Messages that take `duration`, at the rate of the first run; no fewer than in that run.
fn count_for(first: Sample, size: usize, duration: Duration) -> u64 {
    // A rate is positive, finite, and far below the maximum of u64.
    ((first.msgs_per_s * duration.as_secs_f64()) as u64).max(first_count(size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_takes_its_time_and_has_no_fewer_messages_than_the_first() {
        let sample =
            |msgs_per_s| Sample { msgs_per_s, mib_per_s: 0.0, cpu_ns_per_msg: 0.0, peak_rss_kib: 0.0 };
        let second = Duration::from_secs(1);
        assert_eq!(count_for(sample(5e6), 64, second / 2), 2_500_000);
        assert_eq!(count_for(sample(1e3), 64, second), 20_000);
        assert_eq!(count_for(sample(1.0), 1 << 20, second), 16);
    }
}
