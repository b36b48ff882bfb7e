//! The `tidegate` command.
//!
//! | to change | open |
//! |---|---|
//! | options, their defaults and how they are read | `args.rs`, `args/values.rs` |
//! | `tidegate tail` | `tail.rs` |
//! | what a line of output looks like | `lines.rs` |
//! | how lines get out, and when | `output.rs` |
//! | lines on standard error, the status line, the telemetry file | `report.rs`, `status.rs`, `telemetry.rs` |
//! | exit codes, and what to do about a stop | `exit.rs` |
//! | SIGINT and SIGTERM | `signals.rs` |
//! | `tidegate demo`, and its account of itself | `demo.rs`, `demo/` |
//! | `tidegate serve` and the demo's server | `serve.rs`, `server/` |
//! | what the demo counts as lost, duplicated, reordered | `audit.rs` |
#![forbid(unsafe_code)]

mod args;
mod audit;
mod demo;
mod exit;
mod lines;
mod output;
mod report;
mod serve;
mod server;
mod signals;
mod status;
mod tail;
mod telemetry;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command};
use crate::exit::Exit;
use crate::signals::Signals;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Exit::failed(format!("no runtime: {error}")).report(),
    };
    let exit = runtime.block_on(async {
        let signals = match Signals::catch() {
            Ok(signals) => signals,
            Err(error) => return Exit::failed(format!("signals cannot be received: {error}")),
        };
        match cli.command {
            Command::Tail(options) => tail::run(*options, signals).await,
            Command::Demo(options) => demo::run(options, signals).await,
            Command::Serve(options) => serve::run(options, signals).await,
        }
    });
    // A write to a reader that has stopped reading would hold a clean end up for ever.
    runtime.shutdown_background();
    exit.report()
}
