//! Many runs, each drawn from its seed: options, faults, server, consumer.

mod continuity;
mod market;
mod subscriber;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use tidegate_driver::core::{Jitter, Overflow, Timestamp};

use crate::check::{BootstrapRule, Emission};
use crate::fault::{FaultKind, Faults};
use crate::pace::Pace;
use crate::report::Report;
use crate::settings::{Backoff, Settings};
use crate::simulation::Simulation;
use crate::world::Network;
use continuity::Continuity;
use market::Market;
use subscriber::{MAX_EMIT, Subscriber};

/// What a run asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Faults to the end: no rule is ever broken.
    Safety,
    /// The faults end: the feed is Live within the bound, and stays so. Faults that always heal hide a livelock.
    Liveness,
}

/// Runs what `seed` gives.
pub fn run(seed: u64, mode: Mode, trace: bool) -> Report {
    run_without(seed, mode, &[], trace)
}

/// The kinds of faults that a failing seed can do without, as far as leaving them out one by one can tell.
#[must_use]
pub fn shrink(seed: u64, mode: Mode) -> Vec<FaultKind> {
    let mut without = Vec::new();
    for kind in FaultKind::ALL {
        without.push(kind);
        if run_without(seed, mode, &without, false).violation.is_none() {
            without.pop();
        }
    }
    without
}

/// Runs what `seed` gives, but for these kinds of faults.
pub fn run_without(seed: u64, mode: Mode, without: &[FaultKind], trace: bool) -> Report {
    // Another stream than the run's own, which is drawn from the same seed.
    let mut rng = Rng::with_seed(seed ^ 0x7469_6465_6761_7465);
    // Heavy items fill what lies between task and consumer long before they are many.
    let weight = if rng.bool() { 100 } else { 300_000 };
    let settings = draw_settings(&mut rng, mode, weight);
    let subscriptions = rng.u32(0..4);
    let acks = rng.bool();
    let continuity = Arc::new(Mutex::new(Continuity::new(settings.overflow)));
    let lock = "no code of the feed runs under the lock";
    let judged = continuity.clone();
    let subscriber = Subscriber::new(subscriptions, acks, continuity, weight);
    let every = Duration::from_millis(rng.u64(20..2_000));
    let run = Duration::from_secs(rng.u64(60..1_200));
    let emission = Emission { items: MAX_EMIT, weight };
    let simulation = Simulation::builder()
        .seed(seed)
        .settings(settings)
        .handler(|| subscriber)
        .on_delivery(move |delivery, _| judged.lock().expect(lock).delivered(delivery))
        .server(Market::new(every, Timestamp::ZERO.saturating_add(run), rng.fork()))
        .faults(without.iter().fold(draw_faults(&mut rng), |faults, kind| faults.weight(*kind, 0)))
        .network(draw_network(&mut rng))
        .pace(draw_pace(&mut rng))
        .inline(rng.u32(0..3) == 0)
        .send_every(Duration::from_millis(rng.u64(50..20_000)))
        .trace(trace)
        .with_rules(BootstrapRule { frames: subscriptions, acks }, emission);
    let early = run.mul_f64(rng.f64());
    match mode {
        Mode::Liveness => simulation.run_for(run).heal_after(run).run(),
        Mode::Safety => match rng.u32(0..6) {
            0 => simulation.run_for(run).shutdown_after(early).run(),
            1 => simulation.run_for(run).drop_after(early).run(),
            _ => simulation.run_for(run).run(),
        },
    }
}

fn millis(rng: &mut Rng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(rng.u64(range))
}

fn draw_settings(rng: &mut Rng, mode: Mode, weight: u64) -> Settings {
    let live = mode == Mode::Liveness;
    let idle_timeout = (live || rng.bool()).then(|| millis(rng, 5_000..30_000));
    let ping = rng.bool().then(|| millis(rng, 1_000..4_999));
    let base = millis(rng, 1..3_000);
    let jitter = [Jitter::None, Jitter::Full, Jitter::Equal][rng.usize(0..3)];
    let exponential = Backoff::Exponential { base, cap: base * rng.u32(1..40), jitter };
    let max_demand = rng.u32(1..120);
    let overflows =
        [Overflow::Pause, Overflow::Pause, Overflow::DropOldest, Overflow::DropNewest, Overflow::Disconnect];
    Settings {
        connect_timeout: millis(rng, 3_000..15_000),
        bootstrap_timeout: millis(rng, 3_000..15_000),
        close_timeout: millis(rng, 100..3_000),
        stable_after: millis(rng, 1..20_000),
        max_retry_after: millis(rng, 1_000..60_000),
        idle_timeout,
        ping_interval: ping,
        pong_timeout: millis(rng, 2_500..10_000),
        stale_after: rng.bool().then(|| millis(rng, 8_000..40_000)),
        max_pause: rng.bool().then(|| millis(rng, 1_000..60_000)),
        // Room for what one message makes: less would end each connection under `Disconnect`.
        buffer: rng.usize(MAX_EMIT as usize..200),
        buffer_bytes: rng.usize(5..200) * weight as usize,
        send_buffer: rng.usize(1..20),
        overflow: overflows[rng.usize(0..overflows.len())],
        backoff: if rng.bool() { Backoff::Fixed(base) } else { exponential },
        max_retries: if live || rng.bool() { None } else { Some(rng.u32(0..30)) },
        min_demand: rng.u32(0..max_demand),
        max_demand,
    }
}

/// Each run leaves some kinds out: rare chains come about where the frequent faults do not cut them short.
fn draw_faults(rng: &mut Rng) -> Faults {
    let faults =
        Faults::all().attempt_rate(rng.f64() * 0.8).every(Duration::from_secs_f64(1.0 + rng.f64() * 60.0));
    FaultKind::ALL.into_iter().fold(faults, |faults, kind| faults.weight(kind, rng.u32(0..4)))
}

fn draw_network(rng: &mut Rng) -> Network {
    if rng.u32(0..5) == 0 {
        return Network::default();
    }
    Network { latency: millis(rng, 0..200), jitter: millis(rng, 0..150) }
}

fn draw_pace(rng: &mut Rng) -> Pace {
    match rng.u32(0..5) {
        0 => Pace::Slow(millis(rng, 1..2_000)),
        1 => Pace::Bursty { items: rng.u64(1..100), rest: millis(rng, 100..20_000) },
        2 => Pace::Stopping(millis(rng, 1_000..60_000)),
        _ => Pace::Prompt,
    }
}
