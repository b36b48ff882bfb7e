//! The server of the campaign: acknowledges subscriptions, sends numbered messages, pings.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use tidegate_driver::core::{Message, Timestamp};

use crate::server::{Peer, Server};

pub(super) struct Market {
    every: Duration,
    rng: Rng,
    /// Until then it says now and then what the handler cannot stand.
    trouble_until: Timestamp,
    next: BTreeMap<u64, u64>,
}

impl Market {
    pub(super) const fn new(every: Duration, trouble_until: Timestamp, rng: Rng) -> Self {
        Self { every, rng, trouble_until, next: BTreeMap::new() }
    }
}

impl Server for Market {
    fn on_open(&mut self, peer: &mut Peer) {
        peer.tick_every(self.every);
    }

    fn on_message(&mut self, peer: &mut Peer, message: Message) {
        if let Some(("sub", number)) = message.as_text().and_then(|text| text.split_once(' ')) {
            peer.send(format!("ack {number}"));
        }
    }

    fn on_tick(&mut self, peer: &mut Peer) {
        let next = self.next.entry(peer.connection()).or_default();
        peer.send(format!("data {next}"));
        *next += 1;
        if self.rng.u32(0..10) == 0 {
            peer.ping();
        }
        if peer.now() < self.trouble_until {
            match self.rng.u32(0..600) {
                0 => peer.send("fault"),
                1 => peer.send("moved"),
                _ => {}
            }
        }
    }
}
