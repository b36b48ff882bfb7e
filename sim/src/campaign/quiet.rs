//! The measure of the simulator's own speed: a feed that is connected, and next to nothing happens.

use std::time::Duration;

use tidegate_driver::core::{Config, Message};

use crate::report::Report;
use crate::server::{Peer, Server};
use crate::simulation::Simulation;

/// Sends a message a minute.
struct Sleepy;

impl Server for Sleepy {
    fn on_open(&mut self, peer: &mut Peer) {
        peer.tick_every(Duration::from_secs(60));
    }

    fn on_message(&mut self, _: &mut Peer, _: Message) {}

    fn on_tick(&mut self, peer: &mut Peer) {
        peer.send("still here");
    }
}

/// One feed, connected for `span` of virtual time, with a ping every 25 s, a message a minute and no faults. All rules
/// are judged as always.
pub fn quiet(span: Duration) -> Report {
    let config =
        Config::builder().ping_interval(Duration::from_secs(25)).idle_timeout(Duration::from_secs(60));
    Simulation::builder().config(config).server(Sleepy).run_for(span).run()
}
