//! The checker finds what it is there to find: each case is a run that no feed may give, but for its last entry fine.

use std::time::Duration;

use tidegate_driver::core::{
    BootstrapFailure, Class, Config, ConfigBuilder, ConnectFailure, ConnectionFailure, ConnectionId,
    Delivery, Failure, Frame, LocalFailure, Message, Notice, Overflow, Phase, RetryPolicy, Stats, StopReason,
    Timestamp, TlsProblem,
};

use super::{BootstrapRule, Checker, Delays, Emission, Fleet, Rules};
use crate::entry::{Awaited, Entry};

const ID: ConnectionId = ConnectionId::new(1);

const RETRIES: RetryPolicy = RetryPolicy::fixed(Duration::from_secs(5));

fn config() -> ConfigBuilder {
    Config::builder()
        .idle_timeout(Duration::from_secs(4))
        .stale_after(Duration::from_secs(3))
        .ping_interval(Duration::from_secs(1))
        .pong_timeout(Duration::from_secs(2))
        .max_pause(Duration::from_secs(8))
        .retry(RETRIES.max_retries(1))
        .buffer(4)
        .buffer_bytes(100)
        .max_demand(2)
}

fn rules() -> Rules {
    rules_with(config(), None)
}

fn rules_with(config: ConfigBuilder, longest: Option<Duration>) -> Rules {
    let config = config.build().unwrap();
    Rules {
        delays: Delays::new(&config, longest),
        longest_delay: longest,
        config,
        prompt: true,
        max_attempts: Some(9),
        bootstrap: Some(BootstrapRule { frames: 1, acks: true }),
        emission: Some(Emission { items: 1, weight: 10 }),
    }
}

fn text(text: &str) -> Frame {
    Message::from(text).into()
}

fn sent(line: &str) -> Entry {
    Entry::Sent { id: 1, frame: text(line) }
}

fn read(line: &str) -> Entry {
    Entry::Read { id: 1, frame: text(line) }
}

fn reset() -> Failure {
    Failure::io("")
}

fn quiet(phase: Phase) -> Entry {
    quiet_with(phase, Stats::default())
}

fn stats(items: u64, queued: u64, delivered: u64) -> Stats {
    let mut stats = Stats::default();
    (stats.items, stats.queued, stats.delivered) = (items, queued, delivered);
    stats
}

fn quiet_with(phase: Phase, stats: Stats) -> Entry {
    Entry::Quiet { phase, stats, alarm: Some(Timestamp::ZERO), waits_for: Awaited::Messages, waits: false }
}

fn dialing() -> Vec<(u64, Entry)> {
    vec![
        (0, Entry::Notice(Notice::Connecting { id: ID })),
        (0, Entry::Connect { id: 1 }),
        (0, quiet(Phase::Connecting)),
    ]
}

fn open() -> Vec<(u64, Entry)> {
    [dialing(), vec![(0, Entry::Opened { id: 1 })]].concat()
}

fn acknowledged() -> Vec<(u64, Entry)> {
    let more = vec![(0, sent("sub 0")), (0, Entry::Flushed { id: 1 }), (0, read("ack 0"))];
    [open(), more].concat()
}

fn success() -> Entry {
    Entry::Notice(Notice::Success { id: ID })
}

fn live() -> Vec<(u64, Entry)> {
    let more =
        vec![(0, success()), (0, Entry::Notice(Notice::Status { live: true })), (0, quiet(Phase::Live))];
    [acknowledged(), more].concat()
}

fn lost() -> Vec<(u64, Entry)> {
    let more = vec![
        (1, Entry::Gone { id: 1 }),
        (1, Entry::Notice(Notice::Status { live: false })),
        (1, Entry::Notice(Notice::Disconnected { id: ID, failure: Some(reset()) })),
        (1, Entry::Notice(retry(1, 5))),
        (1, quiet(Phase::Waiting)),
    ];
    [live(), more].concat()
}

