//! `tidegate tail`: a feed to standard output.

use std::time::Duration;

use http::header::AUTHORIZATION;
use tidegate::rt::tokio::{Connector, Limits, Proxy, SocketRuntime, TlsOptions};
use tidegate::{
    BuildError, Classification, Config, ConfigBuilder, FeedBuilder, FeedHandle, Phase, SpawnedFeed,
};
use tokio::time::timeout;

use crate::advice::in_options;
use crate::args::{ConnectTo, HeaderArg, NetworkArgs, PingInterval, TailArgs, TlsArgs, frame};
use crate::exit::Exit;
use crate::lines::{Entry, Format, Numbered};
use crate::output::Output;
use crate::pump::Pump;
use crate::report::{Reporter, Verbosity};
use crate::signals::{GRACE, Signals};
use crate::status::StatusLine;

pub(crate) async fn run(args: TailArgs, signals: &mut Signals) -> Exit {
    // A file may be a FIFO: to open one waits for its other end.
    let open = tokio::task::spawn_blocking(move || Tail::open(&args));
    let tail = match signals.cut(open).await {
        None => return Exit::Finished,
        Some(Ok(Ok(tail))) => tail,
        Some(Ok(Err(exit))) => return exit,
        Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
    };
    let Tail { reporter, handle, pump } = tail;
    let exit = pump.run(&handle, signals).await;
    // The closing handshake has its own bound; this one is for a loop that cannot get a turn.
    let stopped = timeout(GRACE, handle.wait_for(|phase| phase == Phase::Stopped));
    signals.stop(stopped, || {}).await;
    signals.last_words(reporter.finish()).await;
    exit
}

/// All that a run needs, opened.
struct Tail {
    reporter: Reporter,
    handle: FeedHandle,
    pump: Pump,
}

impl Tail {
    fn open(args: &TailArgs) -> Result<Self, Exit> {
        let status = StatusLine::new(!args.quiet);
        let verbosity = match (args.quiet, args.verbose) {
            (true, _) => Verbosity::Quiet,
            (false, true) => Verbosity::Verbose,
            (false, false) => Verbosity::Normal,
        };
        let output = Output::start(status.clone())
            .map_err(|error| Exit::failed(format!("cannot start the thread for standard output: {error}")))?;
        let reporter = Reporter::start(status, verbosity, args.telemetry.as_deref()).map_err(Exit::usage)?;
        let feed = start(args, &reporter).map_err(Exit::Usage)?;
        let handle = feed.handle();
        reporter.follow(handle.clone());
        let pump = Pump::new(feed, output, Format::new(args), args.count);
        Ok(Self { reporter, handle, pump })
    }
}

fn start(args: &TailArgs, reporter: &Reporter) -> Result<SpawnedFeed<Entry>, String> {
    let frames = args.send.iter().map(|text| frame(text)).collect::<Result<_, _>>();
    let handler = Numbered { frames: frames.map_err(|why| format!("--send: {why}"))? };
    let headers = headers(args)?;
    let runtime = SocketRuntime::new(connector(args)?);
    let builder = FeedBuilder::new(runtime, args.url.as_str());
    let mut builder = headers
        .into_iter()
        .fold(builder, |builder, header| builder.header(header.name.as_str(), header.value));
    builder = args.network.subprotocol.iter().fold(builder, |builder, name| builder.subprotocol(name));
    if let Some(host) = &args.network.host {
        builder = builder.host(host);
    }
    if let Some(origin) = &args.network.origin {
        builder = builder.origin(origin);
    }
    let feed = builder.config(config(args)).handler(handler).on_notice(reporter.observer()).spawn();
    feed.map_err(|error: BuildError| in_options(&error.to_string()))
}

/// The headers of the upgrade, credentials included.
fn headers(args: &TailArgs) -> Result<Vec<HeaderArg>, String> {
    let headers = args.header.iter().map(|header| header.parse().map_err(|why| format!("--header: {why}")));
    let mut headers = headers.collect::<Result<Vec<HeaderArg>, String>>()?;
    if let Some(user) = &args.user {
        if headers.iter().any(|header| header.name == AUTHORIZATION) {
            return Err("--user and --header both set the Authorization header: give one of them".to_owned());
        }
        headers.push(HeaderArg::user(user).map_err(|why| format!("--user: {why}"))?);
    }
    Ok(headers)
}

