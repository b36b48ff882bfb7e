//! `tidegate demo`: the main job with no network, and a check that nothing went wrong unnoticed.

mod recoveries;
mod summary;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use serde_json::Value;
use tidegate::{
    Config, ConfigBuilder, Context, Delivery, Fault, Feed, FrameHandler, Jitter, Message, Overflow,
    Readiness, RetryPolicy, Spawned, StopReason, Upgrade,
};
use tokio::sync::{mpsc, oneshot};

use crate::args::DemoArgs;
use crate::audit::Audit;
use crate::demo::recoveries::Recoveries;
use crate::exit::Exit;
use crate::report::{Reporter, Verbosity};
use crate::server::{self, FeedServer, Schedule, ServerEvent};
use crate::signals::Signals;
use crate::status::StatusLine;

/// The demo's consumer looks away for so long when a flood begins: the queue fills, and reading must be held back.
const SLOWNESS: Duration = Duration::from_millis(400);

pub(crate) async fn run(args: DemoArgs, signals: Signals) -> Exit {
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
    let reporter = match Reporter::start(status.clone(), Verbosity::Verbose, None) {
        Ok(reporter) => reporter,
        Err(error) => return Exit::Failed(error),
    };
    let url = format!("ws://{}{}", server.local_addr(), server::PATH);
    let feed = tidegate::tokio::feed(url.as_str())
        .config(config())
        .handler(Trades)
        .on_notice(reporter.observer())
        .seed(args.seed)
        .spawn();
    let feed = match feed {
        Ok(feed) => feed,
        Err(error) => return Exit::failed(format!("the demo's feed cannot be built: {error}")),
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(server.run(async { _ = stopped.await }));
    let follow = tokio::spawn(status.clone().follow(feed.handle()));
    let watch = Watch {
        feed,
        events,
        status: status.clone(),
        audit: Audit::default(),
        recoveries: Recoveries::default(),
    };
    let seen = watch.run(args.duration, signals).await;
    drop(stop);
    let ledger = server.await;
    follow.abort();
    status.clear();
    reporter.finish();
    match (seen, ledger) {
        (Ok(seen), Ok(ledger)) => summary::print(&ledger, &seen),
        (Err(reason), _) => Exit::stopped(&reason),
        (_, Err(error)) => Exit::failed(format!("the demo's server failed: {error}")),
    }
}

/// Everything quick, so that a short demo shows a lot: trades come all the time, so half a second of nothing is silence.
fn config() -> ConfigBuilder {
    let retry = RetryPolicy::exponential(Duration::from_millis(50), Duration::from_millis(400));
    Config::builder()
        .connect_timeout(Duration::from_secs(2))
        .bootstrap_timeout(Duration::from_secs(2))
        .idle_timeout(Duration::from_millis(500))
        .stable_after(Duration::from_millis(500))
        .retry(retry.jitter(Jitter::Equal).unlimited())
        .buffer(1024)
        .overflow(Overflow::Pause)
}

/// Subscribes, is ready once the server says so, and emits the number of each trade.
struct Trades;

impl FrameHandler for Trades {
    type Session = ();
    type Item = u64;

    fn on_upgrade(&mut self, upgrade: &mut Upgrade<'_>) -> Result<(), Fault> {
        upgrade.send(server::SUBSCRIBE);
        Ok(())
    }

    fn on_message(
        &mut self,
        _session: &mut (),
        message: Message,
        cx: &mut Context<'_, u64>,
    ) -> Result<(), Fault> {
        let message: Value = serde_json::from_slice(message.payload())
            .map_err(|error| Fault::retryable(format!("not JSON: {error}")))?;
        match message["type"].as_str() {
            Some("trade") => {
                let number =
                    message["seq"].as_u64().ok_or_else(|| Fault::retryable("a trade without a number"))?;
                cx.emit(number);
            }
            Some("subscribed") => cx.ready(),
            Some("error") => return Err(Fault::retryable("the server did not understand")),
            Some(_) | None => {}
        }
        Ok(())
    }

    fn readiness(&self) -> Readiness {
        Readiness::WhenDeclared
    }
}

/// The consumer's side of the demo.
struct Watch {
    feed: Feed<Spawned<u64>>,
    events: mpsc::UnboundedReceiver<ServerEvent>,
    status: StatusLine,
    audit: Audit,
    recoveries: Recoveries,
}

/// What the consumer saw.
struct Seen {
    audit: Audit,
    recoveries: Recoveries,
}

impl Watch {
    /// Consumes for `duration`, then shuts the feed down and takes what is left in it.
    async fn run(mut self, duration: Duration, signals: Signals) -> Result<Seen, StopReason> {
        let handle = self.feed.handle();
        let work = async {
            self.consume(duration).await;
            Exit::Finished
        };
        if let Exit::Failed(why) = signals.stop(work, || handle.shutdown()).await {
            self.status.line(&format!("tidegate: {why}"));
        }
        handle.shutdown();
        while let Some(delivery) = self.feed.recv().await {
            self.take(&delivery?);
        }
        Ok(Seen { audit: self.audit, recoveries: self.recoveries })
    }

    async fn consume(&mut self, duration: Duration) {
        let end = tokio::time::Instant::now() + duration;
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(end) => return,
                Some(event) = self.events.recv() => self.hear(&event).await,
                received = self.feed.recv_many(&mut batch, 256) => match received {
                    Ok(0) | Err(_) => return,
                    Ok(_) => batch.drain(..).for_each(|delivery| self.take(&delivery)),
                },
            }
        }
    }

    async fn hear(&mut self, event: &ServerEvent) {
        self.status.line(&format!("{:>11} {event}", "server:"));
        if let ServerEvent::FaultInjected { fault: server::Fault::Flood { .. }, .. } = event {
            tokio::time::sleep(SLOWNESS).await;
        }
    }

    fn take(&mut self, delivery: &Delivery<u64>) {
        match delivery {
            Delivery::Item(number) => {
                self.audit.trade(*number);
            }
            Delivery::Live { id } => {
                self.audit.live(id.get());
                self.recoveries.live(Instant::now());
            }
            Delivery::Interrupted { id, .. } => {
                self.audit.interrupted(id.get());
                self.recoveries.interrupted(Instant::now());
            }
            Delivery::Dropped { count } => self.audit.dropped(*count),
        }
    }
}
