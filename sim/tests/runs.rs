//! Runs with exact virtual times, the same run twice, and campaigns that hold.

use std::time::Duration;

use tidegate_sim::campaign::{self, Mode};
use tidegate_sim::core::{
    Config, ConfigBuilder, Delivery, Failure, Message, Phase, RetryPolicy, Step, from_fn,
};
use tidegate_sim::{
    Dial, EventKind, FaultKind, Faults, Network, Peer, Report, Server, Simulation, SimulationBuilder,
};

const SECOND: Duration = Duration::from_secs(1);

/// Does one thing to the first connection after five seconds, and sends one message to each.
struct Once(fn(&mut Peer));

impl Server for Once {
    fn on_open(&mut self, peer: &mut Peer) {
        peer.send("hello");
        if peer.connection() == 1 {
            peer.tick_every(5 * SECOND);
        }
    }

    fn on_tick(&mut self, peer: &mut Peer) {
        peer.stop_ticking();
        (self.0)(peer);
    }
}

fn config() -> ConfigBuilder {
    Config::builder().retry(RetryPolicy::fixed(Duration::from_millis(300))).ping_interval(None)
}

fn once(what: fn(&mut Peer)) -> SimulationBuilder<tidegate_sim::core::PassThrough> {
    Simulation::builder().config(config()).server(Once(what)).run_for(30 * SECOND).trace(true)
}

#[track_caller]
fn happened(report: &Report, lines: &[&str]) {
    report.assert_ok();
    let mut trace = report.trace.iter();
    for line in lines {
        assert!(trace.any(|found| found.trim() == *line), "{line}\nnot in\n{}", report.trace.join("\n"));
    }
}

#[test]
fn reset_is_followed_by_a_connect_after_the_delay() {
    let report = once(Peer::reset).run();
    happened(
        &report,
        &[
            "0.000000000 1 connect",
            "5.000000000 1 broke: the connection broke: reset by peer",
            "5.300000000 2 connect",
        ],
    );
    assert_eq!((report.phase, report.stats.connections, report.stats.delivered), (Phase::Stopped, 2, 2));
}

/// Every event of a short run, each in its phase.
#[test]
fn coverage_is_exact() {
    let coverage = once(Peer::reset).run().coverage;
    let expected = [
        (Phase::Idle, EventKind::Start, 1),
        (Phase::Connecting, EventKind::Connected, 2),
        (Phase::Live, EventKind::Data, 2),
        (Phase::Live, EventKind::Lost, 1),
        (Phase::Waiting, EventKind::Tick, 1),
        (Phase::Live, EventKind::Shutdown, 1),
        (Phase::Closing, EventKind::Flushed, 1),
        (Phase::Closing, EventKind::Close, 1),
    ];
    for (phase, event, count) in expected {
        assert_eq!(coverage.count(phase, event), count, "{event:?} in {phase}\n{coverage}");
    }
    let all =
        Phase::ALL.into_iter().flat_map(|phase| EventKind::ALL.map(|event| coverage.count(phase, event)));
    assert_eq!(all.sum::<u64>(), 10, "and no other\n{coverage}");
    assert!(coverage.missing().contains(&(Phase::Waiting, EventKind::Shutdown)));
    assert!(!coverage.missing().contains(&(Phase::Idle, EventKind::Data)), "it cannot come");
}

/// TCP, TLS and upgrade are three round trips, and what is sent takes half of one.
#[test]
fn frames_take_their_time() {
    let network = Network::default().latency(Duration::from_millis(10));
    let report = once(Peer::reset).network(network).run();
    happened(
        &report,
        &[
            "0.060000000 1 opened",
            "0.070000000 1 read \"hello\"",
            "5.070000000 1 broke: the connection broke: reset by peer",
            "5.370000000 2 connect",
            "5.430000000 2 opened",
        ],
    );
}

/// C5: the peer has closed, and keeps TCP open.
#[test]
fn socket_is_gone_within_the_close_timeout() {
    let faults = Faults::none().weight(FaultKind::CloseKeepsOpen, 1).every(SECOND);
    let report = once(|_| {}).faults(faults).run();
    report.assert_ok();
    assert!(report.faults[&FaultKind::CloseKeepsOpen] > 3, "{:?}", report.faults);
}

