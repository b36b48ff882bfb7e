//! Runs drawn from seeds: options, faults, server, consumer.

#[cfg(test)]
mod bugs;
mod draw;
mod market;
mod subscriber;

use std::time::Duration;

use fastrand::Rng;
use tidegate_driver::core::{Config, Continuity, Delivery};

use crate::check::{BootstrapRule, Emission};
use crate::fault::FaultKind;
use crate::report::Report;
use crate::rule::Observed;
use crate::server::{Peer, Server};
use crate::shrink::{Shrunk, shrink};
use crate::simulation::{Simulation, SimulationBuilder};
use draw::Draw;
use market::Market;
use subscriber::{Item, MAX_EMIT, Subscriber};

/// At most so many runs to make a failure smaller.
const SHRINK_RUNS: u32 = 400;

/// Purpose of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Faults until the end: no rule is ever broken.
    Safety,
    /// The faults end: the feed is Live within the bound, and stays Live. Faults that always heal would hide a livelock.
    Liveness,
    /// Many feeds and an outage of all of them: all are Live within the bound, and do not dial at the same time.
    Fleet,
}

impl Mode {
    /// All modes.
    pub const ALL: [Self; 3] = [Self::Safety, Self::Liveness, Self::Fleet];

    /// A short, stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Safety => "safety",
            Self::Liveness => "liveness",
            Self::Fleet => "fleet",
        }
    }
}

/// One run of the campaign: the same values give the same run, byte for byte.
#[derive(Clone, Debug)]
pub struct Case {
    /// Seed for everything random.
    pub seed: u64,
    /// Purpose of the run.
    pub mode: Mode,
    /// Kinds of faults to leave out.
    pub without: Vec<FaultKind>,
    /// Numbers of the only faults to keep; by default all.
    pub only_faults: Option<Vec<u64>>,
    /// Fails the run if a feed dials more often.
    pub max_attempts: Option<u64>,
    /// Whether to record what happens, in [`Report::trace`].
    pub trace: bool,
}

/// Runs the case of `seed`.
pub fn run(seed: u64, mode: Mode, trace: bool) -> Report {
    Case { trace, ..Case::new(seed, mode) }.run()
}

impl Case {
    /// The case of a seed, with all its faults.
    #[must_use]
    pub const fn new(seed: u64, mode: Mode) -> Self {
        Self { seed, mode, without: Vec::new(), only_faults: None, max_attempts: None, trace: false }
    }

    /// Looks for fewer faults that break the same rule as `failed`, the report of this case.
    #[must_use]
    pub fn shrink(&self, failed: Report) -> Option<Shrunk> {
        shrink(failed, SHRINK_RUNS, |numbers| {
            Self { only_faults: Some(numbers.to_vec()), trace: false, ..self.clone() }.run()
        })
    }

    /// Runs it.
    pub fn run(&self) -> Report {
        self.simulation().run()
    }

    fn simulation(&self) -> SimulationBuilder<Subscriber> {
        // Other numbers than those of the run, which has the same seed.
        let mut rng = Rng::with_seed(self.seed ^ 0x7469_6465_6761_7465);
        let mut draw = Draw::new(&mut rng, self.mode);
        let faults = self.without.iter().fold(draw.faults(), |faults, kind| faults.weight(*kind, 0));
        let mut simulation =
            self.feeds_and_server(&mut draw).seed(self.seed).faults(faults).trace(self.trace);
        if let Some(numbers) = &self.only_faults {
            simulation = simulation.only_faults(numbers.iter().copied());
        }
        if let Some(attempts) = self.max_attempts {
            simulation = simulation.max_attempts(attempts);
        }
        draw.schedule(simulation)
    }

    fn feeds_and_server(&self, draw: &mut Draw<'_>) -> SimulationBuilder<Subscriber> {
        let config = draw.config();
        let (weight, overflow) = (draw.weight, config.overflow());
        let feeds = draw.feeds();
        let subscriptions = draw.rng.u32(0..4);
        let acks = draw.rng.bool();
        let every = draw.rhythm();
        let simulation = Simulation::builder()
            .feeds(feeds)
            .config(config)
            .handlers(move |_| Subscriber::new(subscriptions, acks, weight))
            .judges(move |_| {
                let mut continuity = Continuity::numbered_by_handler(overflow, 0);
                Box::new(move |observed, _| match observed {
                    Observed::Delivery(delivery) => judge(&mut continuity, delivery),
                    Observed::Opened { .. } | Observed::Message { .. } | Observed::Live { .. } => Ok(()),
                })
            })
            .server(Market::new(every, draw.rng.fork()))
            .network(draw.network())
            .pace(draw.pace())
            .inline(draw.rng.u32(0..3) == 0)
            .send_every(Duration::from_millis(draw.rng.u64(50..20_000)))
            .with_rules(BootstrapRule { frames: subscriptions, acks }, Emission { items: MAX_EMIT, weight });
        draw.policies(simulation)
    }
}

/// Each message of the server reaches the handler once and in order (H2), each item the consumer.
fn judge(continuity: &mut Continuity, delivery: &Delivery<Item>) -> Result<(), String> {
    if matches!(delivery, Delivery::Item(item) if !item.in_order) {
        return Err("H2: a message was lost, came twice or out of order".to_owned());
    }
    let checked = continuity.check(delivery, |item| Some(item.number));
    checked.map(drop).map_err(|broken| format!("D2, D4: {broken}"))
}

/// Sends a message a minute.
struct Sleepy;

impl Server for Sleepy {
    fn on_open(&mut self, peer: &mut Peer) {
        peer.tick_every(Duration::from_secs(60));
    }

    fn on_tick(&mut self, peer: &mut Peer) {
        peer.send("still here");
    }
}

/// Measures the simulator itself: one feed, connected for `span` of virtual time, with a ping every 25 s, a message a minute
/// and no faults. All rules are checked as always.
pub fn quiet(span: Duration) -> Report {
    let config =
        Config::builder().ping_interval(Duration::from_secs(25)).idle_timeout(Duration::from_secs(60));
    Simulation::builder().config(config).server(Sleepy).run_for(span).run()
}
