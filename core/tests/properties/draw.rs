//! What is drawn: configurations, handlers, and what happens to a feed.

use std::ops::Range;
use std::time::Duration;

use proptest::prelude::*;
use proptest::{bool::weighted, option, sample::select};
use tidegate_core::{Classification, Config, ConfigBuilder, Jitter, Overflow, RetryPolicy};
use tidegate_rules::{Ask, Numbers, Op, Script, Setup, Sort, Then, Who, Why};

/// Milliseconds, few enough that every clock runs out in some case.
fn spans(millis: Range<u64>) -> impl Strategy<Value = Duration> {
    millis.prop_map(Duration::from_millis)
}

pub(crate) fn setups() -> impl Strategy<Value = Setup> {
    let overflow = prop_oneof![
        1 => Just(Overflow::Pause),
        2 => select(Overflow::ALL),
    ];
    let bounds = (1..=6_usize, 1..=160_usize, overflow, 1..=3_usize);
    let times = (spans(1..50), spans(1..50), spans(1..20), spans(0..50), spans(0..60));
    let classifications = weighted(0.1).prop_map(|any| match any {
        true => Classification::AnyHttpError,
        false => Classification::Standard,
    });
    (any::<u64>(), times, clocks(), bounds, retries(), classifications, handlers()).prop_map(
        |(seed, times, config, bounds, retry, classification, handler)| {
            let config = config
                .connect_timeout(times.0)
                .bootstrap_timeout(times.1)
                .close_timeout(times.2)
                .stable_after(times.3)
                .max_retry_after(times.4)
                .buffer(bounds.0)
                .buffer_bytes(bounds.1)
                .overflow(bounds.2)
                .send_buffer(bounds.3)
                .retry(retry)
                .classification(classification);
            Setup { seed, config: config.build().expect("it is valid"), handler }
        },
    )
}

fn clocks() -> impl Strategy<Value = ConfigBuilder> {
    let maybe = || option::of(spans(5..60));
    let ping = option::of((spans(1..40), spans(1..30)));
    (maybe(), ping, maybe(), maybe()).prop_map(|(idle, ping, stale, pause)| {
        let below_idle = |interval: Duration| match idle {
            Some(idle) => interval.min(idle - Duration::from_millis(1)),
            None => interval,
        };
        let config =
            ping.into_iter().fold(Config::builder().ping_interval(None), |config, (interval, timeout)| {
                config.ping_interval(below_idle(interval)).pong_timeout(timeout)
            });
        let config = idle.into_iter().fold(config, ConfigBuilder::idle_timeout);
        let config = stale.into_iter().fold(config, ConfigBuilder::stale_after);
        pause.into_iter().fold(config, ConfigBuilder::max_pause)
    })
}

fn retries() -> impl Strategy<Value = RetryPolicy> {
    let max = prop_oneof![2 => Just(None), 1 => (0..5_u32).prop_map(Some)];
    let policies = (spans(1..20), option::of((spans(0..100), select(Jitter::ALL))));
    let policies = policies.prop_map(|(base, doubles)| match doubles {
        Some((more, jitter)) => RetryPolicy::exponential(base, base + more).jitter(jitter),
        None => RetryPolicy::fixed(base),
    });
    (policies, max)
        .prop_map(|(policy, max)| max.into_iter().fold(policy.unlimited(), RetryPolicy::max_retries))
}

fn handlers() -> impl Strategy<Value = Numbers> {
    let wakes = prop_oneof![Just(None), Just(Some(7))];
    (0..3_u8, any::<bool>(), weighted(0.1), wakes).prop_map(|(bootstrap, declares, refuses, wakes)| Numbers {
        bootstrap,
        declares,
        refuses,
        wakes,
        ..Numbers::default()
    })
}

fn scripts() -> impl Strategy<Value = Script> {
    let then = prop_oneof![
        30 => Just(Then::Nothing),
        6 => Just(Then::Reply),
        1 => Just(Then::Flood),
        5 => Just(Then::Wake),
        1 => Just(Then::WakeNow),
        2 => Just(Then::Cancel),
        12 => Just(Then::Ready),
        2 => Just(Then::Reconnect),
        2 => Just(Then::Fault),
        1 => Just(Then::Fatal),
    ];
    (0..=3_u8, 0..=20_u16, then).prop_map(|(emit, weight, then)| Script { emit, weight, then })
}

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![12 => Just(Who::Current), 1 => Just(Who::Earlier), 1 => Just(Who::Later)]
}

fn frames() -> impl Strategy<Value = Sort> {
    let data = (scripts(), weighted(0.05)).prop_map(|(script, rude)| match rude {
        true => Sort::Rude(script),
        false => Sort::Data(script),
    });
    prop_oneof![
        12 => data,
        1 => Just(Sort::Ping),
        3 => weighted(0.8).prop_map(|answers| if answers { Sort::Answer } else { Sort::Pong([9; 8]) }),
        1 => Just(Sort::Close(None)),
    ]
}

fn refusals() -> impl Strategy<Value = Why> {
    prop_oneof![
        1 => Just(Why::Rejected { status: 404, retry_after: None }),
        2 => Just(Why::Rejected { status: 503, retry_after: Some(30) }),
        5 => Just(Why::Reset),
    ]
}

/// The first with a chance of `chance`, a tick otherwise.
fn seldom(op: Op, chance: f64) -> impl Strategy<Value = Op> {
    weighted(chance).prop_map(move |comes| if comes { op.clone() } else { Op::Tick })
}

const MILLI: u32 = 1_000_000;

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        20 => Just(Op::Natural),
        1 => Just(Op::Start),
        4 => who().prop_map(Op::Connected),
        2 => (who(), refusals()).prop_map(|(who, why)| Op::ConnectFailed(who, why)),
        24 => (who(), frames()).prop_map(|(who, frame)| Op::Frame(who, frame)),
        3 => scripts().prop_map(Op::Command),
        3 => select(vec![Ask::Reconnect, Ask::RetryNow, Ask::Probe]).prop_map(Op::Ask),
        2 => (who(), 0..10_u32).prop_map(|(who, ago)| Op::Heard(who, ago * MILLI)),
        1 => who().prop_map(|who| Op::ProtocolError(who, 1002)),
        6 => who().prop_map(Op::Flushed),
        3 => who().prop_map(|who| Op::Lost(who, Why::Reset)),
        4 => Just(Op::Tick),
        8 => prop_oneof![3 => Just(0), 1 => 0..40_u32].prop_map(|late| Op::TickAtDeadline(late * MILLI)),
        8 => (0..15_u8).prop_map(Op::Advance),
        1 => seldom(Op::Shutdown, 0.3),
        1 => seldom(Op::Panicked, 0.1),
        1 => seldom(Op::RuntimeStopped, 0.1),
        6 => weighted(0.7).prop_map(|taken| Op::Send { taken }),
        6 => (0..6_u8).prop_map(Op::Request),
        8 => (1..5_u8).prop_map(Op::Take),
    ]
}

pub(crate) fn ops() -> impl Strategy<Value = Vec<Op>> {
    proptest::collection::vec(op(), 1..100)
}