/// L2: with a second look at the socket, which takes a millisecond.
#[test]
fn silence_is_found_to_the_nanosecond() {
    let report = once(|peer| peer.send("more")).config(config().idle_timeout(7 * SECOND)).run();
    let idle = "12.001000000 notice Timeout { id: ConnectionId(1), failure: Connection(IdleTimeout) }";
    happened(&report, &["5.000000000 1 read \"more\"", idle, "12.301000000 2 connect"]);
}

struct Refusing;

impl Server for Refusing {
    fn on_dial(&mut self, attempt: u64) -> Dial {
        match attempt {
            1 => Dial::Hang,
            2 => Dial::Fail(Failure::rejected(503, Some(7 * SECOND))),
            _ => Dial::Accept,
        }
    }
}

#[test]
fn attempts_are_bounded_and_retry_after_is_heeded() {
    let report = Simulation::builder().config(config()).server(Refusing).trace(true).run();
    happened(&report, &["10.301000000 2 connect", "17.301000000 3 connect", "17.301000000 3 opened"]);
}

/// P3: to the byte.
#[test]
fn same_seed_gives_the_same_run() {
    for mode in Mode::ALL {
        let first = campaign::run(11, mode, true);
        assert!(first.trace.len() > 100);
        assert_eq!(first, campaign::run(11, mode, true));
        assert_ne!(first.trace, campaign::run(12, mode, true).trace);
    }
}

#[test]
fn fleets_recover_from_an_outage() {
    for seed in 0..4 {
        let report = campaign::run(seed, Mode::Fleet, false);
        assert_eq!(report.violation, None, "seed {seed}");
        assert!(report.feeds.len() >= 20);
    }
}

#[test]
fn no_rule_is_broken_under_faults_for_ever() {
    for seed in 0..60 {
        let report = campaign::run(seed, Mode::Safety, false);
        assert_eq!(report.violation, None, "seed {seed}");
    }
}

#[test]
fn feed_recovers_once_the_faults_are_over() {
    for seed in 0..60 {
        let report = campaign::run(seed, Mode::Liveness, false);
        assert_eq!(report.violation, None, "seed {seed}");
        assert_eq!(report.phase, Phase::Stopped, "after the shutdown at its end");
    }
}

/// A run fails by its own check too.
#[test]
fn check_of_ones_own_fails_the_run() {
    let refuse = |delivery: &Delivery<Message>, _| match delivery {
        Delivery::Item(_) => Err("no items, please".to_owned()),
        Delivery::Opened { .. }
        | Delivery::Live { .. }
        | Delivery::Interrupted { .. }
        | Delivery::Dropped { .. } => Ok(()),
    };
    let report = once(Peer::reset).on_delivery(refuse).run();
    assert_eq!(report.violation.map(|violation| violation.rule).as_deref(), Some("no items, please"));
}

/// A server that never lets anybody in: the feed cannot recover, and the run says so.
struct Closed;

impl Server for Closed {
    fn on_dial(&mut self, _: u64) -> Dial {
        Dial::Hang
    }
}

#[test]
fn feed_that_does_not_recover_is_found() {
    let config = config().retry(RetryPolicy::default()).idle_timeout(SECOND);
    let report = Simulation::builder().config(config).server(Closed).heal_after(SECOND).run();
    let violation = report.violation.expect("it is never live");
    assert!(violation.rule.starts_with("recovery"), "{violation}");
}

/// Code under test that panics ends the feed, and the run goes on.
#[test]
fn handler_that_panics_stops_the_feed() {
    let handler = || from_fn((), |_, ()| -> Step<()> { panic!("a bug") });
    let report = Simulation::builder().handler(handler).server(Once(Peer::reset)).run();
    report.assert_ok();
    assert_eq!((report.phase, report.stats.attempts), (Phase::Stopped, 1));
    assert_eq!(report.coverage.count(Phase::Live, EventKind::HandlerPanicked), 1);
}
