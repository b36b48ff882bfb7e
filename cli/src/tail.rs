//! `tidegate tail`: a feed to standard output.

use std::time::Duration;

use tidegate::tokio::{Connector, Limits, Proxy, Runtime, TlsOptions};
use tidegate::{BuildError, Config, ConfigBuilder, Delivery, Feed, FeedBuilder, Phase, Spawned};
use tokio::time::sleep_until;

use crate::args::{HeaderArg, NetworkArgs, TailArgs, TlsArgs};
use crate::exit::Exit;
use crate::lines::{Entry, Format, Numbered};
use crate::output::{Output, Written};
use crate::report::{Reporter, Verbosity};
use crate::signals::{GRACE, Signals};
use crate::status::StatusLine;

/// Deliveries taken at a time.
const BATCH: usize = 1024;

pub(crate) async fn run(args: TailArgs, signals: Signals) -> Exit {
    let status = StatusLine::new(!args.quiet);
    let verbosity = match (args.quiet, args.verbose) {
        (true, _) => Verbosity::Quiet,
        (false, true) => Verbosity::Verbose,
        (false, false) => Verbosity::Normal,
    };
    let reporter = match Reporter::start(status.clone(), verbosity, args.telemetry.as_deref()) {
        Ok(reporter) => reporter,
        Err(error) => return Exit::usage(error),
    };
    let feed = match start(&args, &reporter) {
        Ok(feed) => feed,
        Err(why) => return Exit::Usage(why),
    };
    let handle = feed.handle();
    let follow = tokio::spawn(status.clone().follow(handle.clone()));
    let exit = signals.stop(pump(feed, &args, Output::new(status.clone())), || handle.shutdown()).await;
    // The closing handshake has its own bound; this one is for a loop that cannot get a turn.
    let _ = tokio::time::timeout(GRACE, handle.wait_for(|phase| phase == Phase::Stopped)).await;
    follow.abort();
    status.clear();
    reporter.finish();
    exit
}

fn start(args: &TailArgs, reporter: &Reporter) -> Result<Feed<Spawned<Entry>>, String> {
    let runtime = Runtime::new(connector(args)?);
    let mut builder = FeedBuilder::new(runtime, args.url.as_str());
    for header in &args.header {
        let header: HeaderArg = header.parse().map_err(|why| format!("--header: {why}"))?;
        builder = builder.header(header.name.as_str(), header.value);
    }
    builder = args.network.subprotocol.iter().fold(builder, |builder, name| builder.subprotocol(name));
    if let Some(origin) = &args.network.origin {
        builder = builder.origin(origin);
    }
    let feed = builder
        .config(config(args))
        .handler(Numbered { frames: args.send.clone() })
        .on_notice(reporter.observer())
        .spawn();
    feed.map_err(|error: BuildError| error.to_string())
}

fn connector(args: &TailArgs) -> Result<Connector, String> {
    let limits = Limits::default().max_frame_size(args.max_frame).map_err(|error| error.to_string())?;
    // A frame may be a whole message: the one limit must not forbid what the other allows.
    let message = args.max_frame.max(64 << 20);
    let limits = limits.max_message_size(message).map_err(|error| error.to_string())?;
    let connector =
        Connector::default().limits(limits).tls(tls(&args.tls)).map_err(|error| error.to_string())?;
    network(connector, &args.network)
}

fn network(mut connector: Connector, args: &NetworkArgs) -> Result<Connector, String> {
    connector = match args.proxy.as_deref() {
        None => connector,
        Some("none") => connector.no_proxy(),
        Some(url) => connector.proxy(Proxy::new(url).map_err(|error| format!("--proxy: {error}"))?),
    };
    if let Some(local) = args.bind {
        connector = connector.bind_address(local);
    }
    if let Some(after) = args.tcp_keepalive {
        connector = connector.tcp_keepalive(after);
    }
    Ok(connector)
}

fn tls(args: &TlsArgs) -> TlsOptions {
    let mut tls = TlsOptions::default();
    if let Some(file) = &args.ca {
        tls = tls.ca_file(file);
    }
    if let (Some(chain), Some(key)) = (&args.cert, &args.key) {
        tls = tls.client_certificate_files(chain, key);
    }
    if args.dangerously_accept_any_certificate {
        tls = tls.dangerously_accept_any_certificate();
    }
    tls
}

fn config(args: &TailArgs) -> ConfigBuilder {
    let config = Config::builder()
        .retry(args.retry.policy(args.max_retries))
        .buffer(args.buffer)
        .overflow(args.overflow.into());
    let timing = &args.timing;
    let options: [(Option<Duration>, SetSpan); 7] = [
        (timing.connect_timeout, ConfigBuilder::connect_timeout),
        (timing.bootstrap_timeout, ConfigBuilder::bootstrap_timeout),
        (timing.idle_timeout, ConfigBuilder::idle_timeout),
        (timing.stale_after, ConfigBuilder::stale_after),
        (timing.ping_interval, ConfigBuilder::ping_interval),
        (timing.pong_timeout, ConfigBuilder::pong_timeout),
        (timing.stable_after, ConfigBuilder::stable_after),
    ];
    options.into_iter().fold(config, |config, (span, set)| match span {
        Some(span) => set(config, span),
        None => config,
    })
}

type SetSpan = fn(ConfigBuilder, Duration) -> ConfigBuilder;

/// Moves deliveries from the feed to standard output until one of the two ends, or the count is reached.
async fn pump(mut feed: Feed<Spawned<Entry>>, args: &TailArgs, mut output: Output) -> Exit {
    let format = if args.json { Format::Json } else { Format::Plain };
    let mut left = args.count.unwrap_or(u64::MAX);
    let mut batch = Vec::with_capacity(BATCH);
    let exit = loop {
        if let Err(exit) = output.keep_up().await {
            return exit;
        }
        if left == 0 {
            break Exit::Finished;
        }
        let received = tokio::select! {
            received = feed.recv_many(&mut batch, BATCH) => received,
            () = until(output.due()) => continue,
        };
        match received {
            Ok(0) => break Exit::Finished,
            Ok(_) => left = format_batch(&mut batch, format, left, &mut output),
            Err(reason) => break Exit::stopped(&reason),
        }
    };
    drop(feed);
    match output.flush().await {
        Ok(Written::Out | Written::Closed) => exit,
        Err(error) => Exit::failed(format!("standard output cannot be written: {error}")),
    }
}

/// Writes what may still be written, and returns how many items may come after it.
fn format_batch(batch: &mut Vec<Delivery<Entry>>, format: Format, mut left: u64, output: &mut Output) -> u64 {
    let buffer = output.buffer();
    for delivery in batch.drain(..) {
        if left == 0 {
            break;
        }
        if let Delivery::Item(_) = delivery {
            left -= 1;
        }
        format.write(&delivery, buffer);
    }
    left
}

impl Output {
    /// Flushes if it is time to.
    async fn keep_up(&mut self) -> Result<(), Exit> {
        let due = self.due().is_some_and(|due| due <= tokio::time::Instant::now());
        if !due && !self.has_enough() {
            return Ok(());
        }
        match self.flush().await {
            Ok(Written::Out) => Ok(()),
            // Whoever read has seen enough.
            Ok(Written::Closed) => Err(Exit::Finished),
            Err(error) => Err(Exit::failed(format!("standard output cannot be written: {error}"))),
        }
    }
}

async fn until(due: Option<tokio::time::Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