fn retry(attempt: u32, seconds: u64) -> Notice {
    Notice::Retry { attempt, delay: Duration::from_secs(seconds) }
}

fn stopped() -> Notice {
    Notice::Stopped { reason: StopReason::Shutdown }
}

/// Seconds, entries.
fn judge(rules: &Rules, entries: &[(u64, Entry)]) -> Result<(), String> {
    let mut checker = Checker::new(rules);
    entries.iter().try_for_each(|(second, entry)| checker.see(Timestamp::from_millis(second * 1000), entry))
}

/// `before` is fine; `last` breaks `rule`.
#[track_caller]
fn breaks(rule: &str, before: Vec<(u64, Entry)>, at: u64, last: Entry) {
    breaks_under(&rules(), rule, before, at, last);
}

#[track_caller]
fn breaks_under(rules: &Rules, rule: &str, mut entries: Vec<(u64, Entry)>, at: u64, last: Entry) {
    assert_eq!(judge(rules, &entries), Ok(()), "the run before it is fine");
    entries.push((at, last));
    let verdict = judge(rules, &entries).expect_err(rule);
    assert!(verdict.starts_with(rule), "{verdict}");
}

#[test]
fn connections() {
    breaks("C1", dialing(), 1, Entry::Connect { id: 2 });
    breaks("C1", open(), 1, Entry::Connect { id: 2 });
    breaks("C1", dialing(), 1, Entry::Opened { id: 2 });
    breaks("C2", lost(), 6, Entry::Connect { id: 1 });
    breaks("C3", dialing(), 11, quiet(Phase::Connecting));
    let early = Notice::Failure { id: ID, failure: Failure::Connect(ConnectFailure::Timeout) };
    breaks("L2, C3", dialing(), 9, Entry::Notice(early));
    let few = Rules { max_attempts: Some(0), ..rules() };
    breaks_under(&few, "max_attempts", vec![], 0, Entry::Connect { id: 1 });
    breaks(
        "C5",
        [live(), vec![(1, Entry::Sent { id: 1, frame: Frame::Close(None) })]].concat(),
        1,
        sent("x"),
    );
}

#[test]
fn sending() {
    breaks("O1", lost(), 1, sent("x"));
    breaks("B1", open(), 0, sent("sub 1"));
    breaks("B1", open(), 0, success());
    breaks("B2", [open(), vec![(0, sent("sub 0"))]].concat(), 0, success());
    breaks("B2", [open(), vec![(0, sent("sub 0")), (0, Entry::Flushed { id: 1 })]].concat(), 0, success());
    breaks("O1", live(), 1, sent("app 7"));
    let ordered =
        vec![(0, Entry::Ordered { number: 0 }), (0, Entry::Ordered { number: 1 }), (0, sent("app 1"))];
    breaks("O1", [live(), ordered].concat(), 1, sent("app 0"));
    // Accepted on the first connection, sent on the second.
    let second = ConnectionId::new(2);
    let later = vec![
        (6, Entry::Notice(Notice::Connecting { id: second })),
        (6, Entry::Connect { id: 2 }),
        (6, Entry::Opened { id: 2 }),
        (6, Entry::Sent { id: 2, frame: text("sub 0") }),
    ];
    let mut entries = lost();
    entries.insert(live().len(), (0, Entry::Ordered { number: 0 }));
    breaks("O1", [entries, later].concat(), 6, Entry::Sent { id: 2, frame: text("app 0") });
}

fn failed(failure: Failure) -> Vec<(u64, Entry)> {
    let notice = Notice::Failure { id: ID, failure };
    let more = vec![(1, Entry::DialFailed { id: 1, failure: reset() }), (1, Entry::Notice(notice))];
    [dialing(), more].concat()
}

fn rejected(status: u16, after: u64) -> Failure {
    Failure::rejected(status, Some(Duration::from_secs(after)))
}

fn stopped_by(reason: StopReason) -> Entry {
    Entry::Notice(Notice::Stopped { reason })
}

