//! Keeps a table of last prices, and marks it as stale while trades may be missing. Each new connection starts a new
//! table.
//!
//! Start a server with `cargo run -r -p tidegate-cli -- serve --faults-every 2s`, then
//! `cargo run --example order_book -- ws://127.0.0.1:9001/feed`.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use serde_json::Value;
use tidegate::{Config, Context, Delivery, Fault, FrameHandler, Message, RetryPolicy, Upgrade};

/// An item: a symbol and its last price.
struct Trade(String, f64);

/// The handler, which knows the server's protocol.
struct Trades;

impl FrameHandler for Trades {
    /// The number of the next trade. It is created for each connection, so there is nothing to reset.
    type Session = Option<u64>;
    type Item = Trade;

    fn on_upgrade(&mut self, upgrade: &mut Upgrade<'_>) -> Result<Self::Session, Fault> {
        upgrade.send(r#"{"op":"subscribe","channel":"trades"}"#);
        // Live only once the server has accepted the subscription.
        upgrade.wait_for_ready();
        Ok(None)
    }

    fn on_message(
        &mut self,
        expected: &mut Option<u64>,
        message: Message,
        cx: &mut Context<'_, Trade>,
    ) -> Result<(), Fault> {
        let message: Value = serde_json::from_slice(message.payload())
            .map_err(|_| Fault::retryable("a message that is no JSON"))?;
        match (message["type"].as_str(), message["seq"].as_u64()) {
            (Some("subscribed"), seq) => {
                *expected = seq;
                cx.ready();
            }
            (Some("trade"), seq) if seq.is_some() && seq == *expected => {
                *expected = seq.map(|seq| seq + 1);
                let symbol = message["symbol"].as_str().unwrap_or_default();
                cx.emit(Trade(symbol.to_owned(), message["price"].as_f64().unwrap_or_default()));
            }
            (Some("trade"), _) => return Err(Fault::retryable("a trade is missing")),
            (Some("error"), _) => return Err(Fault::fatal("the subscription was refused")),
            _ => {}
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("usage: order_book URL")?;
    let retry = RetryPolicy::exponential(Duration::from_millis(250), Duration::from_secs(10)).unlimited();
    let config = Config::builder().idle_timeout(Duration::from_secs(5)).retry(retry);
    let mut feed = tidegate::rt::tokio::feed(url.as_str()).handler(Trades).config(config).spawn()?;
    let mut book = BTreeMap::new();
    while let Some(delivery) = feed.recv().await {
        match delivery? {
            Delivery::Opened { .. } => book.clear(),
            Delivery::Item(Trade(symbol, price)) => {
                book.insert(symbol, price);
                println!("{book:?}");
            }
            Delivery::Live { .. } => println!("complete: {book:?}"),
            Delivery::Interrupted { .. } | Delivery::Dropped { .. } => println!("stale: {book:?}"),
        }
    }
    Ok(())
}
