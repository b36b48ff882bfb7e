//! What the campaign draws from a seed.

use std::time::Duration;

use fastrand::Rng;
use tidegate_driver::core::{
    Class, Classification, Config, ConnectionFailure, Failure, FrameHandler, Jitter, Overflow, RetryPolicy,
    RetryState,
};

use super::Mode;
use crate::fault::{FaultKind, Faults};
use crate::pace::Pace;
use crate::simulation::SimulationBuilder;
use crate::world::Network;

pub(super) struct Draw<'a> {
    pub(super) rng: &'a mut Rng,
    mode: Mode,
    /// Of an item, in bytes.
    pub(super) weight: u64,
    run: Duration,
}

impl<'a> Draw<'a> {
    pub(super) fn new(rng: &'a mut Rng, mode: Mode) -> Self {
        // Heavy items fill what lies between task and consumer long before they are many.
        let weight = if rng.bool() { 100 } else { 300_000 };
        let most = if mode == Mode::Fleet { 240 } else { 1_200 };
        let run = Duration::from_secs(rng.u64(60..most));
        Self { rng, mode, weight, run }
    }

    fn millis(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.rng.u64(range))
    }

    pub(super) fn feeds(&mut self) -> usize {
        match self.mode {
            Mode::Safety | Mode::Liveness => 1,
            Mode::Fleet => self.rng.usize(20..60),
        }
    }

    pub(super) fn config(&mut self) -> Config {
        let recovers = self.mode != Mode::Safety;
        let idle_timeout = (recovers || self.rng.bool()).then(|| self.millis(5_000..30_000));
        let ping_interval = self.rng.bool().then(|| self.millis(1_000..4_999));
        let base = self.millis(1..3_000);
        let max_demand = self.rng.u32(1..120);
        let overflow = self.overflow();
        let fewest = if recovers { roomy(overflow) } else { 1 };
        let buffer = if self.rng.bool() { self.rng.usize(1..10) } else { self.rng.usize(1..200) };
        let mut config = Config::builder()
            .connect_timeout(self.millis(3_000..15_000))
            .bootstrap_timeout(self.millis(3_000..15_000))
            .close_timeout(self.millis(100..3_000))
            .stable_after(self.millis(1..20_000))
            .max_retry_after(self.millis(1_000..60_000));
        let pong_timeout = self.millis(2_500..10_000);
        if let Some(idle) = idle_timeout {
            config = config.idle_timeout(idle);
        }
        config = config.ping_interval(ping_interval);
        if ping_interval.is_some() {
            config = config.pong_timeout(pong_timeout);
        }
        if self.rng.bool() {
            config = config.stale_after(self.millis(8_000..40_000));
        }
        if self.rng.bool() {
            config = config.max_pause(self.millis(1_000..60_000));
        }
        config
            .buffer(buffer.max(fewest))
            .buffer_bytes(self.rng.usize(1..200).max(fewest) * self.weight as usize)
            .send_buffer(self.rng.usize(1..20))
            .overflow(overflow)
            .retry(self.retry(base))
            .min_demand(self.rng.u32(0..max_demand))
            .max_demand(max_demand)
            .build()
            .expect("only what is possible is drawn")
    }

    fn overflow(&mut self) -> Overflow {
        // The default, which is the first, twice as often as each of the others.
        Overflow::ALL[self.rng.usize(0..=Overflow::ALL.len()).saturating_sub(1)]
    }

    fn retry(&mut self, base: Duration) -> RetryPolicy {
        let cap = base * self.rng.u32(1..40);
        let jitter = Jitter::ALL[self.rng.usize(0..Jitter::ALL.len())];
        let exponential = RetryPolicy::exponential(base, cap);
        let policy = match self.mode {
            // A fleet is there for its jitter, mostly.
            Mode::Fleet if self.rng.bool() => exponential,
            Mode::Safety | Mode::Liveness | Mode::Fleet => {
                if self.rng.bool() {
                    RetryPolicy::fixed(base)
                } else {
                    exponential.jitter(jitter)
                }
            }
        };
        if self.mode != Mode::Safety || self.rng.bool() {
            policy.unlimited()
        } else {
            policy.max_retries(self.rng.u32(0..30))
        }
    }

    /// Each run leaves some kinds out: rare chains come about where the frequent faults do not cut them short.
    pub(super) fn faults(&mut self) -> Faults {
        let rate = self.rng.f64() * 0.8;
        let mean = 1.0 + self.rng.f64() * 60.0;
        // What ends a run is rare: most of them are to be long.
        let fatal = self.mode == Mode::Safety && self.rng.u32(0..8) == 0;
        let faults = Faults::all().attempt_rate(rate).every(Duration::from_secs_f64(mean));
        let faults = FaultKind::ALL.into_iter().fold(faults, |faults, kind| {
            let weight = self.rng.u32(0..4);
            faults.weight(kind, if !kind.is_fatal() { weight * 3 } else { u32::from(fatal) * weight })
        });
        match self.mode {
            Mode::Safety | Mode::Liveness => faults,
            // Most feeds are to be Live at the outage; and after a jump, all that wait would dial at once.
            Mode::Fleet => faults
                .attempt_rate(rate / 8.0)
                .every(Duration::from_secs_f64(mean * 8.0))
                .weight(FaultKind::ClockJump, 0),
        }
    }

    /// Between messages of the server's.
    pub(super) fn rhythm(&mut self) -> Duration {
        match self.mode {
            Mode::Safety | Mode::Liveness => self.millis(20..2_000),
            Mode::Fleet => self.millis(500..2_500),
        }
    }

    pub(super) fn network(&mut self) -> Network {
        let readiness_delay = Duration::from_micros(if self.rng.bool() { 0 } else { 500 });
        if self.rng.u32(0..5) == 0 {
            return Network { readiness_delay, ..Network::default() };
        }
        let bandwidth = (self.rng.u32(0..3) == 0).then(|| self.rng.u64(4_000..100_000));
        Network { latency: self.millis(0..200), jitter: self.millis(0..150), bandwidth, readiness_delay }
    }

    pub(super) fn pace(&mut self) -> Pace {
        match self.rng.u32(0..5) {
            0 => Pace::Slow(self.millis(1..2_000)),
            1 => Pace::Bursty { items: self.rng.u64(1..100), rest: self.millis(100..20_000) },
            2 => Pace::Stopping(self.millis(1_000..60_000)),
            _ => Pace::Prompt,
        }
    }

    /// Now and then a retry policy or a classification as a user would write it.
    pub(super) fn policies<H: FrameHandler>(
        &mut self,
        simulation: SimulationBuilder<H>,
    ) -> SimulationBuilder<H> {
        let mut simulation = simulation;
        if self.rng.u32(0..6) == 0 {
            let (step, longest) = (self.millis(1..1_000), self.millis(1_000..20_000));
            let policy =
                RetryPolicy::custom(step, move |state, failure| linear(state, failure, step, longest));
            simulation = simulation.longest_delay(longest).change(|config| config.retry(policy.unlimited()));
        }
        // Both stop where the standard one retries, or the other way round.
        match self.rng.u32(0..12) {
            0 if self.mode == Mode::Safety => {
                simulation.change(|config| config.classification(Classification::AnyHttpError))
            }
            1 => simulation.change(|config| config.classify(|_| Class::Retry)),
            // Of what is refused for good.
            2 => simulation.change(|config| config.classification(Classification::Standard.retry_once(401))),
            _ => simulation,
        }
    }

    /// What the run asks, and when.
    pub(super) fn schedule<H: FrameHandler>(
        &mut self,
        simulation: SimulationBuilder<H>,
    ) -> SimulationBuilder<H> {
        let simulation = simulation.run_for(self.run);
        let early = self.run.mul_f64(self.rng.f64());
        match self.mode {
            Mode::Liveness => simulation.heal_after(self.run),
            Mode::Fleet => simulation.outage(self.run, self.millis(0..60_000)).heal_after(self.run),
            Mode::Safety => match self.rng.u32(0..60) {
                0 => simulation.shutdown_after(Duration::ZERO),
                1..10 => simulation.shutdown_after(early),
                10..20 => simulation.drop_after(early),
                20..25 => simulation.outage(early, self.millis(0..60_000)),
                _ => simulation,
            },
        }
    }
}

/// How large the queue must be for a prompt consumer's feed to be Live for certain once all is well: what arrives at once
/// may fill a smaller one, and then under `Disconnect` the connection ends, as was asked for.
fn roomy(overflow: Overflow) -> usize {
    if overflow == Overflow::Disconnect { 150 } else { 1 }
}

/// Longer by `step` each time, and not at all after a close.
fn linear(state: RetryState, failure: &Failure, step: Duration, longest: Duration) -> RetryState {
    let closed = matches!(failure, Failure::Connection(ConnectionFailure::Closed(_)));
    let delay = if closed { Duration::ZERO } else { (state.delay + step).min(longest) };
    RetryState { delay, ..state }
}