#[test]
fn retries() {
    breaks("R7", lost(), 5, Entry::Connect { id: 2 });
    breaks("R7", lost(), 7, quiet(Phase::Waiting));
    breaks("R6, R7", failed(reset()), 9, Entry::Connect { id: 2 });
    let retried = [failed(reset()), vec![(1, Entry::Notice(retry(1, 5)))]].concat();
    breaks("R2", retried, 9, Entry::Notice(retry(2, 5)));
    breaks("R4", failed(reset()), 1, Entry::Notice(retry(2, 5)));
    breaks("R3", failed(reset()), 1, Entry::Notice(retry(1, 6)));
    breaks("R5", failed(rejected(503, 9)), 1, Entry::Notice(retry(1, 5)));
    let exhausted = || StopReason::RetriesExhausted { last: reset() };
    breaks("R2", failed(reset()), 1, stopped_by(exhausted()));
    let none_left = rules_with(config().retry(RETRIES.max_retries(0)), None);
    breaks_under(&none_left, "R2", failed(rejected(500, 1)), 1, stopped_by(exhausted()));
}

/// R6.
#[test]
fn fatal_failures() {
    let tls = |problem| Failure::Connect(ConnectFailure::Tls { problem, detail: String::new() });
    for fatal in [rejected(404, 9), tls(TlsProblem::UnknownIssuer), tls(TlsProblem::PlainServer)] {
        breaks("R6", failed(fatal.clone()), 1, Entry::Notice(retry(1, 5)));
        breaks("R6", failed(fatal.clone()), 9, Entry::Connect { id: 2 });
        let none_left = rules_with(config().retry(RETRIES.max_retries(0)), None);
        let exhausted = stopped_by(StopReason::RetriesExhausted { last: fatal.clone() });
        breaks_under(&none_left, "R6", failed(fatal), 1, exhausted);
    }
    for passing in [reset(), rejected(429, 9), tls(TlsProblem::Expired)] {
        let fatal = stopped_by(StopReason::Fatal { failure: passing.clone() });
        breaks("R6", failed(passing), 1, fatal);
    }
    let other = stopped_by(StopReason::Fatal { failure: rejected(403, 9) });
    breaks("R6", failed(rejected(404, 9)), 1, other);
}

/// A retry policy and a classification of the user's own are held to what can be known of them.
#[test]
fn policies_of_ones_own() {
    let policy = RetryPolicy::custom(Duration::ZERO, |state, _| state);
    let own = rules_with(config().retry(policy), Some(Duration::from_secs(7)));
    assert_eq!(
        judge(&own, &[failed(reset()), vec![(1, Entry::Notice(retry(1, 7)))]].concat()),
        Ok(()),
        "a delay of its own"
    );
    breaks_under(&own, "R3", failed(reset()), 1, Entry::Notice(retry(1, 8)));
    breaks_under(&own, "R4", failed(reset()), 1, Entry::Notice(retry(2, 7)));
    breaks_under(&own, "R5", failed(rejected(503, 9)), 1, Entry::Notice(retry(1, 5)));
    let teapot = |failure: &Failure| {
        let refused = matches!(failure, Failure::Connect(ConnectFailure::Rejected { status: 418, .. }));
        if refused { Class::Fatal } else { Class::Retry }
    };
    for (status, fine) in [(404, true), (418, false)] {
        let mut checker = Checker::new(&rules_with(config().classify(teapot), None));
        let run = [failed(rejected(status, 1)), vec![(1, Entry::Notice(retry(1, 5)))]].concat();
        let verdict = run
            .iter()
            .try_for_each(|(second, entry)| checker.see(Timestamp::from_millis(second * 1000), entry));
        assert_eq!(verdict.is_ok(), fine, "{verdict:?}");
    }
}

