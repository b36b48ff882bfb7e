//! The command line.

mod values;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ColorChoice, Parser, Subcommand};

pub(crate) use values::{HeaderArg, MaxRetries, OverflowArg, RetryArg};

/// Follow a WebSocket feed across every drop, stall and refusal.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// When to use color, such as --color never; auto is on a terminal, unless NO_COLOR is set
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = ColorChoice::Auto, global = true)]
    pub(crate) color: ColorChoice,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write the items of a feed to standard output
    Tail(Box<TailArgs>),
    /// Run a feed server that misbehaves, follow it, and check that nothing goes wrong unnoticed
    Demo(DemoArgs),
    /// Run the demo's feed server alone
    Serve(ServeArgs),
}

/// Exit codes: 0 finished (count reached, SIGINT or SIGTERM, or standard output closed), 1 stopped for good, or not all was
/// written, 2 wrong usage.
#[derive(Debug, Args)]
#[command(
    after_help = "Durations are such as 500ms, 15s, 2m. Plain output is text as it arrived, with a line break if it has \
                  none at its end, and a line of base64 for a binary item: tidegate tail URL | jq .price\n\
                  On a terminal, control characters are escaped."
)]
pub(crate) struct TailArgs {
    /// Where the feed is: ws://… or wss://…
    pub(crate) url: String,

    /// Send this text frame after every upgrade, before the feed counts as live; may be repeated
    #[arg(long, value_name = "FRAME")]
    pub(crate) send: Vec<String>,

    /// Send this header with the upgrade; a value @FILE is read from a file, env:NAME from the environment
    #[arg(long, value_name = "NAME: VALUE")]
    // Read later on: clap would repeat a value that it does not like.
    pub(crate) header: Vec<String>,

    #[command(flatten)]
    pub(crate) timing: TimingArgs,

    /// How long to wait before a retry: fixed:DELAY or exponential:BASE..CAP
    #[arg(long, value_name = "POLICY", default_value = "exponential:250ms..30s")]
    pub(crate) retry: RetryArg,

    /// Retries in a row before giving up: a number, or unlimited
    #[arg(long, value_name = "N", default_value = "unlimited")]
    pub(crate) max_retries: MaxRetries,

    /// Items to queue at most
    #[arg(long, value_name = "N", default_value_t = 1024)]
    pub(crate) buffer: usize,

    /// What to do when the queue is full
    #[arg(long, value_enum, default_value_t = OverflowArg::Pause)]
    pub(crate) overflow: OverflowArg,

    /// Stop after this many items
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,

    /// Write one JSON object a line, with marks where the feed was live, interrupted, or had items dropped
    #[arg(long)]
    pub(crate) json: bool,

    /// Write a JSON item as one line, without white space between its tokens, such as --compact | grep '"side":"buy"'
    #[arg(long, conflicts_with = "json")]
    pub(crate) compact: bool,

    /// Write what happens as JSON lines to this file; - is standard error
    #[arg(long, value_name = "FILE")]
    pub(crate) telemetry: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) tls: TlsArgs,

    #[command(flatten)]
    pub(crate) network: NetworkArgs,

    /// The largest frame to accept, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 16 << 20)]
    pub(crate) max_frame: usize,

    /// Say nothing on standard error but why it stopped
    #[arg(short, long, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Say more on standard error
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TimingArgs {
    /// From name lookup to the end of the upgrade [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    pub(crate) connect_timeout: Option<Duration>,

    /// From the upgrade until all --send frames are out [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    pub(crate) bootstrap_timeout: Option<Duration>,

    /// Reconnect when nothing was heard for this long [default: off]
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    pub(crate) idle_timeout: Option<Duration>,

    /// Reconnect when no item came for this long, pings or not [default: off]
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    pub(crate) stale_after: Option<Duration>,

    /// Send a ping this often [default: off]
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    pub(crate) ping_interval: Option<Duration>,

    /// How long the answer to a ping may take [default: 10s, with --ping-interval]
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    pub(crate) pong_timeout: Option<Duration>,

    /// How long a connection must be live for the retries to start anew [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    pub(crate) stable_after: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct NetworkArgs {
    /// Go through this proxy: http://[user:password@]host:port, socks5://…, socks5h://… (the proxy looks names up), or none
    /// [default: what HTTPS_PROXY, ALL_PROXY and NO_PROXY say]
    #[arg(long, value_name = "URL")]
    // Read later on: clap would repeat a value that it does not like.
    pub(crate) proxy: Option<String>,

    /// Offer this subprotocol; may be repeated, in the order of preference
    #[arg(long, value_name = "NAME")]
    pub(crate) subprotocol: Vec<String>,

    /// Send this Origin header
    #[arg(long, value_name = "ORIGIN")]
    pub(crate) origin: Option<String>,

    /// Connect from this local address
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) bind: Option<std::net::IpAddr>,

    /// Have the system probe a silent connection this often [default: off]
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    pub(crate) tcp_keepalive: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct TlsArgs {
    /// Trust the authorities in this PEM file as well
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,

    /// Show this client certificate: a PEM file with the chain
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) cert: Option<PathBuf>,

    /// The client certificate's key, a PEM file
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,

    /// Accept whatever certificate the server shows: anybody in between can read and change everything
    #[arg(long)]
    pub(crate) dangerously_accept_any_certificate: bool,
}

/// Exit codes: 0 all is well, 1 an item was duplicated, reordered, or lost without an announcement, 2 wrong usage.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// How long to run
    #[arg(long, value_name = "DURATION", default_value = "20s", value_parser = values::duration)]
    pub(crate) duration: Duration,

    /// What the schedule of faults is drawn from: the same seed, the same schedule
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,

    /// Trades a second
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rate: u32,
}

/// Runs until SIGINT or SIGTERM.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9001")]
    pub(crate) listen: std::net::SocketAddr,

    /// Trades a second
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rate: u32,

    /// Inject a fault this often [default: none]
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    pub(crate) faults_every: Option<Duration>,

    /// What trades and faults are drawn from
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}
