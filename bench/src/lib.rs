//! Benchmarks: cost and latency of a message, cost of many feeds, and time to reconnect.
//!
//! One program in several processes: a harness that starts itself as a server and as clients, and reads the lines that they
//! print. `docs/benchmarks.md` says how to run it and what the columns mean.
//!
//! | to change | open |
//! |---|---|
//! | options | `args.rs` |
//! | the server and its URLs | `server.rs`, `server/path.rs` |
//! | messages | `payload.rs` |
//! | a client of tidegate or async-tungstenite | `client.rs`, `client/` |
//! | a client of other authors | `bench/peers/`, `peers.rs` |
//! | which clients are compared | `throughput/candidates.rs` |
//! | medians, numbers, Markdown | `table.rs` |
//! | rounds and counts | `throughput.rs` |
//! | ratios within a round | `throughput/summary.rs` |
//! | how instructions are counted | `instructions.rs`, `instructions/callgrind.rs` |
//! | what runs under valgrind | `instructions/scenario.rs`, `instructions/memory.rs` |
//! | bounds of instructions | `instructions/bounds.rs` |
//! | tables, JSON | `throughput/report.rs` |
//! | latency | `latency.rs` |
//! | many feeds | `scale.rs` |
//! | time to reconnect | `reconnect.rs` |
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

/// The result of a benchmark. Errors are shown to the user and not distinguished.
type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Runs the command that the command line names.
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
            instructions::client(scenario, size, count)
        }
        Some(Command::LatencyClient { client, runtime, mode, url, count }) => {
            client::latency(client, runtime, mode, &url, count)
        }
        Some(Command::ScaleClient { runtime, mode, feeds, jitter, pings, urls }) => {
            client::scale(runtime, mode, feeds, jitter, pings, urls)
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