/// R3: a fleet that comes back all at once, and one that does not.
#[test]
fn fleets() {
    let policy = RetryPolicy::exponential(Duration::from_secs(10), Duration::from_secs(60));
    let rules = rules_with(config().retry(policy), None);
    let judge = |feeds: usize, dials: &dyn Fn(usize) -> u64| {
        let mut fleet = Fleet::new(&rules, Duration::ZERO, feeds);
        let mut all = |millis: &dyn Fn(usize) -> u64, entry: Entry| {
            (0..feeds).try_for_each(|feed| fleet.see(Timestamp::from_millis(millis(feed)), feed, &entry))
        };
        all(&|_| 0, quiet(Phase::Live))?;
        all(&|_| 1, Entry::Outage { until: Timestamp::ZERO })?;
        all(&|_| 1, Entry::Notice(retry(1, 5)))?;
        all(dials, Entry::Connect { id: 2 })?;
        all(&|_| 99_000, Entry::Over)
    };
    let spread = |feed: usize| (feed as u64 * 7_919) % 10_000;
    assert_eq!(judge(40, &spread), Ok(()));
    let verdict = judge(40, &|feed| if feed < 30 { 5_000 + feed as u64 } else { spread(feed) });
    assert!(verdict.as_ref().is_err_and(|rule| rule.starts_with("R3")), "{verdict:?}");
    assert_eq!(judge(10, &|_| 5_000), Ok(()), "too few to tell");
}

#[test]
fn notices() {
    breaks("T2", live(), 0, success());
    breaks("T2", live(), 0, Entry::Notice(Notice::Failure { id: ID, failure: reset() }));
    breaks("T2", lost(), 1, Entry::Notice(Notice::Disconnected { id: ID, failure: None }));
    breaks("T2", dialing(), 1, Entry::Notice(Notice::Connecting { id: ConnectionId::new(2) }));
    let idle = Some(Failure::Connection(ConnectionFailure::IdleTimeout));
    breaks("T2", live(), 4, Entry::Notice(Notice::Disconnected { id: ID, failure: idle }));
    breaks("T1", live(), 0, Entry::Notice(Notice::Status { live: true }));
    breaks("T1", live(), 0, quiet(Phase::Waiting));
}

#[test]
fn clocks() {
    let timeout = || {
        Entry::Notice(Notice::Timeout {
            id: ID,
            failure: Failure::Connection(ConnectionFailure::IdleTimeout),
        })
    };
    breaks("L2", live(), 3, timeout());
    breaks("L2", live(), 5, timeout());
    breaks("L2", live(), 5, quiet(Phase::Live));
    breaks("L2", [live(), vec![(1, Entry::Arrived { id: 1 })]].concat(), 4, timeout());
    let ping = (1, Entry::Sent { id: 1, frame: Frame::Ping(Default::default()) });
    let heard = (2, read("data 0"));
    breaks("L3", [live(), vec![ping]].concat(), 4, quiet(Phase::Live));
    breaks("L4", [live(), vec![heard]].concat(), 4, quiet(Phase::Live));
    breaks(
        "P1",
        live(),
        1,
        Entry::Quiet {
            phase: Phase::Live,
            stats: Stats::default(),
            alarm: None,
            waits_for: Awaited::Messages,
            waits: false,
        },
    );
    let paused = [live(), vec![(1, Entry::Notice(Notice::Paused { id: ID }))]].concat();
    breaks("L5", paused.clone(), 10, quiet(Phase::Live));
    breaks("D4", [paused, vec![(2, read("data 0"))]].concat(), 2, quiet(Phase::Live));
    let shutdown = [lost(), vec![(2, Entry::Shutdown)]].concat();
    breaks("S1", shutdown, 3, quiet(Phase::Waiting));
    let bound = Duration::from_secs(2);
    breaks("recovery", [lost(), vec![(1, Entry::Healed { bound })]].concat(), 4, quiet(Phase::Waiting));
    let bootstrapping = [open(), vec![(0, quiet(Phase::Bootstrapping)), (9, read("data 0"))]].concat();
    breaks("B3", bootstrapping.clone(), 11, quiet(Phase::Bootstrapping));
    let failure = Failure::Bootstrap(BootstrapFailure::Timeout);
    breaks("B3", bootstrapping, 9, Entry::Notice(Notice::Failure { id: ID, failure }));
}

