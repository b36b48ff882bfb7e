//! What is said on the wire, and the market that makes trades whether anyone listens or not.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

/// The one channel there is.
pub(super) const CHANNEL: &str = "trades";

/// What a client asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request {
    Subscribe,
    Unsubscribe,
    /// Anything else, with the answer it gets.
    Wrong(String),
}

impl Request {
    pub(super) fn parse(text: &str) -> Self {
        let Ok(request) = serde_json::from_str::<Value>(text) else {
            return Self::Wrong("not JSON".to_owned());
        };
        let Some(op) = request.get("op").and_then(Value::as_str) else {
            return Self::Wrong("no op".to_owned());
        };
        let channel = request.get("channel").and_then(Value::as_str);
        match (op, channel) {
            ("subscribe", Some(CHANNEL)) => Self::Subscribe,
            ("unsubscribe", Some(CHANNEL)) => Self::Unsubscribe,
            ("subscribe" | "unsubscribe", Some(other)) => Self::Wrong(format!("unknown channel {other}")),
            ("subscribe" | "unsubscribe", None) => Self::Wrong("no channel".to_owned()),
            (other, _) => Self::Wrong(format!("unknown op {other}")),
        }
    }
}

/// The answer to a subscription: `seq` is the next trade this session gets.
pub(super) fn subscribed(seq: u64) -> String {
    json!({ "type": "subscribed", "channel": CHANNEL, "seq": seq }).to_string()
}

/// The answer to the end of one: `seq` is the first trade this session does not get.
pub(super) fn unsubscribed(seq: u64) -> String {
    json!({ "type": "unsubscribed", "channel": CHANNEL, "seq": seq }).to_string()
}

/// A sign of life: every trade of this session below `seq` has been sent.
pub(super) fn heartbeat(seq: u64) -> String {
    json!({ "type": "heartbeat", "seq": seq }).to_string()
}

/// What a client gets for a request that makes no sense.
pub(super) fn error(message: &str) -> String {
    json!({ "type": "error", "message": message }).to_string()
}

/// The market: trades are numbered from 1, and trade `n` is a function of the seed and `n` alone. So no
/// trade is ever stored for anyone, and a reader however slow costs no memory.
pub(super) struct Market {
    seed: u64,
    rate: u32,
    /// The number of the next trade to be made.
    head: watch::Sender<u64>,
    flooded: AtomicU64,
}

impl Market {
    pub(super) fn new(seed: u64, rate: u32) -> Self {
        Self { seed, rate: rate.max(1), head: watch::Sender::new(1), flooded: AtomicU64::new(0) }
    }

    /// The number of the next trade to be made, and word of every change.
    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }

    /// How many trades have been made.
    pub(super) fn made(&self) -> u64 {
        *self.head.borrow() - 1
    }

    /// Makes trades at the market's rate, for ever.
    pub(super) async fn trade(&self) {
        let start = Instant::now();
        // Finer than 2 ms is all overhead, coarser than 100 ms looks like a stall.
        let period = Duration::from_secs(1) / self.rate;
        let mut ticks =
            tokio::time::interval(period.clamp(Duration::from_millis(2), Duration::from_millis(100)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            let due = start.elapsed().as_micros() * u128::from(self.rate) / 1_000_000;
            self.head.send_if_modified(|head| {
                let next = 1 + due as u64 + self.flooded.load(Ordering::Relaxed);
                let moved = next > *head;
                *head = next.max(*head);
                moved
            });
        }
    }

    /// Makes `trades` trades at once.
    pub(super) fn flood(&self, trades: u64) {
        self.head.send_modify(|head| {
            // Inside the lock of the head: the market's own tick must see both or neither.
            self.flooded.fetch_add(trades, Ordering::Relaxed);
            *head += trades;
        });
    }

    /// Trade `seq`, as it goes over the wire.
    pub(super) fn quote(&self, seq: u64) -> String {
        const SYMBOLS: [(&str, f64); 4] =
            [("BTC-USD", 61_250.0), ("ETH-USD", 3_420.0), ("SOL-USD", 148.0), ("XRP-USD", 0.62)];
        let mut dice = fastrand::Rng::with_seed(self.seed ^ seq.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let (symbol, base) = SYMBOLS[dice.usize(..SYMBOLS.len())];
        // A slow swing with some noise on it: it looks like a price, and needs no history.
        let swing = (seq as f64 / 900.0).sin() * 0.01 + (dice.f64() - 0.5) * 0.001;
        let mut text = String::with_capacity(96);
        write!(
            text,
            r#"{{"type":"trade","seq":{seq},"symbol":"{symbol}","price":{:.4},"size":{:.3}}}"#,
            base * (1.0 + swing),
            0.001 + dice.f64() * 2.0
        )
        .expect("writing to a string cannot fail");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_apart() {
        assert_eq!(Request::parse(r#"{"op":"subscribe","channel":"trades"}"#), Request::Subscribe);
        assert_eq!(Request::parse(r#"{"op":"unsubscribe","channel":"trades"}"#), Request::Unsubscribe);
        for (text, answer) in [
            ("{", "not JSON"),
            ("[]", "no op"),
            (r#"{"op":"subscribe"}"#, "no channel"),
            (r#"{"op":"subscribe","channel":"books"}"#, "unknown channel books"),
            (r#"{"op":"dance","channel":"trades"}"#, "unknown op dance"),
        ] {
            assert_eq!(Request::parse(text), Request::Wrong(answer.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_trade_depends_on_seed_and_number_alone() {
        let (one, same, other) = (Market::new(7, 10), Market::new(7, 99), Market::new(8, 10));
        assert_eq!(one.quote(5), same.quote(5));
        assert_ne!(one.quote(5), one.quote(6));
        assert_ne!(one.quote(5), other.quote(5));
        let trade: Value = serde_json::from_str(&one.quote(5)).unwrap();
        assert_eq!(trade["type"], "trade");
        assert_eq!(trade["seq"], 5);
        assert!(trade["symbol"].is_string() && trade["price"].is_f64() && trade["size"].is_f64());
    }

    #[test]
    fn a_flood_moves_the_head_and_wakes_those_who_wait() {
        let market = Market::new(1, 1);
        let head = market.watch();
        assert_eq!(market.made(), 0);
        market.flood(500);
        assert_eq!(market.made(), 500);
        assert!(head.has_changed().unwrap());
        assert_eq!(*head.borrow(), 501);
    }

    #[tokio::test]
    async fn the_market_keeps_its_rate_and_its_floods() {
        let market = Market::new(1, 1000);
        market.flood(10_000);
        let start = Instant::now();
        let _ = tokio::time::timeout(Duration::from_millis(100), market.trade()).await;
        // A market that forgot its floods would have nothing to say for ten seconds.
        let made = u128::from(market.made());
        assert!((10_080..=10_000 + start.elapsed().as_millis()).contains(&made), "{made}");
    }
}
