//! Retry: what follows a failure, and when (R1-R7).

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Asked, Bench, Puppet, at, broken, delay, id, ms, names, notices, patient, refused};
use tidegate_core::{
    Action, BootstrapFailure, Class, Classification, CloseFrame, Config, ConfigBuilder, ConnectFailure,
    Connected, ConnectionFailure, Event, Failure, Fault, Frame, Jitter, LocalFailure, Notice, Overflow,
    PassThrough, Phase, RetryPolicy, RetryState, StopReason,
};

/// Fails every attempt at once until the feed stops or has waited `retries` times; the delays.
fn delays(bench: &mut Bench<PassThrough>, retries: usize) -> Vec<Duration> {
    bench.start();
    let mut delays = Vec::new();
    while delays.len() < retries {
        let actions = bench.connect_failed(refused());
        if bench.feed.stopped().is_some() {
            break;
        }
        delays.push(delay(&actions));
        bench.expire();
    }
    delays
}

fn delays_of(policy: RetryPolicy, seed: u64, retries: usize) -> Vec<Duration> {
    delays(&mut Bench::seeded(Config::builder().retry(policy), PassThrough, seed), retries)
}

type Ending = (&'static str, ConfigBuilder, fn(&mut Bench<Puppet>));

/// Everything a connection may end by, with the options that make it so.
fn endings() -> Vec<Ending> {
    let plain = patient;
    vec![
        ("tcp", plain(), |bench| _ = bench.connect_failed(refused())),
        ("rejected", plain(), |bench| _ = bench.connect_failed(Failure::rejected(503, None))),
        ("connect_timeout", plain(), |bench| _ = bench.expire()),
        ("bootstrap_fault", plain(), |bench| {
            bench.hand_in(Event::Connected { id: id(1), connected: Connected::default() });
            bench.lost();
        }),
        ("bootstrap_lost", plain(), |bench| {
            bench.connected();
            bench.lost();
        }),
        ("bootstrap_timeout", plain(), |bench| {
            bench.connected();
            bench.expire();
        }),
        ("io", plain(), |bench| {
            up(bench).lost();
        }),
        ("closed", plain(), |bench| {
            up(bench).frame(Frame::Close(None));
            bench.lost();
        }),
        ("idle_timeout", plain().idle_timeout(ms(200)), |bench| {
            up(bench).expire();
        }),
        ("pong_timeout", plain().ping_interval(ms(100)), |bench| {
            up(bench).expire();
            bench.expire();
        }),
        ("stale", plain().stale_after(ms(100)), |bench| {
            up(bench).expire();
            bench.expire();
        }),
        ("fault", plain(), |bench| {
            up(bench).text("fault");
            bench.lost();
        }),
        ("reconnect", plain(), |bench| {
            up(bench).text("reconnect");
            bench.lost();
        }),
        ("overflow", plain().buffer(1).overflow(Overflow::Disconnect), |bench| {
            up(bench).text("item:a");
            bench.text("item:b");
        }),
    ]
}

fn up(bench: &mut Bench<Puppet>) -> &mut Bench<Puppet> {
    bench.connected();
    bench.flushed();
    bench.assert_phase(Phase::Live);
    bench
}

#[test]
fn r1_every_ending_goes_through_classification_to_a_retry() {
    for (kind, config, ending) in endings() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let config = config.classify(move |failure| {
            log.lock().expect("no panic").push(failure.kind());
            Class::Retry
        });
        let mut handler = Puppet::bootstraps(&["subscribe"]);
        handler.refuses = (kind == "bootstrap_fault").then(|| Fault::retryable("no ticket"));
        let mut bench = Bench::new(config, handler);
        bench.start();
        ending(&mut bench);
        assert_eq!(*seen.lock().expect("no panic"), [kind], "classified once");
        bench.assert_phase(Phase::Waiting);
        assert_eq!(bench.feed.stats().retries, 1);
    }
}