#[test]
fn stream() {
    let consumed = |consumed| (0, Entry::Consumed(consumed));
    breaks("D2", vec![], 0, consumed(Delivery::Live { id: ID }).1);
    breaks("D4", vec![], 0, consumed(Delivery::Dropped { count: 1 }).1);
    breaks("D3", live(), 0, quiet_with(Phase::Live, stats(5, 5, 0)));
    let mut heavy = stats(3, 3, 0);
    heavy.queued_bytes = 110;
    breaks("D3", live(), 0, quiet_with(Phase::Live, heavy));
    breaks("D2", live(), 0, quiet_with(Phase::Live, stats(1, 0, 0)));
    let overflow = Notice::Disconnected { id: ID, failure: Some(Failure::Local(LocalFailure::Overflow)) };
    breaks("D4", live(), 0, Entry::Notice(overflow));
    let mut waiting = stats(1, 1, 0);
    waiting.demand = 1;
    let forgotten = Entry::Quiet {
        phase: Phase::Live,
        stats: waiting,
        alarm: Some(Timestamp::ZERO),
        waits_for: Awaited::Messages,
        waits: true,
    };
    breaks("D1", live(), 0, forgotten);
    breaks("D1", live(), 0, quiet_with(Phase::Live, stats(3, 0, 3)));
    let one = [live(), vec![consumed(Delivery::Opened { id: ID }), consumed(Delivery::Item(String::new()))]]
        .concat();
    breaks("D2", one, 0, quiet(Phase::Live));
    let drops = rules_with(config().overflow(Overflow::DropOldest), None);
    let told = [live(), vec![consumed(Delivery::Dropped { count: 1 })]].concat();
    breaks_under(&drops, "D4", told, 0, quiet(Phase::Live));
}

/// H5, S1, S3.
#[test]
fn ending() {
    let panic = || stopped_by(StopReason::HandlerPanicked);
    breaks("H5", dialing(), 1, panic());
    let panicked = [dialing(), vec![(1, Entry::Panicked)]].concat();
    breaks("H5", panicked.clone(), 1, quiet(Phase::Connecting));
    let after_live = [lost(), vec![(1, Entry::Panicked)]].concat();
    breaks("H5", after_live, 1, Entry::Notice(stopped()));
    assert_eq!(judge(&rules(), &[panicked, vec![(1, panic()), (1, quiet(Phase::Stopped))]].concat()), Ok(()));
    breaks("S1", lost(), 1, Entry::Over);
    let over = [lost(), vec![(1, Entry::Notice(stopped())), (1, quiet(Phase::Stopped))]].concat();
    breaks("S3", over.clone(), 1, Entry::Over);
    assert_eq!(
        judge(&rules(), &[over, vec![(1, Entry::Ended { reason: None }), (1, Entry::Over)]].concat()),
        Ok(())
    );
}

#[test]
fn stopping() {
    let over = [lost(), vec![(1, Entry::Notice(stopped()))]].concat();
    breaks("S2", over.clone(), 9, Entry::Connect { id: 2 });
    breaks("S2", over.clone(), 9, Entry::Notice(stopped()));
    breaks("S2", over.clone(), 9, sent("x"));
    breaks("S2", over.clone(), 9, Entry::Notice(retry(2, 5)));
    breaks("S3", over.clone(), 9, Entry::Ended { reason: Some(StopReason::Shutdown) });
    breaks("S3", lost(), 1, Entry::Ended { reason: None });
    let ended = [over, vec![(1, Entry::Ended { reason: None })]].concat();
    breaks("S3", ended.clone(), 1, Entry::Consumed(Delivery::Item(String::new())));
    breaks("S3", ended.clone(), 1, Entry::Ended { reason: None });
    breaks("S2", ended, 1, quiet_with(Phase::Stopped, stats(1, 1, 0)));
}