fn connector(args: &TailArgs) -> Result<Connector, String> {
    let limits = Limits::default().max_frame_size(args.max_frame);
    let limits = limits.map_err(|error| format!("--max-frame: {error}"))?;
    // A frame may be a whole message: the default of the one limit must not forbid what the other allows.
    let message = args.max_message.unwrap_or_else(|| args.max_frame.max(64 << 20));
    let limits = limits.max_message_size(message).map_err(|error| format!("--max-message: {error}"))?;
    let connector = Connector::default()
        .limits(limits)
        // Frames may hold credentials; without any, another origin is sent none.
        .follow_to_other_origins(args.send.is_empty() || args.send_after_redirect)
        .tls(tls(&args.tls))
        .map_err(|error| error.to_string())?;
    network(connector, &args.network)
}

fn network(mut connector: Connector, args: &NetworkArgs) -> Result<Connector, String> {
    connector = match args.proxy.as_deref() {
        None => connector,
        Some("none") => connector.no_proxy(),
        Some(url) => connector.proxy(Proxy::new(url).map_err(|error| format!("--proxy: {error}"))?),
    };
    for ConnectTo { from, to } in &args.connect_to {
        connector = connector.connect_to((&from.0, from.1), (&to.0, to.1));
    }
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
    let retrying = &args.retrying;
    let classification = Classification::Standard
        .retry(retrying.retry_on.iter().copied())
        .fatal_close(retrying.stop_on_close.iter().copied());
    let config = Config::builder()
        .retry(retrying.retry.policy(retrying.max_retries))
        .classification(classification)
        .buffer(args.buffer)
        .overflow(args.overflow);
    let timing = &args.timing;
    let config = match timing.ping_interval {
        Some(PingInterval(interval)) => config.ping_interval(interval),
        None => config,
    };
    let options: [(Option<Duration>, SetSpan); 6] = [
        (timing.connect_timeout, ConfigBuilder::connect_timeout),
        (timing.bootstrap_timeout, ConfigBuilder::bootstrap_timeout),
        (timing.idle_timeout, ConfigBuilder::idle_timeout),
        (timing.stale_after, ConfigBuilder::stale_after),
        (timing.pong_timeout, ConfigBuilder::pong_timeout),
        (timing.stable_after, ConfigBuilder::stable_after),
    ];
    options.into_iter().fold(config, |config, (span, set)| match span {
        Some(span) => set(config, span),
        None => config,
    })
}

type SetSpan = fn(ConfigBuilder, Duration) -> ConfigBuilder;

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use tidegate::{Class, CloseFrame, ConnectionFailure, Failure};

    use super::*;
    use crate::args::{Cli, Command};

    fn options(options: &[&str]) -> Config {
        let arguments = ["tidegate", "tail", "ws://host/"].iter().chain(options);
        let Command::Tail(args) = Cli::parse_from(arguments).command else { panic!("not tail") };
        config(&args).build().unwrap()
    }

    #[test]
    fn the_defaults_are_those_of_the_library_and_pings_can_be_turned_off() {
        let (ours, theirs) = (options(&[]), Config::default());
        assert_eq!(
            format!("{ours:?}").replace(" except Retry([]) except FatalClose([])", ""),
            format!("{theirs:?}")
        );
        assert_eq!(options(&["--ping-interval", "off"]).ping_interval(), None);
        assert_eq!(options(&["--ping-interval", "5s"]).ping_interval(), Some(Duration::from_secs(5)));
    }

    #[test]
    fn listed_statuses_are_retried_and_listed_codes_are_fatal() {
        let rejected = |status| Failure::rejected(status, None);
        let closed = |code| Failure::Connection(ConnectionFailure::Closed(Some(CloseFrame::new(code))));
        let lists = [
            "--retry-on",
            "403,404",
            "--retry-on",
            "410",
            "--stop-on-close",
            "1008,4001",
            "--stop-on-close",
            "1005",
        ];
        for (failure, class, listed) in [
            (rejected(401), Class::Fatal, Class::Fatal),
            (rejected(403), Class::Fatal, Class::Retry),
            (rejected(404), Class::Fatal, Class::Retry),
            (rejected(410), Class::Fatal, Class::Retry),
            (closed(1001), Class::Retry, Class::Retry),
            (closed(1008), Class::Retry, Class::Fatal),
            (closed(4001), Class::Retry, Class::Fatal),
            (Failure::Connection(ConnectionFailure::Closed(None)), Class::Retry, Class::Fatal),
        ] {
            assert_eq!(options(&[]).classification().classify(&failure), class, "{failure}");
            assert_eq!(options(&lists).classification().classify(&failure), listed, "{failure}");
        }
    }
}
