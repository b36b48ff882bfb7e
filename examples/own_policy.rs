//! Functions of the application decide which failures are fatal, and how long to wait after the others.
//!
//! Run `cargo run --example own_policy -- ws://127.0.0.1:9001/feed` without a server, then start and stop one with
//! `cargo run -r -p tidegate-cli -- serve`. For the path `/nowhere`, that server answers 404.

use std::error::Error;
use std::time::Duration;

use tidegate::{Class, Config, ConnectFailure, ConnectionFailure, Failure, RetryPolicy, RetryState};

/// Waits half a second longer each time, and not at all after a restart that the server has announced.
fn wait(state: RetryState, failure: &Failure) -> RetryState {
    /// Service restart, in the registry of close codes (RFC 6455 §11.7).
    const RESTART: u16 = 1012;
    let announced = matches!(failure, Failure::Connection(ConnectionFailure::Closed(Some(frame))) if frame.code == RESTART);
    let delay = if announced { Duration::ZERO } else { state.delay + Duration::from_millis(500) };
    RetryState { delay, ..state }
}

/// This service answers 403 during maintenance, and closes with 4001 when a key is wrong.
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
    let mut feed = tidegate::rt::tokio::feed(url.as_str())
        .on_upgrade(|_| Ok([r#"{"op":"subscribe","channel":"trades"}"#]))
        .on_notice(|notice, _| eprintln!("{notice:?}"))
        .config(Config::builder().retry(policy).classify(class))
        .spawn()?;
    while let Some(delivery) = feed.recv().await {
        if let Some(message) = delivery?.into_item() {
            println!("{}", message.as_text().unwrap_or("(binary)"));
        }
    }
    Ok(())
}
