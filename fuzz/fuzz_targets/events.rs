//! Any sequence of events, at any time: the rules hold after every step.

#![no_main]

use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use tidegate_core::{Config, ConfigBuilder, Jitter, Overflow, RetryPolicy};
use tidegate_rules::{Numbers, Op, Run, Setup, Sort, Who};

/// A configuration that is always valid, with bounds and clocks small enough to be met.
#[derive(Arbitrary, Debug)]
struct Input {
    seed: u64,
    buffer: u8,
    buffer_bytes: u16,
    overflow: u32,
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
    exponential: Option<(u8, u8, u32)>,
    handler: Numbers,
}

/// One of `all`, by a number as it is derived for enums.
fn pick<T: Copy>(all: &[T], number: u32) -> T {
    all[((u64::from(number) * all.len() as u64) >> 32) as usize]
}

/// An operation; more often than not one of a calm world, so that feeds get Live, and stay so for a while.
#[derive(Debug)]
struct Step(Op);

impl<'a> Arbitrary<'a> for Step {
    fn arbitrary(input: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        Ok(Self(match input.int_in_range(0..=7)? {
            0..=2 => Op::Natural,
            3 | 4 => Op::Frame(Who::Current, Sort::Data(input.arbitrary()?)),
            _ => input.arbitrary()?,
        }))
    }
}

fuzz_target!(|input: (Input, Vec<Step>)| {
    let (input, steps) = input;
    let mut run = Run::new(setup(input));
    if let Err(broken) = run.all(steps.iter().map(|Step(op)| op)) {
        panic!("{broken}\n{}", run.log());
    }
});

/// One millisecond at least.
fn millis(count: u8) -> Duration {
    Duration::from_millis(u64::from(count) + 1)
}

fn setup(input: Input) -> Setup {
    let config = Config::builder()
        .connect_timeout(millis(input.connect))
        .bootstrap_timeout(millis(input.bootstrap))
        .close_timeout(millis(input.close))
        .stable_after(Duration::from_millis(input.stable_after.into()))
        .buffer(usize::from(input.buffer) + 1)
        .buffer_bytes(usize::from(input.buffer_bytes) + 1)
        .overflow(pick(Overflow::ALL, input.overflow))
        .send_buffer(usize::from(input.send_buffer) + 1)
        .retry(retry(&input));
    // Above any ping interval.
    let idle = input.idle.map(|idle| Duration::from_millis(300) + millis(idle));
    let config = idle.into_iter().fold(config, ConfigBuilder::idle_timeout);
    let config = input.ping.into_iter().fold(config.ping_interval(None), |config, (interval, timeout)| {
        config.ping_interval(millis(interval)).pong_timeout(millis(timeout))
    });
    let config = input.stale.map(millis).into_iter().fold(config, ConfigBuilder::stale_after);
    let config = input.max_pause.map(millis).into_iter().fold(config, ConfigBuilder::max_pause);
    Setup { seed: input.seed, config: config.build().expect("it is valid"), handler: input.handler }
}

fn retry(input: &Input) -> RetryPolicy {
    let policy = match input.exponential {
        Some((base, more, spread)) => RetryPolicy::exponential(millis(base), millis(base) + millis(more))
            .jitter(pick(Jitter::ALL, spread)),
        None => RetryPolicy::fixed(Duration::from_millis(20)),
    };
    input.max_retries.map(u32::from).into_iter().fold(policy.unlimited(), RetryPolicy::max_retries)
}