#[test]
fn r2_by_default_a_feed_retries_for_ever_from_250_ms_to_30_s_with_full_jitter() {
    let runs: Vec<_> =
        (0..40).map(|seed| delays(&mut Bench::seeded(Config::builder(), PassThrough, seed), 99)).collect();
    for retry in 0..99 {
        let longest = runs.iter().map(|delays| delays[retry]).max();
        let bound = ms(250 << retry.min(7)).min(ms(30_000));
        assert!(longest <= Some(bound) && longest > Some(bound / 2), "{retry}: {longest:?}");
    }
    assert!(runs.iter().flatten().any(|delay| *delay < ms(10)), "full jitter draws from zero");
}

#[test]
fn r2_the_references_five_retries_ten_seconds_apart_then_it_stops_at_once() {
    let mut bench = Bench::plain(Config::reference());
    assert_eq!(delays(&mut bench, 99), [Duration::from_secs(10); 5]);
    assert_eq!(bench.feed.stats().attempts, 6, "one and five retries");
    assert_eq!(bench.feed.stopped(), Some(&StopReason::RetriesExhausted { last: refused() }));
    bench.assert_no_deadline();
}

#[test]
fn r2_no_retries_means_one_attempt() {
    let mut bench = Bench::plain(Config::builder().retry(RetryPolicy::fixed(ms(1)).max_retries(0)));
    assert_eq!(delays(&mut bench, 99), []);
    assert_eq!(bench.feed.stats().attempts, 1);
    bench.assert_phase(Phase::Stopped);
}

#[test]
fn r2_unlimited_retries_never_stop() {
    assert_eq!(delays_of(RetryPolicy::fixed(ms(1)).unlimited(), 0, 1000).len(), 1000);
}

#[test]
fn r2_a_live_connection_that_ends_with_no_retry_left_stops_the_feed() {
    let mut bench = Bench::plain(Config::builder().retry(RetryPolicy::fixed(ms(1)).max_retries(0)));
    bench.connect();
    assert_eq!(names(&bench.lost()), ["status", "disconnected", "stopped"]);
    assert_eq!(bench.feed.stopped(), Some(&StopReason::RetriesExhausted { last: broken() }));
}

#[test]
fn r2_a_custom_policy_sees_state_and_failure_and_decides() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let policy = RetryPolicy::custom(ms(10), move |state, failure| {
        log.lock().expect("no panic").push((state, failure.kind()));
        RetryState { delay: state.delay * 3, ..state }
    });
    assert_eq!(delays_of(policy.max_retries(2), 0, 99), [ms(30), ms(90)]);
    let state = |left, delay| RetryState { max_retries: Some(2), retries_left: Some(left), delay };
    let expected = [(state(1, ms(10)), "tcp"), (state(0, ms(30)), "tcp")];
    assert_eq!(*seen.lock().expect("no panic"), expected, "the retry at hand is already taken off");
}

#[test]
fn r2_a_custom_policy_may_end_the_streak_early() {
    let policy =
        RetryPolicy::custom(ms(10), |state, _| RetryState { retries_left: Some(0), ..state }).unlimited();
    assert_eq!(delays_of(policy, 0, 99), [ms(10)]);
}

#[test]
fn r3_exponential_doubles_up_to_the_cap() {
    let policy = RetryPolicy::exponential(ms(100), ms(1000)).jitter(Jitter::None).max_retries(6);
    assert_eq!(delays_of(policy, 0, 99), [100, 200, 400, 800, 1000, 1000].map(ms));
}

#[test]
fn r3_full_jitter_is_the_default_and_is_drawn_below_each_delay() {
    let bounds = [100, 200, 400, 800].map(ms);
    let mut above_half = 0;
    for seed in 0..200 {
        let delays = delays_of(RetryPolicy::exponential(ms(100), ms(1000)).max_retries(4), seed, 99);
        assert!(delays.iter().zip(&bounds).all(|(delay, bound)| delay <= bound), "{delays:?}");
        above_half += delays.iter().zip(bounds).filter(|(delay, bound)| **delay > *bound / 2).count();
    }
    assert!((320..480).contains(&above_half), "half of 800 draws, more or less: {above_half}");
}

