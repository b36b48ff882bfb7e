//! Telemetry: which notices there are, and how often (T1-T3).

mod common;

use common::{Asked, Bench, Puppet, broken, id, ms, names, notices, patient, refused};
use tidegate_core::{
    CloseFrame, Connected, ConnectionFailure, Event, Failure, Frame, Notice, Phase, StopReason,
};

#[test]
fn t1_names_follow_the_reference_and_accessors_give_what_there_is() {
    let failure = || Failure::Connection(ConnectionFailure::IdleTimeout);
    let stopped = || StopReason::RetriesExhausted { last: failure() };
    let (one, none, idle) = (Some(id(1)), None, Some("idle_timeout"));
    let table = [
        (Notice::Success { id: id(1) }, "success", one, None, none),
        (Notice::Failure { id: id(1), failure: failure() }, "failure", one, idle, none),
        (Notice::Disconnected { id: id(1), failure: None }, "disconnected", one, Some("shutdown"), none),
        (Notice::Disconnected { id: id(1), failure: Some(failure()) }, "disconnected", one, idle, none),
        (Notice::Timeout { id: id(1), failure: failure() }, "timeout", one, idle, none),
        (Notice::Status { live: true }, "status", None, None, none),
        (Notice::Pong { id: id(1), round_trip: ms(1) }, "pong", one, None, Some(ms(1))),
        (Notice::Dropped { count: 1 }, "dropped", None, None, none),
        (Notice::Paused { id: id(1) }, "paused", one, None, none),
        (Notice::Resumed { id: id(1), paused_for: ms(2) }, "resumed", one, None, Some(ms(2))),
        (Notice::Retry { attempt: 1, delay: ms(3) }, "retry", None, None, none),
        (Notice::Connecting { id: id(1) }, "connecting", one, None, none),
        (Notice::Stopped { reason: stopped() }, "stopped", None, Some("retries_exhausted"), none),
    ];
    for (notice, name, connection, reason, duration) in table {
        assert_eq!(notice.name(), name);
        let found = (notice.connection(), notice.reason(), notice.duration());
        assert_eq!(found, (connection, reason, duration), "{name}");
        assert_eq!(notice.failure(), Some(&failure()).filter(|_| reason == idle), "{name}");
    }
}

#[test]
fn t1_status_is_1_when_live_and_0_when_no_longer() {
    let mut bench = Bench::plain(patient());
    bench.start();
    assert_eq!(notices(&bench.connected())[1], Notice::Status { live: true });
    assert_eq!(notices(&bench.lost())[0], Notice::Status { live: false });
    bench.expire();
    assert!(!names(&bench.connect_failed(refused())).contains(&"status"), "it was 0 already");
}

#[test]
fn t1_retry_tells_attempt_and_delay() {
    let mut bench = Bench::plain(patient());
    bench.start();
    for attempt in 1..5 {
        let retry = Notice::Retry { attempt, delay: ms(100) };
        assert_eq!(notices(&bench.connect_failed(refused()))[1], retry);
        bench.expire();
    }
}

/// How often each is told of connection 1; `end` takes no action.
fn told(end: impl FnOnce(&mut Bench<Puppet>), bootstrap: &[&str]) -> [usize; 4] {
    let config = patient().idle_timeout(ms(1000)).bootstrap_timeout(ms(500)).stale_after(ms(700));
    let mut bench = Bench::new(config, Puppet::bootstraps(bootstrap));
    bench.start();
    end(&mut bench);
    count(&bench.actions())
}

fn count(actions: &[Asked]) -> [usize; 4] {
    ["success", "failure", "disconnected", "timeout"]
        .map(|name| names(actions).into_iter().filter(|told| *told == name).count())
}

/// A feed of which no action has been taken yet.
fn hand_in(bench: &mut Bench<Puppet>, millis: u64, events: impl IntoIterator<Item = Event>) {
    for event in events {
        bench.feed.handle(event, common::at(millis));
    }
}

fn connected() -> Event {
    Event::Connected { id: id(1), connected: Connected::default() }
}

fn lost() -> Event {
    Event::Lost { id: id(1), failure: broken() }
}

fn frame(frame: Frame) -> Event {
    Event::Frame { id: id(1), frame }
}

const SUCCESS: [usize; 4] = [1, 0, 0, 0];
const FAILURE: [usize; 4] = [0, 1, 0, 0];
const DISCONNECTED: [usize; 4] = [1, 0, 1, 0];
const TIMEOUT: [usize; 4] = [1, 0, 0, 1];
const NONE: [usize; 4] = [0; 4];

#[test]
fn t2_success_once_when_live_and_not_before() {
    assert_eq!(told(|bench| hand_in(bench, 0, [connected()]), &[]), SUCCESS);
    assert_eq!(told(|bench| hand_in(bench, 0, [connected()]), &["a"]), NONE);
    let flushed = || Event::Flushed { id: id(1) };
    assert_eq!(told(|bench| hand_in(bench, 0, [connected(), flushed(), flushed()]), &[]), SUCCESS);
    let mut bench = Bench::new(patient(), Puppet::bootstraps(&["a"]));
    bench.connect();
    assert_eq!(count(&bench.flushed()), SUCCESS);
    assert_eq!(count(&bench.flushed()), NONE);
}

