//! `tidegate demo`: the main job with no network, and a check that nothing went wrong unnoticed.

mod recoveries;
mod summary;

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use serde_json::Value;
use tidegate::{
    Config, ConfigBuilder, Context, Delivery, Fault, FrameHandler, Jitter, Message, Overflow, RetryPolicy,
    SpawnedFeed, StopReason, Upgrade,
};
use tokio::sync::{mpsc, oneshot};

use crate::args::DemoArgs;
use crate::audit::{Audit, Heard};
use crate::demo::recoveries::Recoveries;
use crate::exit::Exit;
use crate::output::{End, Output};
use crate::report::{Reporter, Verbosity};
use crate::server::{self, FeedServer, Schedule, ServerEvent};
use crate::signals::Signals;
use crate::status::{self, StatusLine};

/// How long the last trades may take to arrive: a flood may be before them.
const FAREWELL: Duration = Duration::from_secs(5);

/// So that nothing is dropped.
const OVERFLOW: Overflow = Overflow::Pause;

/// The demo's consumer looks away for so long when a flood begins: the queue fills, and reading must be paused.
const SLOWNESS: Duration = Duration::from_millis(400);

pub(crate) async fn run(args: DemoArgs, signals: &mut Signals) -> Exit {
    let options = server::Options {
        seed: args.seed,
        rate: args.rate,
        faults: Some(Schedule::for_run(args.seed, args.duration)),
        ..server::Options::default()
    };
    let (server, events) = match FeedServer::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), options).await {
        Ok(bound) => bound,
        Err(error) => return Exit::failed(format!("no loopback port for the demo's server: {error}")),
    };
    let status = StatusLine::new(true);
    let output = match Output::start(status.clone()) {
        Ok(output) => output,
        Err(error) => return Exit::failed(format!("cannot start the thread for standard output: {error}")),
    };
    let reporter = match Reporter::start(status, Verbosity::Verbose, None) {
        Ok(reporter) => reporter,
        Err(error) => return Exit::Failed(error),
    };
    let url = format!("ws://{}{}", server.local_addr(), server::PATH);
    let feed = tidegate::rt::tokio::feed(url.as_str())
        .config(config())
        .handler(Trades)
        .on_notice(reporter.observer())
        .seed(args.seed)
        .spawn();
    let feed = match feed {
        Ok(feed) => feed,
        Err(error) => return Exit::failed(format!("the demo's feed cannot be built: {error}")),
    };
    let handle = feed.handle();
    reporter.follow(handle.clone());
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(server.run(async { _ = stopped.await }));
    let watch =
        Watch { feed, events, reporter, audit: Audit::new(OVERFLOW), recoveries: Recoveries::default() };
    let work = async {
        let (seen, reporter) = watch.run(args.duration).await;
        drop(stop);
        (seen, server.await, reporter)
    };
    let Some((seen, ledger, reporter)) = signals.stop(work, || handle.shutdown()).await else {
        return Exit::failed("interrupted: the demo has no account of what it saw");
    };
    signals.last_words(reporter.finish()).await;
    match (seen, ledger) {
        (Ok(seen), Ok(ledger)) => print(summary::account(&ledger, &seen), output, signals).await,
        (Err(reason), _) => Exit::stopped(&reason),
        (_, Err(error)) => Exit::failed(format!("the demo's server failed: {error}")),
    }
}

async fn print((text, exit): (String, Exit), mut output: Output, signals: &mut Signals) -> Exit {
    let text = status::paint(&text, status::is_colored(&std::io::stdout()));
    output.buffer().extend_from_slice(text.as_bytes());
    match signals.last_words(output.flush()).await {
        Some(Ok(()) | Err(End::Closed)) => exit,
        Some(Err(End::Failed(why))) => {
            Exit::failed(format!("standard output cannot be written: {why}; {}", output.stop(0).await))
        }
        None => Exit::failed(format!("stopped by a signal; {}", output.stop(0).await)),
    }
}

/// Everything quick, so that a short demo shows a lot: trades come all the time, so half a second of nothing is silence. Pings
/// would be answered meanwhile.
fn config() -> ConfigBuilder {
    let retry = RetryPolicy::exponential(Duration::from_millis(50), Duration::from_millis(400));
    Config::builder()
        .connect_timeout(Duration::from_secs(2))
        .bootstrap_timeout(Duration::from_secs(2))
        .idle_timeout(Duration::from_millis(500))
        .ping_interval(None)
        .stable_after(Duration::from_millis(500))
        .retry(retry.jitter(Jitter::Equal))
        .buffer(1024)
        .overflow(OVERFLOW)
}