#[test]
fn r3_each_kind_of_jitter_draws_from_its_shortest_wait_to_the_delay() {
    let nanos = Duration::from_nanos;
    for (kind, shortest) in Jitter::ALL.iter().copied().zip([7, 0, 4]) {
        assert_eq!(kind.shortest(nanos(7)), nanos(shortest), "{kind:?}");
        let policy = || RetryPolicy::exponential(nanos(7), nanos(7)).jitter(kind);
        let mut delays: Vec<_> = (0..200).flat_map(|seed| delays_of(policy(), seed, 1)).collect();
        delays.sort();
        delays.dedup();
        assert!(delays.into_iter().eq((shortest..=7).map(nanos)), "{kind:?}");
    }
}

/// Only delays that grow are spread.
#[test]
fn r3_jitter_changes_nothing_where_the_delay_is_fixed() {
    let policy = RetryPolicy::fixed(ms(100)).unlimited().jitter(Jitter::Full);
    assert_eq!(delays_of(policy, 0, 5), [ms(100); 5]);
}

#[test]
fn r3_a_fleet_stays_spread_out_at_the_cap() {
    let at_cap = |seed| {
        let policy = RetryPolicy::exponential(ms(100), ms(400)).max_retries(10);
        *delays_of(policy, seed, 99).last().expect("ten delays")
    };
    let delays: Vec<Duration> = (0..400).map(at_cap).collect();
    let below = |bound| delays.iter().filter(|delay| **delay < ms(bound)).count();
    assert!((60..140).contains(&below(100)), "a quarter in the first quarter: {}", below(100));
    assert!((260..340).contains(&below(300)), "three in the first three: {}", below(300));
    assert!(delays.iter().all(|delay| *delay <= ms(400)));
    assert!(delays.iter().filter(|delay| **delay == ms(400)).count() < 4, "none heaps up at the cap");
}

#[test]
fn r3_the_seed_decides_the_jitter() {
    let delays = |seed| delays_of(RetryPolicy::exponential(ms(100), ms(1000)).max_retries(5), seed, 99);
    assert_eq!(delays(1), delays(1));
    assert_ne!(delays(1), delays(2));
}

#[test]
fn r3_a_function_adjusts_a_delay_after_its_cap_and_before_its_jitter() {
    let adjust = |failure: &Failure, delay| match failure.status() {
        Some(401) => Duration::ZERO,
        Some(503) => ms(8000),
        _ => delay,
    };
    let waits = |policy: RetryPolicy, seed, statuses: &[Option<u16>]| {
        let mut bench =
            Bench::seeded(Config::builder().retry(policy.with(adjust).unlimited()), PassThrough, seed);
        bench.start();
        let wait = |status: &Option<u16>| {
            let failure = status.map_or_else(refused, |status| Failure::rejected(status, Some(ms(500))));
            let wait = delay(&bench.connect_failed(failure));
            bench.expire();
            wait
        };
        statuses.iter().map(wait).collect::<Vec<_>>()
    };
    let exponential = || RetryPolicy::exponential(ms(1000), ms(4000));
    let run = [None, Some(502), Some(503), None, None];
    assert_eq!(waits(exponential().jitter(Jitter::None), 0, &run), [1000, 2000, 8000, 4000, 4000].map(ms));
    assert_eq!(waits(RetryPolicy::fixed(ms(300)), 0, &[None, Some(503), None]), [300, 8000, 300].map(ms));
    assert_eq!(
        waits(RetryPolicy::custom(ms(70), |state, _| state), 0, &[Some(503), None]),
        [8000, 70].map(ms)
    );
    // Jitter stays: the same constant for a fleet is spread out. The server's bound comes last.
    let fleet: Vec<_> = (0..50).map(|seed| waits(exponential(), seed, &[Some(503)])[0]).collect();
    assert!(fleet.iter().all(|wait| (ms(500)..=ms(8000)).contains(wait)), "{fleet:?}");
    assert!(fleet.iter().any(|wait| *wait > ms(5000)) && fleet.iter().any(|wait| *wait < ms(3000)));
}

#[test]
fn r3_the_longest_delays_do_not_overflow() {
    let policy = RetryPolicy::exponential(Duration::MAX, Duration::MAX).unlimited();
    let mut bench = Bench::plain(Config::builder().retry(policy));
    bench.start();
    bench.connect_failed(refused());
    bench.assert_phase(Phase::Waiting);
}

