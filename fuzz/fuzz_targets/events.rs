//! Any sequence of events, at any time: the rules hold after every step.

#![no_main]

use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use tidegate_core::{Jitter, Overflow};
use tidegate_rules::{Clocks, Numbers, Op, Retry, Run, Setup, Sort, Who};

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
    Setup {
        seed: input.seed,
        connect_timeout: millis(input.connect),
        bootstrap_timeout: millis(input.bootstrap),
        close_timeout: millis(input.close),
        stable_after: Duration::from_millis(input.stable_after.into()),
        max_retry_after: Duration::from_secs(300),
        clocks: Clocks {
            // Above any ping interval.
            idle_timeout: input.idle.map(|idle| Duration::from_millis(300) + millis(idle)),
            ping_interval: input.ping.map(|(interval, _)| millis(interval)),
            pong_timeout: input.ping.map(|(_, timeout)| millis(timeout)),
            stale_after: input.stale.map(millis),
            max_pause: input.max_pause.map(millis),
        },
        buffer: usize::from(input.buffer) + 1,
        buffer_bytes: usize::from(input.buffer_bytes) + 1,
        overflow: pick(Overflow::ALL, input.overflow),
        send_buffer: usize::from(input.send_buffer) + 1,
        retry: retry(&input),
        any_http_error: false,
        handler: input.handler,
    }
}

fn retry(input: &Input) -> Retry {
    let max = input.max_retries.map(u32::from);
    let Some((base, more, spread)) = input.exponential else {
        return Retry::fixed(Duration::from_millis(20), max);
    };
    let jitter = pick(Jitter::ALL, spread);
    Retry { base: millis(base), exponential: Some((millis(base) + millis(more), jitter)), max }
}
