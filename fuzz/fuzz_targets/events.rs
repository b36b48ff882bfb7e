//! Any sequence of events, at any time: the rules hold after every step (P1, P2, C1, C2, D1-D4, S2, T2, O1).

#![no_main]

use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use tidegate_core::{Config, Jitter, Overflow, RetryPolicy};
use tidegate_fuzz::rules::Facts;
use tidegate_fuzz::run::{Call, Run, Sort, Who};
use tidegate_fuzz::scripted::Scripted;

/// A configuration that is always valid, with bounds and clocks small enough to be met.
#[derive(Arbitrary, Debug)]
struct Setup {
    seed: u64,
    buffer: u8,
    buffer_bytes: u16,
    overflow: Strategy,
    send_buffer: u8,
    connect: u8,
    bootstrap: u8,
    close: u8,
    stable_after: u8,
    idle: Option<u8>,
    ping: Option<(u8, u8)>,
    stale: Option<u8>,
    max_pause: Option<u8>,
    max_retries: Option<u8>,
    exponential: Option<(u8, u8, Spread)>,
    handler: Scripted,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Strategy {
    Pause,
    DropOldest,
    DropNewest,
    Disconnect,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Spread {
    None,
    Full,
    Equal,
}

/// A call; more often than not one that a calm world would make, so that feeds get Live, and stay so for a while.
#[derive(Debug)]
struct Step(Call);

impl<'a> Arbitrary<'a> for Step {
    fn arbitrary(input: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        Ok(Self(match input.int_in_range(0..=7)? {
            0..=2 => Call::Natural,
            3 | 4 => Call::Frame(Who::Current, Sort::Data(input.arbitrary()?)),
            _ => input.arbitrary()?,
        }))
    }
}

fuzz_target!(|input: (Setup, Vec<Step>)| {
    let (setup, steps) = input;
    let (config, facts) = configured(&setup);
    Run::new(config, facts, setup.handler, setup.seed).all(steps.iter().map(|Step(call)| call));
});

/// One millisecond at least.
fn millis(count: u8) -> Duration {
    Duration::from_millis(u64::from(count) + 1)
}

fn configured(setup: &Setup) -> (Config, Facts) {
    let facts = Facts {
        items: usize::from(setup.buffer) + 1,
        bytes: usize::from(setup.buffer_bytes) + 1,
        overflow: match setup.overflow {
            Strategy::Pause => Overflow::Pause,
            Strategy::DropOldest => Overflow::DropOldest,
            Strategy::DropNewest => Overflow::DropNewest,
            Strategy::Disconnect => Overflow::Disconnect,
        },
        send_buffer: usize::from(setup.send_buffer) + 1,
        watched: setup.idle.is_some() || setup.ping.is_some() || setup.stale.is_some(),
        max_pause: setup.max_pause.is_some(),
        max_retries: setup.max_retries.map(u32::from),
    };
    let mut builder = Config::builder()
        .connect_timeout(millis(setup.connect))
        .bootstrap_timeout(millis(setup.bootstrap))
        .close_timeout(millis(setup.close))
        .stable_after(Duration::from_millis(setup.stable_after.into()))
        .buffer(facts.items)
        .buffer_bytes(facts.bytes)
        .overflow(facts.overflow)
        .send_buffer(facts.send_buffer)
        .retry(policy(setup));
    if let Some(idle) = setup.idle {
        // Above any ping interval.
        builder = builder.idle_timeout(Duration::from_millis(300) + millis(idle));
    }
    if let Some((interval, timeout)) = setup.ping {
        builder = builder.ping_interval(millis(interval)).pong_timeout(millis(timeout));
    }
    if let Some(stale) = setup.stale {
        builder = builder.stale_after(millis(stale));
    }
    if let Some(pause) = setup.max_pause {
        builder = builder.max_pause(millis(pause));
    }
    (builder.build().expect("only valid configurations are made"), facts)
}

fn policy(setup: &Setup) -> RetryPolicy {
    let policy = match setup.exponential {
        None => RetryPolicy::fixed(Duration::from_millis(20)),
        Some((base, more, spread)) => RetryPolicy::exponential(millis(base), millis(base) + millis(more))
            .jitter(match spread {
                Spread::None => Jitter::None,
                Spread::Full => Jitter::Full,
                Spread::Equal => Jitter::Equal,
            }),
    };
    match setup.max_retries {
        Some(max) => policy.max_retries(max.into()),
        None => policy.unlimited(),
    }
}
