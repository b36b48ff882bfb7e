//! The command line.

mod secret;
mod usage;
mod values;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, ColorChoice, Parser, Subcommand};
use tidegate::Overflow;

pub(crate) use secret::{HeaderArg, frame};
pub(crate) use values::{ConnectTo, MaxRetries, PingInterval, RetryArg};

/// Follow a WebSocket feed across every drop, stall and refusal.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// When to use color; auto uses it on a terminal unless NO_COLOR is set. Example: --color never
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = ColorChoice::Auto, global = true)]
    pub(crate) color: ColorChoice,
}

/// Why there is nothing to run.
pub(crate) enum Refused {
    /// Help or the version was asked for.
    Help(clap::Error),
    /// The arguments are wrong. The text repeats no value.
    Usage(String),
}

impl Cli {
    /// Reads the command line. The first argument is the command's own name.
    pub(crate) fn read(arguments: impl IntoIterator<Item: Into<OsString>>) -> Result<Self, Refused> {
        let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
        Self::try_parse_from(&arguments).map_err(|error| {
            let is_help = matches!(
                error.kind(),
                ErrorKind::DisplayHelp
                    | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
                    | ErrorKind::DisplayVersion
            );
            if is_help { Refused::Help(error) } else { Refused::Usage(usage::explain(&error, &arguments)) }
        })
    }
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

/// Exit codes: 0 finished (count reached, SIGINT or SIGTERM, or standard output closed), 1 stopped, or not all was written (a
/// line on standard error says why and what to do), 2 wrong usage.
#[derive(Debug, Args)]
#[command(
    after_help = "Durations look like 500ms, 15s or 2m. Plain output is text as it arrived, with a line break if it has \
                  none at its end, and a line of base64 for a binary item: tidegate tail URL | jq .price\n\
                  On a terminal, control characters are escaped."
)]
pub(crate) struct TailArgs {
    /// Where the feed is: ws://… or wss://…
    pub(crate) url: String,

    /// Send this text frame after every upgrade, before the feed counts as live; may be repeated. @FILE and env:NAME send
    /// the text of a file (without a line break at its end) or of an environment variable, base64:DATA sends a binary
    /// frame, text:TEXT sends TEXT as it is, even if it begins with @ or env:. Example: --send @subscribe.json
    #[arg(long, value_name = "FRAME")]
    // Read later on, as --header and --user are: files are read when the command starts, not while it parses.
    pub(crate) send: Vec<String>,

    /// Follow redirects to another origin and send the frames of --send there as well. By default such a redirect stops the
    /// feed, because frames may hold credentials; without --send it is followed, and no credentials go along. Example:
    /// --send @subscribe.json --send-after-redirect
    #[arg(long, requires = "send")]
    pub(crate) send_after_redirect: bool,

    /// Send this header with the upgrade; may be repeated. @FILE or env:NAME in place of the value reads all of it from a
    /// file or an environment variable. Example: --header 'X-Api-Key: env:API_KEY'
    #[arg(long, value_name = "NAME: VALUE")]
    pub(crate) header: Vec<String>,

    /// Log in with basic authentication; the password is read from a file (NAME:@FILE) or from the environment
    /// (NAME:env:VARIABLE). Example: --user feed:@password.txt
    #[arg(long, value_name = "NAME:@FILE")]
    pub(crate) user: Option<String>,

    #[command(flatten)]
    pub(crate) timing: TimingArgs,

    #[command(flatten)]
    pub(crate) retrying: RetryArgs,

