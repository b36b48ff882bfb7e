//! The server of the campaign: acknowledges subscriptions, sends numbered messages, pings.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use tidegate_driver::core::Message;

use crate::server::{Peer, Server};

pub(super) struct Market {
    every: Duration,
    rng: Rng,
    /// The number of the next message on a feed's connection.
    next: BTreeMap<(usize, u64), u64>,
}

impl Market {
    pub(super) const fn new(every: Duration, rng: Rng) -> Self {
        Self { every, rng, next: BTreeMap::new() }
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
        let next = self.next.entry((peer.feed(), peer.connection())).or_default();
        peer.send(format!("data {next}"));
        *next += 1;
        if self.rng.u32(0..10) == 0 {
            peer.ping();
        }
    }
}