#[test]
fn policies_and_classifications_show_what_they_are_but_no_function() {
    let nothing = |state, _: &Failure| state;
    let table = [
        (RetryPolicy::fixed(ms(1)), "RetryPolicy { fixed: 1ms, max_retries: None }"),
        (
            RetryPolicy::exponential(ms(1), ms(2)).unlimited(),
            "RetryPolicy { exponential: (1ms, 2ms, Full), max_retries: None }",
        ),
        (RetryPolicy::custom(ms(1), nothing), "RetryPolicy { custom: 1ms, max_retries: None }"),
        (
            RetryPolicy::fixed(ms(1)).with(|_, delay| delay),
            "RetryPolicy { fixed: 1ms, max_retries: None, .. }",
        ),
    ];
    for (policy, shown) in table {
        assert_eq!(format!("{policy:?}"), shown);
    }
    let custom = Classification::Custom(Arc::new(|_| Class::Retry));
    let excepted = Classification::Standard.retry([403]).retry_once(401);
    let classifications = [Classification::Standard, Classification::AnyHttpError, custom, excepted];
    let shown = "[Standard, AnyHttpError, Custom, Standard except Retry([403]) except RetryOnce(401)]";
    assert_eq!(format!("{classifications:?}"), shown);
}

/// Retries 10 s apart, Live for `live`, then lost; the number of the retry that follows.
fn attempt_after_live_for(live: Duration, stable_after: Option<Duration>) -> u32 {
    let config = Config::reference();
    let mut bench = Bench::plain(match stable_after {
        Some(span) => config.stable_after(span),
        None => config,
    });
    bench.start();
    bench.at(10).connect_failed(refused());
    bench.at(10_010).tick();
    bench.at(11_000).connected();
    bench.at_time(at(11_000).saturating_add(live));
    let actions = bench.lost();
    let retry = |notice| if let Notice::Retry { attempt, .. } = notice { Some(attempt) } else { None };
    notices(&actions).into_iter().find_map(retry).expect("a retry follows")
}

#[test]
fn r4_the_streak_ends_only_once_a_connection_was_live_for_stable_after() {
    let nano = Duration::from_nanos(1);
    assert_eq!(attempt_after_live_for(ms(0), None), 2, "accepting and closing at once is backed off");
    assert_eq!(attempt_after_live_for(ms(10_000) - nano, None), 2);
    assert_eq!(attempt_after_live_for(ms(10_000), None), 1, "default: 10 s");
    assert_eq!(attempt_after_live_for(ms(500) - nano, Some(ms(500))), 2);
    assert_eq!(attempt_after_live_for(ms(500), Some(ms(500))), 1);
}

#[test]
fn r4_time_in_the_closing_handshake_is_not_time_live() {
    let mut bench = Bench::plain(patient().stable_after(ms(500)).close_timeout(ms(1000)));
    bench.start();
    bench.connect_failed(refused());
    bench.expire();
    bench.at(1000).connected();
    bench.at(1400).frame(Frame::Close(None));
    bench.at(1900).lost();
    assert_eq!(bench.feed.stats().retries, 2);
}

#[test]
fn r4_a_stable_connection_gives_backoff_and_retries_back() {
    let policy = RetryPolicy::exponential(ms(100), ms(1000)).jitter(Jitter::None).max_retries(2);
    let mut bench = Bench::plain(Config::builder().retry(policy));
    bench.start();
    bench.connect_failed(refused());
    bench.expire();
    bench.connect_failed(refused());
    bench.expire();
    bench.at(1000).connected();
    assert_eq!(delay(&bench.at(20_000).lost()), ms(100));
    assert_eq!(bench.feed.stats().retries, 1);
}

#[test]
fn r5_retry_after_is_a_lower_bound_and_is_capped() {
    let seconds = Duration::from_secs;
    let table: [(u16, Option<u64>, u64); 8] = [
        (503, None, 10),
        (503, Some(3), 10),
        (503, Some(30), 30),
        (429, Some(30), 30),
        (429, Some(300), 300),
        (429, Some(3000), 300),
        (408, Some(30), 10),
        (500, Some(30), 10),
    ];
    let waited = |config, status, retry_after: Option<u64>| {
        let mut bench = Bench::plain(config);
        bench.start();
        delay(&bench.connect_failed(Failure::rejected(status, retry_after.map(seconds))))
    };
    for (status, retry_after, expected) in table {
        let waited = waited(Config::reference(), status, retry_after);
        assert_eq!(waited, seconds(expected), "{status} {retry_after:?}");
    }
    // The cap is an option, and never shortens the policy's own delay.
    for (cap, expected) in [(20, 20), (1, 10)] {
        assert_eq!(
            waited(Config::reference().max_retry_after(seconds(cap)), 503, Some(30)),
            seconds(expected)
        );
    }
}

