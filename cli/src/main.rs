//! The `tidegate` command.
//!
//! | to change | open |
//! |---|---|
//! | options, their defaults and how they are read | `args.rs`, `args/` |
//! | `tidegate tail` | `tail.rs` |
//! | what a line of output looks like | `lines.rs` |
//! | from the feed to standard output, and the end of that | `pump.rs` |
//! | how lines get out, and when | `output.rs`, `output/` |
//! | lines on standard error, colors, the status line, the telemetry file | `report.rs`, `status.rs`, `telemetry.rs` |
//! | exit codes; what to do about a failure | `exit.rs`, `advice.rs` |
//! | SIGINT and SIGTERM | `signals.rs` |
//! | `tidegate demo`, and its account of itself | `demo.rs`, `demo/` |
//! | `tidegate serve` and the demo's server | `serve.rs`, `server/` |
//! | what the demo counts as received, lost, duplicated, reordered | `audit.rs` |
#![forbid(unsafe_code)]

mod advice;
mod args;
mod audit;
mod demo;
mod exit;
mod lines;
mod output;
mod pump;
mod report;
mod serve;
mod server;
mod signals;
mod status;
mod tail;
mod telemetry;

use std::process::ExitCode;

use crate::args::{Cli, Command, Refused};
use crate::exit::Exit;
use crate::signals::Signals;

fn main() -> ExitCode {
    let cli = match Cli::read(std::env::args_os()) {
        Ok(cli) => cli,
        Err(Refused::Help(help)) => help.exit(),
        Err(Refused::Usage(why)) => return Exit::Usage(why).report(),
    };
    status::choose_color(cli.color);
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Exit::failed(format!("no runtime: {error}")).report(),
    };
    let code = runtime.block_on(run(cli.command));
    // What is stuck stays behind.
    runtime.shutdown_background();
    code
}

async fn run(command: Command) -> ExitCode {
    let mut signals = match Signals::catch() {
        Ok(signals) => signals,
        Err(error) => return Exit::failed(format!("signals cannot be received: {error}")).report(),
    };
    let exit = match command {
        Command::Tail(options) => tail::run(*options, &mut signals).await,
        Command::Demo(options) => demo::run(options, &mut signals).await,
        Command::Serve(options) => serve::run(options, &mut signals).await,
    };
    let code = exit.code();
    signals.last_words(tokio::task::spawn_blocking(move || exit.report())).await;
    code
}