    /// Items to queue at most
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = values::at_least(1_usize))]
    pub(crate) buffer: usize,

    /// What to do when the queue is full
    #[arg(long, value_parser = values::overflow(), default_value = "pause")]
    pub(crate) overflow: Overflow,

    /// Stop after this many items
    #[arg(long, value_name = "N", value_parser = values::at_least(1_u64))]
    pub(crate) count: Option<u64>,

    /// Write one JSON object a line, with a line each time the feed goes live, is interrupted, or drops items
    #[arg(long)]
    pub(crate) json: bool,

    /// Write a JSON item as one line, without white space between its tokens, such as --compact | grep '"side":"buy"'
    #[arg(long, conflicts_with = "json")]
    pub(crate) compact: bool,

    /// Append what happens to this file, as JSON lines; - is standard error
    #[arg(long, value_name = "FILE", value_parser = values::file_name())]
    pub(crate) telemetry: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) tls: TlsArgs,

    #[command(flatten)]
    pub(crate) network: NetworkArgs,

    /// The largest frame to accept, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 16 << 20, value_parser = values::at_least(1_usize))]
    pub(crate) max_frame: usize,

    /// The largest message to accept, all of its frames together, in bytes, such as --max-message 1000000
    /// [default: 67108864, or --max-frame if that is more]
    #[arg(long, value_name = "BYTES", value_parser = values::at_least(1_usize))]
    pub(crate) max_message: Option<usize>,

    /// Print only the reason for stopping on standard error
    #[arg(short, long, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Say more on standard error
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TimingArgs {
    /// Maximum time from name lookup to the end of the upgrade [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    pub(crate) connect_timeout: Option<Duration>,

    /// Maximum time to send all --send frames after the upgrade [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    pub(crate) bootstrap_timeout: Option<Duration>,

    /// Reconnect when nothing arrives for this long [default: off]
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    pub(crate) idle_timeout: Option<Duration>,

    /// Reconnect when no item arrives for this long, even if pings are answered [default: off]
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    pub(crate) stale_after: Option<Duration>,

    /// Send a ping this often, or off [default: 20s, or half of --idle-timeout if that is less]
    #[arg(long, value_name = "DURATION", value_parser = values::ping_interval)]
    pub(crate) ping_interval: Option<PingInterval>,

    /// How long the answer to a ping may take [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    pub(crate) pong_timeout: Option<Duration>,

    /// A connection that is live for this long resets the retry count and delay [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    pub(crate) stable_after: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct RetryArgs {
    /// How long to wait before a retry: fixed:DELAY or exponential:BASE..CAP
    #[arg(long, value_name = "POLICY", default_value = "exponential:250ms..30s")]
    pub(crate) retry: RetryArg,

    /// Retries in a row before giving up: a number, or unlimited
    #[arg(long, value_name = "N", default_value = "unlimited")]
    pub(crate) max_retries: MaxRetries,

    /// Retry these HTTP statuses too, with commas between; may be repeated. By default 501 and a 4xx other than 408, 425
    /// and 429 stop the feed. Example: --retry-on 403,404
    #[arg(long, value_name = "STATUS,…", value_delimiter = ',', value_parser = values::status(300..=599))]
    pub(crate) retry_on: Vec<u16>,

    /// Stop when the server closes with one of these codes, with commas between; may be repeated. By default every Close
    /// is followed by a retry; 1005 is a Close without a code. Example: --stop-on-close 1008,4001
    #[arg(long, value_name = "CODE,…", value_delimiter = ',', value_parser = values::close_code)]
    pub(crate) stop_on_close: Vec<u16>,
}

#[derive(Debug, Args)]
pub(crate) struct NetworkArgs {
    /// Go through this proxy: http://[user:password@]host:port, socks5://…, socks5h://… (the proxy looks names up), or none
    /// [default: what HTTPS_PROXY, ALL_PROXY and NO_PROXY say]
    #[arg(long, value_name = "URL")]
    pub(crate) proxy: Option<String>,

    /// Send this Host header instead of the URL's host and port; TLS still checks the certificate against the URL's host.
    /// Example: tail ws://10.0.0.7:8080/ws --host feed.example
    #[arg(long, value_name = "HOST")]
    pub(crate) host: Option<String>,

    /// Connect to another host and port than those of the URL; Host and TLS still follow the URL. Write IPv6 addresses in
    /// brackets; may be repeated. Example: --connect-to feed.example:443:10.0.0.7:8443
    #[arg(long, value_name = "HOST1:PORT1:HOST2:PORT2")]
    pub(crate) connect_to: Vec<ConnectTo>,

    /// Offer this subprotocol; may be repeated, in the order of preference
    #[arg(long, value_name = "NAME")]
    pub(crate) subprotocol: Vec<String>,

    /// Send this Origin header
    #[arg(long, value_name = "ORIGIN")]
    pub(crate) origin: Option<String>,

    /// Connect from this local address
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) bind: Option<std::net::IpAddr>,

    /// Have the system probe a silent connection this often, in whole seconds [default: off]
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    pub(crate) tcp_keepalive: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct TlsArgs {
    /// Trust the authorities in this PEM file as well
    #[arg(long, value_name = "FILE", value_parser = values::file_name())]
    pub(crate) ca: Option<PathBuf>,

    /// Show this client certificate: a PEM file with the chain
    #[arg(long, value_name = "FILE", requires = "key", value_parser = values::file_name())]
    pub(crate) cert: Option<PathBuf>,

    /// The client certificate's key, a PEM file
    #[arg(long, value_name = "FILE", requires = "cert", value_parser = values::file_name())]
    pub(crate) key: Option<PathBuf>,

    /// Disable certificate verification: anyone on the path can read and change everything
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
    #[arg(long, default_value_t = 1, value_parser = values::at_least(0_u64))]
    pub(crate) seed: u64,

    /// Trades a second
    #[arg(long, default_value_t = 200, value_parser = values::at_least(1_u32))]
    pub(crate) rate: u32,
}

/// Runs until SIGINT or SIGTERM.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9001")]
    pub(crate) listen: std::net::SocketAddr,

    /// Trades a second
    #[arg(long, default_value_t = 200, value_parser = values::at_least(1_u32))]
    pub(crate) rate: u32,

    /// Inject a fault this often [default: none]
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    pub(crate) faults_every: Option<Duration>,

    /// What trades and faults are drawn from
    #[arg(long, default_value_t = 1, value_parser = values::at_least(0_u64))]
    pub(crate) seed: u64,
}
