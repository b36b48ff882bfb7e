//! `tidegate serve`: the demo's feed server alone.

use crate::args::ServeArgs;
use crate::exit::Exit;
use crate::server::{self, FeedServer, Schedule};
use crate::signals::Signals;
use crate::status::StatusLine;

pub(crate) async fn run(args: ServeArgs, signals: Signals) -> Exit {
    let options = server::Options {
        seed: args.seed,
        rate: args.rate,
        faults: args.faults_every.map(|pace| Schedule::endless(args.seed, pace)),
        ..server::Options::default()
    };
    let (server, mut events) = match FeedServer::bind(args.listen, options).await {
        Ok(bound) => bound,
        Err(error) => return Exit::failed(format!("{} cannot be listened on: {error}", args.listen)),
    };
    let status = StatusLine::new(false);
    status.line(&format!(
        "try: tidegate tail ws://{}{} --send '{}'",
        server.local_addr(),
        server::PATH,
        server::SUBSCRIBE
    ));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let work = async {
        let telling = async {
            while let Some(event) = events.recv().await {
                status.line(&event.to_string());
            }
        };
        // The events end with the server.
        let (_ledger, ()) = tokio::join!(server.run(async { _ = stopped.await }), telling);
        Exit::Finished
    };
    signals.stop(work, || drop(stop)).await
}