#[test]
fn t2_each_failed_attempt_is_told_once() {
    let failed = Event::ConnectFailed { id: id(1), failure: refused() };
    assert_eq!(told(|bench| hand_in(bench, 0, [failed]), &[]), FAILURE);
    assert_eq!(told(|bench| hand_in(bench, 10_000, [Event::Tick]), &[]), FAILURE);
    assert_eq!(told(|bench| hand_in(bench, 0, [connected(), lost()]), &["a"]), FAILURE);
    let close = frame(Frame::Close(None));
    assert_eq!(told(|bench| hand_in(bench, 0, [connected(), close, lost()]), &["a"]), FAILURE);
    let times_out = |bench: &mut Bench<Puppet>| {
        hand_in(bench, 0, [connected()]);
        hand_in(bench, 500, [Event::Tick, lost()]);
    };
    assert_eq!(told(times_out, &["a"]), FAILURE);
}

#[test]
fn t2_each_live_connection_ends_in_one_disconnected_or_timeout() {
    assert_eq!(told(|bench| hand_in(bench, 0, [connected(), lost()]), &[]), DISCONNECTED);
    assert_eq!(told(|bench| hand_in(bench, 0, [connected(), lost(), lost()]), &[]), DISCONNECTED);
    let close = || frame(Frame::Close(None));
    assert_eq!(told(|bench| hand_in(bench, 0, [connected(), close(), close(), lost()]), &[]), DISCONNECTED);
    let shut = [connected(), Event::Shutdown, close(), lost()];
    assert_eq!(told(|bench| hand_in(bench, 0, shut), &[]), DISCONNECTED);
    let panic = [connected(), Event::HandlerPanicked];
    assert_eq!(told(|bench| hand_in(bench, 0, panic), &[]), DISCONNECTED);
    let silent = |bench: &mut Bench<Puppet>| {
        hand_in(bench, 0, [connected()]);
        hand_in(bench, 1000, [Event::Tick, lost()]);
    };
    assert_eq!(told(silent, &[]), TIMEOUT);
    let mute = |bench: &mut Bench<Puppet>| {
        hand_in(bench, 0, [connected()]);
        hand_in(bench, 700, [Event::Tick]);
        hand_in(bench, 1700, [Event::Tick]);
    };
    assert_eq!(told(mute, &[]), TIMEOUT);
}

#[test]
fn t2_a_shutdown_is_no_failure() {
    assert_eq!(told(|bench| hand_in(bench, 0, [Event::Shutdown]), &[]), NONE);
    assert_eq!(told(|bench| hand_in(bench, 0, [connected(), Event::Shutdown, lost()]), &["a"]), NONE);
}

/// The reason is shown to people, by the failure; whoever looks at frames sees none of it.
#[test]
fn t3_debug_output_holds_no_close_reason() {
    let reason = CloseFrame { code: 4001, reason: "token=secret".into() };
    let mut bench = Bench::plain(patient());
    bench.connect();
    let actions = bench.frame(Frame::Close(Some(reason.clone())));
    let shown = format!("{actions:?} {:?}", Failure::Connection(ConnectionFailure::Closed(Some(reason))));
    assert!(!shown.contains("secret"), "{shown}");
    assert!(shown.contains("4001"));
}

/// Neither what was sent nor what waits for the consumer.
#[test]
fn t3_a_feed_shows_its_phase_and_no_payload() {
    let config = patient().idle_timeout(ms(1000));
    let mut bench = Bench::new(config, Puppet::bootstraps(&["hush"]));
    let mut phases = Vec::new();
    let mut look = |bench: &Bench<Puppet>| {
        let (phase, shown) = (bench.feed.phase(), format!("{:?}", bench.feed));
        assert!(shown.contains(&format!("{phase:?}")) && !shown.contains("hush"), "{phase:?}: {shown}");
        phases.push(phase);
    };
    look(&bench);
    bench.start();
    look(&bench);
    bench.connected();
    look(&bench);
    bench.flushed();
    bench.text("item:hush send:hush");
    look(&bench);
    bench.text("fault");
    look(&bench);
    bench.lost();
    look(&bench);
    bench.shutdown();
    look(&bench);
    let expected = [
        Phase::Idle,
        Phase::Connecting,
        Phase::Bootstrapping,
        Phase::Live,
        Phase::Closing,
        Phase::Waiting,
        Phase::Stopped,
    ];
    assert_eq!(phases, expected);
}

#[test]
fn stats_count_what_happened() {
    let mut bench = Bench::new(patient(), Puppet::default());
    bench.connect();
    bench.request(2).text("item:ab item:c");
    bench.text("");
    bench.deliveries();
    bench.text("item:def");
    bench.lost();
    bench.expire();
    bench.assert_phase(Phase::Connecting);
    let stats = bench.feed.stats();
    assert_eq!((stats.attempts, stats.connections, stats.retries), (2, 1, 1));
    assert_eq!((stats.messages, stats.items, stats.delivered), (3, 3, 2));
    assert_eq!((stats.queued, stats.queued_bytes, stats.demand), (1, 300, 0));
}
