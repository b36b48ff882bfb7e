//! Any configuration: it is refused with an error that names the option, or it is taken and the rules hold with it.

#![no_main]

use std::time::Duration;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use tidegate_core::{Classification, Config, ConfigBuilder, Jitter, Overflow, RetryPolicy};
use tidegate_rules::{Numbers, Op, Run, Script, Setup, Sort, Then, Who, Why};

/// What an error may begin with.
const OPTIONS: [&str; 16] = [
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
    "max_demand",
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
    retry: Retries,
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
struct Retries {
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
    let handler = Numbers { bootstrap: 2, refuses: true, wakes: Some(3), ..Numbers::default() };
    let mut run = Run::new(Setup { seed: options.seed, config, handler });
    if let Err(broken) = run.all(&script()) {
        panic!("{broken}\n{}", run.log());
    }
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
    let config = Config::builder()
        .connect_timeout(span(options.connect))
        .bootstrap_timeout(span(options.bootstrap))
        .close_timeout(span(options.close))
        .stable_after(span(options.stable_after))
        .max_retry_after(span(options.max_retry_after))
        .buffer(size(options.buffer))
        .buffer_bytes(size(options.buffer_bytes))
        .overflow(pick(Overflow::ALL, options.overflow))
        .send_buffer(size(options.send_buffer))
        .min_demand(options.demand.0)
        .max_demand(options.demand.1)
        .telemetry_id(options.telemetry_id.as_str())
        .retry(retry(options.retry))
        .classification(match options.any_http_error {
            true => Classification::AnyHttpError,
            false => Classification::Standard,
        });
    let config = options.idle.map(span).into_iter().fold(config, ConfigBuilder::idle_timeout);
    let config = config.ping_interval(options.ping.map(span));
    let config = options.pong.map(span).into_iter().fold(config, ConfigBuilder::pong_timeout);
    let config = options.stale.map(span).into_iter().fold(config, ConfigBuilder::stale_after);
    options.max_pause.map(span).into_iter().fold(config, ConfigBuilder::max_pause)
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

/// Two lives of a connection and what may come between them.
fn script() -> Vec<Op> {
    let data = |emit, then| Op::Frame(Who::Current, Sort::Data(Script { emit, weight: 9, then }));
    let mut ops = vec![Op::Start, Op::TickTooEarly, Op::Connected(Who::Current), data(1, Then::Nothing)];
    ops.extend([Op::Flushed(Who::Current), Op::Natural, Op::Send { taken: false }, Op::Request(3)]);
    ops.extend((0..6).map(|emit| data(emit, Then::Reply)));
    ops.extend([Op::TickTooEarly, Op::TickAtDeadline(0), Op::Frame(Who::Current, Sort::Answer)]);
    ops.extend([data(7, Then::Wake), Op::Take(4), Op::Advance(200), Op::TickAtDeadline(1), Op::RequestAll]);
    ops.extend([
        Op::Take(255),
        data(7, Then::Reconnect),
        Op::Send { taken: true },
        Op::Lost(Who::Current, Why::Reset),
    ]);
    let busy = Why::Rejected { status: 503, retry_after: Some(u64::MAX) };
    ops.extend([Op::TickTooEarly, Op::TickAtDeadline(0), Op::ConnectFailed(Who::Current, busy)]);
    ops.extend(
        (0..12).flat_map(|_| [Op::Natural, data(2, Then::Nothing), Op::TickAtDeadline(0), Op::Leap(1 << 50)]),
    );
    // Lost with a frame accepted and not yet taken (O1).
    let lost = || [Op::Natural, Op::Send { taken: false }, Op::Lost(Who::Current, Why::Reset)];
    ops.extend((0..8).flat_map(|_| lost()));
    ops.extend([Op::Shutdown, Op::TickAtDeadline(0), Op::Natural, Op::Start, Op::Tick]);
    ops
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

fn pick<T: Copy>(all: &[T], number: u8) -> T {
    all[usize::from(number) % all.len()]
}

fn retry(given: Retries) -> RetryPolicy {
    let base = span(given.base);
    let policy = match given.cap {
        Some(cap) => RetryPolicy::exponential(base, span(cap)).jitter(pick(Jitter::ALL, given.jitter)),
        None => RetryPolicy::fixed(base),
    };
    given.max.into_iter().fold(policy.unlimited(), RetryPolicy::max_retries)
}
