//! Faults drawn by lot. A run that fails names its seed; `TIDEGATE_SEED` runs that one again.

use std::ops::RangeInclusive;
use std::time::Duration;

use fastrand::Rng;
use tidegate::Message;
use tidegate::driver::Source;
use tidegate_tests::fault_proxy::{Direction, End, FaultProxy, Toxic};
use tidegate_tests::prelude::*;

use super::audit::{Followed, bytes_before, follow, numbered};
use super::impatient;

const SEED: &str = "TIDEGATE_SEED";

/// Faults in a run.
const STEPS: usize = 30;

/// What may happen.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Latency,
    Bandwidth,
    Slices,
    ShortStall,
    LongStall,
    Swallowed,
    SwallowedBothWays,
    ResetSoon,
    TornFrame,
    SlowClose,
    Refused,
    Cut,
}

const FAULTS: [Fault; 12] = [
    Fault::Latency,
    Fault::Bandwidth,
    Fault::Slices,
    Fault::ShortStall,
    Fault::LongStall,
    Fault::Swallowed,
    Fault::SwallowedBothWays,
    Fault::ResetSoon,
    Fault::TornFrame,
    Fault::SlowClose,
    Fault::Refused,
    Fault::Cut,
];

pub(super) async fn run<M: Mode>() {
    let seed = std::env::var(SEED).map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    let (server, notices) = (numbered(), Notices::default());
    let mut lot = Lot { rng: Rng::with_seed(seed), proxy: FaultProxy::start(server.address()) };
    let config = impatient().idle_timeout(ms(300)).ping_interval(ms(50)).pong_timeout(ms(300));
    let mut feed = follow::<M>(&lot.proxy, "a", config, &notices);
    feed.recover(5).await;
    for step in 0..STEPS {
        let fault = FAULTS[lot.rng.usize(..FAULTS.len())];
        feed.step(format!("{SEED}={seed}, step {step}: {fault:?}"));
        lot.inject(fault, &mut feed).await;
        lot.proxy.clear();
        // Faults have stopped.
        feed.recover(5).await;
    }
    assert!(feed.connections() > 1);
}

struct Lot {
    rng: Rng,
    proxy: FaultProxy,
}

impl Lot {
    async fn inject<S: Source<Item = Message>>(&mut self, fault: Fault, feed: &mut Followed<S>) {
        let direction = self.direction();
        match fault {
            Fault::Latency => {
                let (delay, jitter) = (self.span(1..=50), self.span(1..=50));
                self.slow_down(direction, Toxic::Latency { delay, jitter }, feed).await;
            }
            Fault::Bandwidth => {
                let bytes_per_second = self.rng.u64(1_000..=20_000);
                self.slow_down(direction, Toxic::Bandwidth { bytes_per_second }, feed).await;
            }
            Fault::Slices => {
                let (size, delay) = (self.rng.usize(1..=5), self.span(0..=1));
                self.slow_down(direction, Toxic::Slicer { size, delay }, feed).await;
            }
            Fault::ShortStall => {
                self.proxy.set(direction, Toxic::Stall);
                let span = self.span(10..=100);
                feed.during(sleep(span)).await;
            }
            Fault::LongStall => {
                self.proxy.set(direction, Toxic::Stall);
                feed.interruption().await;
            }
            Fault::Swallowed => self.swallow(&[direction], feed).await,
            Fault::SwallowedBothWays => {
                self.swallow(&[Direction::Upstream, Direction::Downstream], feed).await;
            }
            Fault::ResetSoon => {
                let after = self.span(0..=100);
                self.proxy.set(direction, Toxic::ResetPeer { after });
                feed.interruption().await;
            }
            Fault::TornFrame => {
                let (bytes, end) = (bytes_before(0) + self.rng.u64(0..=1_000), self.end());
                self.proxy.set(Direction::Downstream, Toxic::LimitData { bytes, end });
                feed.interruption().await;
            }
            Fault::SlowClose => {
                let (delay, end) = (self.span(0..=100), self.end());
                self.proxy.set(direction, Toxic::SlowClose { delay });
                self.proxy.cut(end);
                feed.interruption().await;
            }
            Fault::Refused => {
                let (span, end) = (self.span(10..=100), self.end());
                self.proxy.refuse();
                self.proxy.cut(end);
                feed.interruption().await;
                feed.during(sleep(span)).await;
            }
            Fault::Cut => {
                let end = self.end();
                self.proxy.cut(end);
                feed.interruption().await;
            }
        }
    }

    /// For a while.
    async fn slow_down<S: Source<Item = Message>>(
        &self,
        way: Direction,
        toxic: Toxic,
        feed: &mut Followed<S>,
    ) {
        self.proxy.set(way, toxic);
        feed.during(sleep(ms(100))).await;
    }

    /// Data is lost, as it is not on TCP: what has lost some must end before the rest gets through.
    async fn swallow<S: Source<Item = Message>>(&self, ways: &[Direction], feed: &mut Followed<S>) {
        for direction in ways {
            self.proxy.set(*direction, Toxic::Timeout);
        }
        feed.interruption().await;
        self.proxy.cut(End::Reset);
    }

    fn direction(&mut self) -> Direction {
        if self.rng.bool() { Direction::Upstream } else { Direction::Downstream }
    }

    fn end(&mut self) -> End {
        if self.rng.bool() { End::Close } else { End::Reset }
    }

    fn span(&mut self, millis: RangeInclusive<u64>) -> Duration {
        ms(self.rng.u64(millis))
    }
}