#[test]
fn r5_a_server_that_asks_for_patience_does_not_change_the_delays_after_it() {
    let mut bench = Bench::plain(Config::reference());
    bench.start();
    bench.connect_failed(Failure::rejected(503, Some(Duration::from_secs(60))));
    bench.expire();
    assert_eq!(delay(&bench.connect_failed(refused())), Duration::from_secs(10));
}

fn is_fatal(classification: Classification, failure: Failure) -> bool {
    let mut bench = Bench::plain(patient().classification(classification));
    bench.start();
    bench.connect_failed(failure.clone());
    match bench.feed.stopped() {
        Some(reason) => {
            assert_eq!(*reason, StopReason::Fatal { failure });
            true
        }
        None => false,
    }
}

#[test]
fn r6_fatal_by_default_are_4xx_but_three_501_and_fatal_faults() {
    for status in [301, 399, 408, 425, 429, 500, 502, 503, 504, 599] {
        assert!(!is_fatal(Classification::Standard, Failure::rejected(status, None)), "{status}");
    }
    for status in [400, 401, 403, 404, 407, 409, 410, 426, 428, 451, 499, 501] {
        assert!(is_fatal(Classification::Standard, Failure::rejected(status, None)), "{status}");
    }
    let fatal = Fault::fatal("wrong key");
    let mild = Fault::retryable("later");
    assert!(is_fatal(Classification::Standard, Failure::Local(LocalFailure::Fault(fatal.clone()))));
    assert!(is_fatal(Classification::Standard, Failure::Bootstrap(BootstrapFailure::Fault(fatal.clone()))));
    assert!(!is_fatal(Classification::Standard, Failure::Local(LocalFailure::Fault(mild.clone()))));
    assert!(!is_fatal(Classification::Standard, Failure::Bootstrap(BootstrapFailure::Fault(mild))));
    assert!(is_fatal(Classification::AnyHttpError, Failure::Local(LocalFailure::Fault(fatal))));
}

#[test]
fn r6_the_references_rule_stops_at_any_http_error() {
    for status in [400, 408, 425, 429, 500, 503, 599] {
        assert!(is_fatal(Classification::AnyHttpError, Failure::rejected(status, None)), "{status}");
    }
    for status in [200, 301, 399] {
        assert!(!is_fatal(Classification::AnyHttpError, Failure::rejected(status, None)), "{status}");
    }
    assert!(!is_fatal(Classification::AnyHttpError, refused()));
    let redirected = ConnectFailure::Redirected { to: "x".to_owned() };
    assert!(is_fatal(Classification::AnyHttpError, redirected.into()), "fatal by default");
}

#[test]
fn r6_a_function_decides_alone() {
    let only_tcp = || {
        let is_tcp = |failure: &Failure| matches!(failure, Failure::Connect(ConnectFailure::Tcp { .. }));
        Classification::Custom(Arc::new(
            move |failure| if is_tcp(failure) { Class::Fatal } else { Class::Retry },
        ))
    };
    assert!(is_fatal(only_tcp(), refused()));
    assert!(!is_fatal(only_tcp(), Failure::rejected(404, None)));
    assert!(!is_fatal(only_tcp(), Failure::Local(LocalFailure::Fault(Fault::fatal("even this")))));
}

