//! The command line.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

use crate::instructions::{self, Scenario};
use crate::payload::SHORTEST;
use crate::process::Threads;

/// Measures what a message costs, beside other clients; other benchmarks are commands.
#[derive(Debug, Parser)]
#[command(name = "tidegate-bench", args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) throughput: Throughput,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// Options of the benchmark of the cost of a message.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Throughput {
    /// 64 B and 256 B, short runs: under a minute once built
    #[arg(long)]
    pub(crate) quick: bool,
    /// How often each client runs at each size [default: 5; 3 with --quick]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: Option<u32>,
    /// Sizes of messages in bytes, separated by commas
    #[arg(long, value_delimiter = ',', value_parser = size)]
    pub(crate) sizes: Vec<usize>,
    /// Only clients whose name or runtime contains one of these, separated by commas
    #[arg(long, value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Without the clients of other authors in `bench/peers`
    #[arg(long)]
    pub(crate) no_peers: bool,
    #[command(flatten)]
    pub(crate) threads: Threads,
    /// Writes the results to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// Options of the benchmark of latency.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Latency {
    /// Fewer messages
    #[arg(long)]
    pub(crate) quick: bool,
    /// How often each client runs
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// Time between two messages, in microseconds
    #[arg(long, default_value_t = 500)]
    pub(crate) interval_us: u64,
    #[command(flatten)]
    pub(crate) threads: Threads,
}

/// Options of the benchmark of many feeds.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Scale {
    /// Fewer feeds, shorter windows
    #[arg(long)]
    pub(crate) quick: bool,
    /// How many feeds, separated by commas [default: 1,10,100,1000,10000; to 1000 with --quick]
    #[arg(long, value_delimiter = ',')]
    pub(crate) feeds: Vec<usize>,
    /// How the feeds run
    #[arg(long, value_enum, default_value = "spawned")]
    pub(crate) mode: Mode,
    #[command(flatten)]
    pub(crate) threads: Threads,
}

/// Options of the benchmark of reconnects.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Reconnect {
    /// How many reconnects
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) count: u32,
    /// The delay before each, in milliseconds
    #[arg(long, default_value_t = 50)]
    pub(crate) delay_ms: u64,
    #[command(flatten)]
    pub(crate) threads: Threads,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Counts instructions per message, without a socket: the same figures in every run
    Instructions(instructions::Options),
    /// Measures the time of a message, one at a time, from the server to the consumer
    Latency(Latency),
    /// Measures what many feeds in one process cost, and how they recover
    Scale(Scale),
    /// Measures the time until a feed is Live again, beyond the retry delay
    Reconnect(Reconnect),
    #[command(hide = true)]
    Serve {
        /// Number of addresses, from 127.0.0.1 on.
        addresses: u8,
    },
    #[command(hide = true)]
    Client { client: Client, runtime: Runtime, mode: Mode, url: String, count: u64, size: usize },
    #[command(hide = true)]
    InstructionsClient { scenario: Scenario, size: usize, count: u64 },
    #[command(hide = true)]
    LatencyClient { client: Client, runtime: Runtime, mode: Mode, url: String, count: u64 },
    #[command(hide = true)]
    ScaleClient {
        runtime: Runtime,
        mode: Mode,
        feeds: usize,
        jitter: Jitter,
        pings: Pings,
        urls: Vec<String>,
    },
    #[command(hide = true)]
    ReconnectClient { runtime: Runtime, mode: Mode, url: String, count: u32, delay_ms: u64 },
}

/// The clients in this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Client {
    /// `read()`, and nothing else.
    ReadOnly,
    /// Finds the messages and checks that they are UTF-8.
    MinimalParse,
    AsyncTungstenite,
    /// async-tungstenite with JSON parsed.
    AsyncTungsteniteJson,
    Tidegate,
    /// tidegate with a handler that parses JSON.
    TidegateJson,
}

/// The async runtime of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub(crate) enum Runtime {
    /// Blocking calls of the standard library.
    None,
    Tokio,
    Smol,
    AsyncStd,
}

/// How messages reach the consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// From a connection without recovery.
    Raw,
    /// Polling the stream drives the connection.
    Inline,
    /// From another task.
    Spawned,
}

/// Whether retries are spread out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Jitter {
    Full,
    None,
}

/// Whether feeds send pings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Pings {
    Off,
    /// As often as by default.
    On,
}

fn size(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(size) if (SHORTEST..=16 << 20).contains(&size) => Ok(size),
        Ok(_) | Err(_) => Err(format!("choose from {SHORTEST} bytes to 16 MiB")),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn sizes_are_bounded() {
        assert_eq!(size("64"), Ok(64));
        for text in ["0", "14", "16777217", "x"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_are_those_of_the_command_line() {
        use crate::table::name;
        assert_eq!(name(&Runtime::AsyncStd), "async-std");
        assert_eq!(name(&Client::AsyncTungsteniteJson), "async-tungstenite-json");
    }
}
