//! Decides itself which failures are fatal, and how long to wait after the others.
//!
//! Run `cargo run --example own_policy -- ws://127.0.0.1:9001/feed` with nothing there, then start and stop a server with
//! `cargo run -r -p tidegate-cli -- serve`. With `/nowhere` for the path that server answers 404.

use std::error::Error;
use std::time::Duration;

use tidegate::{
    Class, Config, ConnectFailure, ConnectionFailure, Delivery, Failure, RetryPolicy, RetryState,
};

/// Half a second longer each time; after a restart that the server has announced, at once.
fn wait(state: RetryState, failure: &Failure) -> RetryState {
    /// RFC 6455's registry: service restart.
    const RESTART: u16 = 1012;
    let announced = matches!(failure, Failure::Connection(ConnectionFailure::Closed(Some(frame))) if frame.code == RESTART);
    let delay = if announced { Duration::ZERO } else { state.delay + Duration::from_millis(500) };
    RetryState { delay, ..state }
}

/// This service answers 403 while it is being maintained, and closes with 4001 when a key is wrong.
fn class(failure: &Failure) -> Class {
    let refused = matches!(failure, Failure::Connect(ConnectFailure::Rejected { status: 400..=499, .. }));
    let maintained = matches!(failure, Failure::Connect(ConnectFailure::Rejected { status: 403, .. }));
    let wrong_key =
        matches!(failure, Failure::Connection(ConnectionFailure::Closed(Some(frame))) if frame.code == 4001);
    if (refused && !maintained) || wrong_key { Class::Fatal } else { Class::Retry }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("usage: own_policy URL")?;
    let policy = RetryPolicy::custom(Duration::ZERO, wait).max_retries(10);
    let mut feed = tidegate::tokio::feed(url.as_str())
        .on_upgrade(|_| Ok([r#"{"op":"subscribe","channel":"trades"}"#]))
        .on_notice(|notice, _| eprintln!("{notice:?}"))
        .config(Config::builder().retry(policy).classify(class))
        .spawn()?;
    while let Some(delivery) = feed.recv().await {
        if let Delivery::Item(message) = delivery? {
            println!("{}", message.as_text().unwrap_or("(binary)"));
        }
    }
    Ok(())
}
