//! `tidegate serve`: the demo's feed server alone.

use crate::args::ServeArgs;
use crate::exit::Exit;
use crate::report::{Reporter, Verbosity};
use crate::server::{self, FeedServer, Schedule};
use crate::signals::Signals;
use crate::status::StatusLine;

pub(crate) async fn run(args: ServeArgs, signals: &mut Signals) -> Exit {
    let options = server::Options {
        seed: args.seed,
        rate: args.rate,
        faults: args.faults_every.map(|pace| Schedule::endless(args.seed, pace)),
        ..server::Options::default()
    };
    let (server, mut events) = match FeedServer::bind(args.listen, options).await {
        Ok(bound) => bound,
        Err(error) => return Exit::failed(format!("cannot listen on {}: {error}", args.listen)),
    };
    let status = StatusLine::new(false);
    let reporter = match Reporter::start(status, Verbosity::Normal, None) {
        Ok(reporter) => reporter,
        Err(error) => return Exit::Failed(error),
    };
    reporter.line(format!(
        "try: tidegate tail ws://{}{} --send '{}'",
        server.local_addr(),
        server::PATH,
        server::SUBSCRIBE
    ));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let work = async {
        let telling = async {
            while let Some(event) = events.recv().await {
                let style = event.style();
                reporter.line(format!("{style}{event}{style:#}"));
            }
        };
        // The events end with the server.
        let (_ledger, ()) = tokio::join!(server.run(async { _ = stopped.await }), telling);
    };
    signals.stop(work, || drop(stop)).await;
    signals.last_words(reporter.finish()).await;
    Exit::Finished
}
