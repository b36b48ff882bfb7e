//! Any configuration: it is refused with an error that names the option, or it is taken and the rules hold with it.

#![no_main]

use std::time::Duration;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use tidegate_core::{Classification, Config, ConfigBuilder, Jitter, Overflow, RetryPolicy};
use tidegate_fuzz::rules::Facts;
use tidegate_fuzz::run::{Call, Run, Sort, Who, Why};
use tidegate_fuzz::scripted::{Script, Scripted};

/// What an error may begin with.
const OPTIONS: [&str; 15] = [
    "connect_timeout",
    "bootstrap_timeout",
    "close_timeout",
    "idle_timeout",
    "ping_interval",
    "pong_timeout",
    "stale_after",
    "max_pause",
    "buffer",
    "buffer_bytes",
    "send_buffer",
    "min_demand",
    "telemetry_id",
    "retry delay",
    "retry base",
];

#[derive(Arbitrary, Debug)]
struct Options {
    connect: Span,
    bootstrap: Span,
    close: Span,
    stable_after: Span,
    max_retry_after: Span,
    idle: Option<Span>,
    ping: Option<Span>,
    pong: Option<Span>,
    stale: Option<Span>,
    max_pause: Option<Span>,
    buffer: Size,
    buffer_bytes: Size,
    overflow: u8,
    send_buffer: Size,
    demand: (u32, u32),
    telemetry_id: String,
    retry: Retry,
    any_http_error: bool,
    seed: u64,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Span {
    Nanos(u64),
    Millis(u16),
    Seconds(u64),
    Longest,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Size {
    Few(u8),
    Any(usize),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
struct Retry {
    base: Span,
    /// A fixed delay without.
    cap: Option<Span>,
    jitter: u8,
    max: Option<u32>,
}

fuzz_target!(|options: Options| {
    let built = builder(&options).build();
    assert_eq!(built.is_err(), must_be_refused(&options), "{built:?}");
    let config = match built {
        Ok(config) => config,
        Err(error) => {
            let text = error.to_string();
            assert!(text.len() < 200 && OPTIONS.iter().any(|name| text.starts_with(name)), "{text}");
            return;
        }
    };
    demand(&config);
    let handler = Scripted { bootstrap: 2, refuses: true, wakes: Some(3), ..Scripted::default() };
    Run::new(config, facts(&options), handler, options.seed).all(&script());
});

/// D5: what is outstanding never goes above the most.
fn demand(config: &Config) {
    let mut window = config.demand_window();
    let mut outstanding = 0;
    for _ in 0..300 {
        outstanding += window.top_up().unwrap_or(0);
        assert!(outstanding <= config.max_demand().into(), "D5: too much is outstanding");
        assert!(outstanding > config.min_demand().into(), "D5: asked for too late");
        window.taken();
        outstanding -= 1;
    }
}

fn builder(options: &Options) -> ConfigBuilder {
    let mut builder = Config::builder()
        .connect_timeout(span(options.connect))
        .bootstrap_timeout(span(options.bootstrap))
        .close_timeout(span(options.close))
        .stable_after(span(options.stable_after))
        .max_retry_after(span(options.max_retry_after))
        .buffer(size(options.buffer))
        .buffer_bytes(size(options.buffer_bytes))
        .overflow(overflow(options.overflow))
        .send_buffer(size(options.send_buffer))
        .min_demand(options.demand.0)
        .max_demand(options.demand.1)
        .telemetry_id(options.telemetry_id.as_str())
        .retry(policy(options.retry));
    if options.any_http_error {
        builder = builder.classification(Classification::AnyHttpError);
    }
    let spans: [(Option<Span>, fn(ConfigBuilder, Duration) -> ConfigBuilder); 5] = [
        (options.idle, ConfigBuilder::idle_timeout),
        (options.ping, ConfigBuilder::ping_interval),
        (options.pong, ConfigBuilder::pong_timeout),
        (options.stale, ConfigBuilder::stale_after),
        (options.max_pause, ConfigBuilder::max_pause),
    ];
    spans.into_iter().fold(builder, |builder, (given, set)| match given {
        Some(given) => set(builder, span(given)),
        None => builder,
    })
}

fn must_be_refused(options: &Options) -> bool {
    let spans = [options.connect, options.bootstrap, options.close];
    let clocks = [options.idle, options.ping, options.pong, options.stale, options.max_pause];
    let sizes = [options.buffer, options.buffer_bytes, options.send_buffer];
    let (base, cap) = (span(options.retry.base), options.retry.cap.map(span));
    spans.into_iter().chain(clocks.into_iter().flatten()).any(|given| span(given).is_zero())
        || sizes.into_iter().any(|given| size(given) == 0)
        || base.is_zero()
        || cap.is_some_and(|cap| base > cap)
        || options.demand.0 >= options.demand.1
        || options.telemetry_id.is_empty()
        || options.pong.is_some() && options.ping.is_none()
        || matches!((options.ping, options.idle), (Some(ping), Some(idle)) if span(ping) >= span(idle))
}

fn facts(options: &Options) -> Facts {
    Facts {
        items: size(options.buffer),
        bytes: size(options.buffer_bytes),
        overflow: overflow(options.overflow),
        send_buffer: size(options.send_buffer),
        watched: options.idle.is_some() || options.ping.is_some() || options.stale.is_some(),
        max_pause: options.max_pause.is_some(),
        max_retries: options.retry.max,
    }
}

/// Two lives of a connection and what may come between them.
fn script() -> Vec<Call> {
    let data = |emit, then| Call::Frame(Who::Current, Sort::Data(Script { emit, weight: 9, then }));
    let mut calls = vec![Call::Start, Call::TickTooEarly, Call::Connected(Who::Current), data(1, 0)];
    calls.extend([Call::Flushed(Who::Current), Call::Natural, Call::Send { taken: false }, Call::Request(3)]);
    calls.extend((0..6).map(|emit| data(emit, 8)));
    calls.extend([Call::TickTooEarly, Call::TickAtDeadline(0), Call::Frame(Who::Current, Sort::Answer)]);
    calls.extend([data(7, 9), Call::Take(4), Call::Advance(200), Call::TickAtDeadline(1), Call::RequestAll]);
    calls.extend([
        Call::Take(255),
        data(7, 11),
        Call::Send { taken: true },
        Call::Lost(Who::Current, Why::Reset),
    ]);
    let busy = Why::Rejected { status: 503, retry_after: Some(u64::MAX) };
    calls.extend([Call::TickTooEarly, Call::TickAtDeadline(0), Call::ConnectFailed(Who::Current, busy)]);
    calls.extend(
        (0..12).flat_map(|_| [Call::Natural, data(2, 0), Call::TickAtDeadline(0), Call::Leap(1 << 50)]),
    );
    // Lost with a frame accepted and not yet taken (O1).
    let lost = || [Call::Natural, Call::Send { taken: false }, Call::Lost(Who::Current, Why::Reset)];
    calls.extend((0..8).flat_map(|_| lost()));
    calls.extend([Call::Shutdown, Call::TickAtDeadline(0), Call::Natural, Call::Start, Call::Tick]);
    calls
}

const fn span(given: Span) -> Duration {
    match given {
        Span::Nanos(nanos) => Duration::from_nanos(nanos),
        Span::Millis(millis) => Duration::from_millis(millis as u64),
        Span::Seconds(seconds) => Duration::from_secs(seconds),
        Span::Longest => Duration::MAX,
    }
}

const fn size(given: Size) -> usize {
    match given {
        Size::Few(few) => few as usize,
        Size::Any(any) => any,
    }
}

const fn overflow(number: u8) -> Overflow {
    match number % 4 {
        0 => Overflow::Pause,
        1 => Overflow::DropOldest,
        2 => Overflow::DropNewest,
        _ => Overflow::Disconnect,
    }
}

fn policy(retry: Retry) -> RetryPolicy {
    let policy = match retry.cap {
        None => RetryPolicy::fixed(span(retry.base)),
        Some(cap) => RetryPolicy::exponential(span(retry.base), span(cap)),
    };
    let policy = policy.jitter(match retry.jitter % 3 {
        0 => Jitter::None,
        1 => Jitter::Full,
        _ => Jitter::Equal,
    });
    match retry.max {
        Some(max) => policy.max_retries(max),
        None => policy.unlimited(),
    }
}
