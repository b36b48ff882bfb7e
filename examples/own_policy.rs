//! The application decides which failures are fatal, and how long to wait after the others.
//!
//! Run `cargo run --example own_policy -- ws://127.0.0.1:9001/feed` without a server, then start and stop one with
//! `cargo run -r -p tidegate-cli -- serve`. For the path `/nowhere`, that server answers 404.

use std::error::Error;
use std::time::Duration;

use tidegate::{Classification, Config, Failure, RetryPolicy};

/// Does not wait after a restart that the server has announced.
fn adjust(failure: &Failure, delay: Duration) -> Duration {
    /// Service restart, in the registry of close codes (RFC 6455 §11.7).
    const RESTART: u16 = 1012;
    if failure.close_code() == Some(RESTART) { Duration::ZERO } else { delay }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("usage: own_policy URL")?;
    let policy = RetryPolicy::exponential(Duration::from_millis(250), Duration::from_secs(10));
    // This service answers 403 during maintenance, and closes with 4001 when a key is wrong.
    let classification = Classification::Standard.retry([403]).fatal_close([4001]);
    let mut feed = tidegate::rt::tokio::feed(url.as_str())
        .on_upgrade(|_| Ok([r#"{"op":"subscribe","channel":"trades"}"#]))
        .on_notice(|notice, _| eprintln!("{notice:?}"))
        .config(Config::builder().retry(policy.with(adjust).max_retries(10)).classification(classification))
        .spawn()?;
    while let Some(delivery) = feed.recv().await {
        if let Some(message) = delivery?.into_item() {
            println!("{}", message.as_text().unwrap_or("(binary)"));
        }
    }
    Ok(())
}
