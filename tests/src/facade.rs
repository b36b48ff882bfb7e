//! The facade's names beside those of the runtimes, and an example that a mistake would make lose data.

use std::collections::BTreeMap;
use std::io;

use tidegate::prelude::*;
#[allow(unused_imports, reason = "what it brings must not be in the way")]
use tidegate::*;

use crate::mode::quick;
use crate::server::{Peer, Server};
use crate::wait::{ms, within};

#[allow(dead_code, unreachable_pub, reason = "it is a program")]
#[path = "../../examples/order_book.rs"]
mod order_book;

#[allow(dead_code, unreachable_pub, reason = "it is a program")]
#[path = "../../examples/requests.rs"]
mod requests;

#[allow(dead_code, unreachable_pub, reason = "it is a program")]
#[path = "../../examples/subscriptions.rs"]
mod subscriptions;

use order_book::{Book, Price, Prices};
use requests::{Fate, Requests};
use subscriptions::Subscriptions;

/// A glob import hides no crate: not `tokio` from its macros, nor `core`, `http` or `smol`.
#[tokio::test]
async fn a_glob_import_hides_no_crate() {
    let feed = rt::tokio::feed("ws://feed.example/").config(Config::builder()).handler(PassThrough).spawn();
    let handle: FeedHandle = feed.unwrap().handle();
    let stopped = handle.wait_for(|phase| phase == Phase::Stopped);
    tokio::time::timeout(core::time::Duration::from_secs(10), stopped).await.unwrap();
    let _: http::HeaderName = ::http::header::ORIGIN;
    let _: bytes::Bytes = Message::from("text").into_payload();
    smol::future::ready(()).await;
}

/// Acknowledges three channels, the third late. A snapshot follows each acknowledgement, and has the price 0.
fn exchange(number: usize, peer: &mut Peer) -> io::Result<()> {
    let price = |kind: &str, symbol: &str, seq: u64, price: u64| {
        format!(r#"{{"type":"{kind}","symbol":"{symbol}","seq":{seq},"price":{price}}}"#)
    };
    peer.upgrade()?;
    peer.read_frames(3)?;
    for (seq, symbol) in [(1, "a"), (2, "b"), (3, "c")] {
        if symbol == "c" {
            peer.serve_for(ms(300))?;
        }
        peer.text(r#"{"type":"subscribed","seq":1}"#)?;
        peer.text(&price("snapshot", symbol, 0, 0))?;
        peer.text(&price("trade", symbol, seq, 10 + seq))?;
    }
    if number == 1 {
        peer.text(&price("snapshot", "delisted", 0, 0))?;
        return peer.reset();
    }
    peer.text(&price("trade", "a", 4, 99))?;
    peer.serve()
}

/// B5, D2: starting over at `Live` would lose the snapshots that arrive before it.
#[tokio::test]
async fn the_order_book_starts_over_without_losing_a_snapshot() {
    let server = Server::start(exchange);
    let channels = ["a", "b", "c"].map(str::to_owned).to_vec();
    let mut feed = rt::tokio::feed(server.url()).handler(Prices(channels)).config(quick()).spawn().unwrap();
    let mut book = Book::default();
    let mut connections = 0;
    while book.prices.get("a") != Some(&99.0) {
        let delivery = within(feed.recv()).await.unwrap().unwrap();
        match &delivery {
            Delivery::Item(Price(symbol, price)) if *price > 0.0 => {
                assert!(book.prices.contains_key(symbol), "an update of {symbol} without its snapshot");
            }
            Delivery::Opened { .. } => connections += 1,
            Delivery::Live { .. }
            | Delivery::Item(_)
            | Delivery::Interrupted { .. }
            | Delivery::Dropped { .. } => {}
        }
        book.apply(delivery);
    }
    let prices = [("a", 99.0), ("b", 12.0), ("c", 13.0)].map(|(symbol, price)| (symbol.to_owned(), price));
    assert_eq!((book.prices, book.complete, connections), (BTreeMap::from(prices), true, 2));
}

/// The texts that a connection has sent.
fn sent(feed: &mut Harness<impl FrameHandler>) -> Vec<String> {
    let text = |message: Message| message.as_text().unwrap_or_default().to_owned();
    feed.sent().into_iter().map(text).collect()
}

#[test]
fn subscriptions_outlive_their_connection() {
    let line = str::to_owned;
    let mut feed = Harness::new(Subscriptions::default());
    feed.command(line("+early")).connect();
    assert_eq!(sent(&mut feed), ["+early"]);
    feed.command(line("+trades")).command(line("+trades")).command(line("+quotes")).command(line("-early"));
    assert_eq!(sent(&mut feed), ["+trades", "+quotes", "-early"]);
    feed.disconnect().command(line("-quotes")).connect();
    assert_eq!(sent(&mut feed), ["+trades"]);
}

#[test]
fn every_request_has_an_answer_or_a_fate() {
    let mut feed = Harness::new(Requests::default());
    let ask = |feed: &mut Harness<Requests>| {
        let (reply, answer) = tokio::sync::oneshot::channel();
        feed.command(("time".to_owned(), reply));
        answer
    };
    let early = ask(&mut feed);
    feed.connect();
    let [answered, late, lost] = [(); 3].map(|()| ask(&mut feed));
    assert_eq!(sent(&mut feed).len(), 3);
    feed.message(r#"{"id":2,"result":7}"#).message(r#"{"id":2}"#).message(r#"{"tick":1}"#);
    assert_eq!(feed.items().len(), 2, "an answer twice, and what is none");
    feed.advance(core::time::Duration::from_secs(1));
    let last = ask(&mut feed);
    feed.advance(core::time::Duration::from_secs(1)).disconnect();
    let fates = [early, answered, late, lost, last].map(|answer| answer.blocking_recv().unwrap());
    let expected = [
        Err(Fate::NotSent),
        Ok(serde_json::json!({"id": 2, "result": 7})),
        Err(Fate::TimedOut),
        Err(Fate::TimedOut),
        Err(Fate::Unknown),
    ];
    assert_eq!(fates, expected);
}
