//! Benchmarks: what a message costs, how late it comes, what many feeds take, and how soon a feed is back.
//!
//! One program in several processes: a harness that starts a server and clients of its own file, and reads lines from
//! them. `docs/benchmarks.md` says how to run it and what the columns are.
//!
//! | to change | open |
//! |---|---|
//! | options | `args.rs` |
//! | the server, and what URLs it knows | `server.rs`, `server/path.rs` |
//! | what is sent | `payload.rs` |
//! | a client of ours | `client.rs`, `client/` |
//! | a client of other authors | `bench/peers/`, `peers.rs` |
//! | which clients are compared | `throughput/roster.rs` |
//! | tables, as such | `table.rs` |
//! | rounds and counts | `throughput.rs` |
//! | medians and ratios | `throughput/summary.rs` |
//! | instructions of a message | `instructions.rs` |
//! | what is run under valgrind | `instructions/scenario.rs`, `instructions/memory.rs` |
//! | what may be taken | `instructions/bounds.rs` |
//! | tables, JSON | `throughput/report.rs` |
//! | how late a message comes | `latency.rs` |
//! | many feeds | `scale.rs` |
//! | how soon a feed is back | `reconnect.rs` |
#![cfg(target_os = "linux")]

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;
use tidegate_bench_meter::Job;

mod args;
mod client;
mod instructions;
mod latency;
mod machine;
mod payload;
mod peers;
mod process;
mod reconnect;
mod scale;
mod server;
mod table;
mod throughput;

use args::{Args, Command};

/// What a benchmark ends with. Its errors are for people: nobody here tells them apart.
type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Runs what the command line asks for.
pub fn main() -> ExitCode {
    let args = Args::parse();
    let outcome = match args.command {
        None => throughput::run(&args.throughput),
        Some(Command::Instructions(options)) => instructions::run(&options),
        Some(Command::Latency(options)) => latency::run(&options),
        Some(Command::Scale(options)) => scale::run(&options),
        Some(Command::Reconnect(options)) => reconnect::run(&options),
        Some(Command::Serve { addresses }) => server::run(addresses),
        Some(Command::Client { client, runtime, mode, url, count, size }) => {
            client::throughput(client, runtime, mode, Job { url, count, size })
        }
        Some(Command::InstructionsClient { scenario, size, count }) => {
            instructions::take(scenario, size, count)
        }
        Some(Command::LatencyClient { client, runtime, mode, url, count }) => {
            client::latency(client, runtime, mode, &url, count)
        }
        Some(Command::ScaleClient { runtime, mode, feeds, jitter, urls }) => {
            client::scale(runtime, mode, feeds, jitter, urls)
        }
        Some(Command::ReconnectClient { runtime, mode, url, count, delay_ms }) => {
            client::reconnect(runtime, mode, &url, count, std::time::Duration::from_millis(delay_ms))
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
