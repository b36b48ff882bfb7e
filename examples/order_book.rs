//! Keeps a table of prices over several channels, and marks it as stale while prices may be missing.
//!
//! Each connection starts a new table, at `Opened` and not at `Live`: the snapshots of the channels that the server
//! acknowledges first arrive before the connection is Live.
//!
//! Start a server with `cargo run -r -p tidegate-cli -- serve --faults-every 2s`, then
//! `cargo run --example order_book -- ws://127.0.0.1:9001/feed trades`.

use std::collections::BTreeMap;
use std::error::Error;

use serde_json::{Value, json};
use tidegate::prelude::*;

/// An item: a symbol and its price.
pub struct Price(pub String, pub f64);

/// The consumer's table.
#[derive(Default)]
pub struct Book {
    /// The last price of each symbol.
    pub prices: BTreeMap<String, f64>,
    /// Whether nothing is missing.
    pub complete: bool,
}

impl Book {
    /// Takes in a delivery, and starts over if it opens a connection.
    pub fn apply(&mut self, delivery: Delivery<Price>) {
        match delivery {
            Delivery::Opened { .. } => self.prices.clear(),
            Delivery::Item(Price(symbol, price)) => {
                self.prices.insert(symbol, price);
            }
            Delivery::Live { .. } => self.complete = true,
            Delivery::Interrupted { .. } | Delivery::Dropped { .. } => self.complete = false,
        }
    }
}

/// The handler, which knows the server's protocol. It subscribes to these channels.
pub struct Prices(pub Vec<String>);

/// State of one connection. It is created anew for each, so there is nothing to reset.
pub struct Session {
    /// Number of channels that are not acknowledged.
    waiting: usize,
    /// The number of the next trade.
    next: Option<u64>,
}

impl FrameHandler for Prices {
    type Session = Session;
    type Item = Price;

    fn on_upgrade(&mut self, upgrade: &mut Upgrade<'_>) -> Result<Session, Fault> {
        for channel in &self.0 {
            upgrade.send(json!({ "op": "subscribe", "channel": channel }).to_string());
        }
        // Live only once the server has accepted all subscriptions.
        upgrade.wait_for_ready();
        Ok(Session { waiting: self.0.len(), next: None })
    }

    fn on_message(
        &mut self,
        session: &mut Session,
        message: Message,
        cx: &mut Context<'_, Price>,
    ) -> Result<(), Fault> {
        let message: Value = serde_json::from_slice(message.payload())
            .map_err(|_| Fault::retryable("a message that is no JSON"))?;
        let seq = message["seq"].as_u64();
        match message["type"].as_str() {
            Some("subscribed") => {
                session.next = session.next.or(seq);
                session.waiting = session.waiting.saturating_sub(1);
                if session.waiting == 0 {
                    cx.ready();
                }
                return Ok(());
            }
            Some("snapshot") => {}
            Some("trade") if seq == session.next => session.next = seq.map(|seq| seq + 1),
            Some("trade") => return Err(Fault::retryable("a trade is missing")),
            Some("error") => return Err(Fault::fatal("the subscription was refused")),
            _ => return Ok(()),
        }
        let symbol = message["symbol"].as_str().unwrap_or_default();
        cx.emit(Price(symbol.to_owned(), message["price"].as_f64().unwrap_or_default()));
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let url = args.next().ok_or("usage: order_book URL CHANNEL ...")?;
    let mut feed = tidegate::rt::tokio::feed(url).handler(Prices(args.collect())).spawn()?;
    let mut book = Book::default();
    while let Some(delivery) = feed.recv().await {
        book.apply(delivery?);
        println!("{}: {:?}", if book.complete { "complete" } else { "stale" }, book.prices);
    }
    Ok(())
}