#[test]
fn r6_exceptions_come_before_their_rule_and_the_last_one_first() {
    let closed = |code| Failure::Connection(ConnectionFailure::Closed(Some(CloseFrame::new(code))));
    let early = |failure| Failure::Bootstrap(BootstrapFailure::Lost(Box::new(failure)));
    let listed = || Classification::Standard.retry([403, 410]).fatal_close([4001, 1005]);
    let table = [
        (Failure::rejected(403, None), false),
        (Failure::rejected(410, None), false),
        (Failure::rejected(404, None), true),
        (closed(4001), true),
        (early(closed(4001)), true),
        (Failure::Connection(ConnectionFailure::Closed(None)), true),
        (closed(4002), false),
        (refused(), false),
    ];
    for (failure, fatal) in table {
        let class = if fatal { Class::Fatal } else { Class::Retry };
        assert_eq!(listed().classify(&failure), class, "{failure}");
    }
    assert!(!is_fatal(listed(), Failure::rejected(403, None)));
    assert!(is_fatal(Classification::AnyHttpError.retry([403]), Failure::rejected(503, None)));
    let all = Classification::Custom(Arc::new(|_| Class::Fatal));
    assert!(!is_fatal(all.clone().retry([503]), Failure::rejected(503, None)));
    assert!(is_fatal(all.retry([503]), refused()));
}

#[test]
fn r6_a_status_that_is_retried_once_is_fatal_if_the_next_attempt_is_refused_with_it() {
    let bench = || {
        let rule = Classification::Standard.retry_once(401).retry_once(403);
        let mut bench = Bench::plain(patient().classification(rule));
        bench.start();
        bench
    };
    let refuse = |bench: &mut Bench<PassThrough>, status| {
        bench.connect_failed(Failure::rejected(status, None));
        bench.feed.stopped().is_none().then(|| bench.expire()).is_some()
    };
    let mut twice = bench();
    assert!(refuse(&mut twice, 401), "the first");
    assert!(!refuse(&mut twice, 401), "the second in a row");
    let mut another = bench();
    assert!([401, 403, 401, 503, 401].iter().all(|status| refuse(&mut another, *status)));
    another.connect_failed(refused());
    another.expire();
    assert!(refuse(&mut another, 401), "the attempt before was not refused");
    another.connected();
    another.lost();
    another.expire();
    assert!(refuse(&mut another, 401), "the attempt before was accepted");
    assert!(!refuse(&mut another, 401));
    assert!(!refuse(&mut bench(), 404), "no other status");
}

#[test]
fn r6_a_fatal_failure_of_a_live_connection_stops_without_a_wait() {
    let mut bench = Bench::plain(patient().classify(|_| Class::Fatal));
    bench.connect();
    assert_eq!(names(&bench.lost()), ["status", "disconnected", "stopped"]);
    assert_eq!(bench.feed.stopped(), Some(&StopReason::Fatal { failure: broken() }));
}

#[test]
fn r7_no_connect_before_the_delay_is_over_and_no_socket_meanwhile() {
    let mut bench = Bench::plain(patient());
    bench.start();
    bench.at(50).connect_failed(refused());
    bench.assert_deadline(150);
    assert_eq!(bench.feed.connection(), None);
    assert!(!bench.feed.wants_frames());
    let early = tidegate_core::Timestamp::from_nanos(at(150).as_nanos() - 1);
    assert_eq!(bench.at_time(early).tick(), []);
    assert_eq!(bench.start(), []);
    let connect = Asked::Do(Action::Connect { id: id(2) });
    assert!(bench.at(150).tick().contains(&connect));
}

#[test]
fn r7_a_delay_of_zero_still_leaves_the_deadline_in_the_future() {
    let policy = RetryPolicy::custom(Duration::ZERO, |state, _| state);
    let mut bench = Bench::plain(Config::builder().retry(policy));
    bench.start();
    bench.at(5).connect_failed(refused());
    assert_eq!(bench.tick(), [], "P2");
    assert_eq!(names(&bench.expire()), ["connecting", "Connect"]);
}

#[test]
fn a_classification_that_panics_leaves_one_end_to_report() {
    // H5, T2: the end of a connection is told once, whoever panics while it is being decided.
    let mut bench = Bench::plain(patient().classify(|_| panic!("the application's function")));
    bench.connect();
    let feed = &mut bench.feed;
    let lost = || feed.handle(Event::Lost { id: id(1), failure: broken() }, at(1));
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(lost)).expect_err("it panics");
    let actions = bench.hand_in(Event::HandlerPanicked);
    assert_eq!(names(&actions), ["status", "disconnected", "Abort", "stopped"]);
}