/// Subscribes, is ready once the server says so, and emits the number of each trade.
struct Trades;

impl FrameHandler for Trades {
    type Session = ();
    type Item = Heard;

    fn on_upgrade(&mut self, upgrade: &mut Upgrade<'_>) -> Result<(), Fault> {
        upgrade.send(server::SUBSCRIBE);
        upgrade.wait_for_ready();
        Ok(())
    }

    fn on_message(
        &mut self,
        _session: &mut (),
        message: Message,
        cx: &mut Context<'_, Heard>,
    ) -> Result<(), Fault> {
        let message: Value = serde_json::from_slice(message.payload())
            .map_err(|error| Fault::retryable(format!("not JSON: {error}")))?;
        match message["type"].as_str() {
            Some("trade") => {
                let number =
                    message["seq"].as_u64().ok_or_else(|| Fault::retryable("a trade without a number"))?;
                cx.emit(Heard::Trade(number));
            }
            Some("subscribed") => cx.ready(),
            Some("unsubscribed") => cx.emit(Heard::Unsubscribed),
            Some("error") => return Err(Fault::retryable("the server did not understand")),
            Some(_) | None => {}
        }
        Ok(())
    }
}

/// The consumer's side of the demo.
struct Watch {
    feed: SpawnedFeed<Heard>,
    events: mpsc::UnboundedReceiver<ServerEvent>,
    reporter: Reporter,
    audit: Audit,
    recoveries: Recoveries,
}

/// What the consumer saw.
struct Seen {
    audit: Audit,
    recoveries: Recoveries,
    last: Last,
}

/// How much the consumer saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    /// It took all that was sent.
    Unsubscribed,
    /// It ended earlier: some may still have been on their way.
    Cut,
}

impl Watch {
    async fn run(mut self, duration: Duration) -> (Result<Seen, StopReason>, Reporter) {
        let last = self.consume(duration).await;
        self.feed.handle().shutdown();
        while let Some(delivery) = self.feed.recv().await {
            match delivery {
                Ok(delivery) => drop(self.take(&delivery)),
                Err(reason) => return (Err(reason), self.reporter),
            }
        }
        (Ok(Seen { audit: self.audit, recoveries: self.recoveries, last }), self.reporter)
    }

    async fn consume(&mut self, duration: Duration) -> Last {
        if self.follow(duration).await.is_break() {
            return Last::Cut;
        }
        // So that the account holds what was sent and not what happened to be under way.
        match self.feed.handle().send(server::UNSUBSCRIBE).await {
            Ok(_) => match self.follow(FAREWELL).await {
                ControlFlow::Break(last) => last,
                ControlFlow::Continue(()) => Last::Cut,
            },
            Err(_) => Last::Cut,
        }
    }

    /// Takes deliveries for so long, or until they end.
    async fn follow(&mut self, span: Duration) -> ControlFlow<Last> {
        let end = tokio::time::Instant::now() + span;
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(end) => return ControlFlow::Continue(()),
                Some(event) = self.events.recv() => self.hear(&event).await,
                received = self.feed.recv_many(&mut batch, 256) => match received {
                    Ok(0) | Err(_) => return ControlFlow::Break(Last::Cut),
                    Ok(_) => batch.drain(..).try_for_each(|delivery| self.take(&delivery))?,
                },
            }
        }
    }

    async fn hear(&mut self, event: &ServerEvent) {
        let style = event.style();
        self.reporter.line(format!("{:>11} {style}{event}{style:#}", "server:"));
        if let ServerEvent::FaultInjected { fault: server::Fault::Flood { .. }, .. } = event {
            tokio::time::sleep(SLOWNESS).await;
        }
    }

    fn take(&mut self, delivery: &Delivery<Heard>) -> ControlFlow<Last> {
        self.audit.see(delivery);
        match delivery {
            Delivery::Item(Heard::Unsubscribed) => return ControlFlow::Break(Last::Unsubscribed),
            Delivery::Live { .. } => self.recoveries.live(Instant::now()),
            Delivery::Interrupted { .. } => self.recoveries.interrupted(Instant::now()),
            Delivery::Item(Heard::Trade(_)) | Delivery::Opened { .. } | Delivery::Dropped { .. } => {}
        }
        ControlFlow::Continue(())
    }
}
