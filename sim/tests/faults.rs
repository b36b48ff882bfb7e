//! Faults one at a time, and what the feed makes of them; outages; the faults that a failure takes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::time::Duration;

use tidegate_sim::core::{
    Class, Config, ConfigBuilder, ConnectFailure, Delivery, Failure, Jitter, Message, PassThrough, Phase,
    RetryPolicy, StopReason,
};
use tidegate_sim::{
    Dial, EventKind, FaultKind, Faults, Network, Peer, Report, Server, Simulation, SimulationBuilder, shrink,
};

const SECOND: Duration = Duration::from_secs(1);

/// A message a second.
struct Ticker;

impl Server for Ticker {
    fn on_open(&mut self, peer: &mut Peer) {
        peer.tick_every(SECOND);
    }

    fn on_tick(&mut self, peer: &mut Peer) {
        peer.send("tick");
    }
}

fn endless() -> ConfigBuilder {
    Config::builder().idle_timeout(5 * SECOND)
}

fn ticking() -> SimulationBuilder<PassThrough> {
    Simulation::builder().config(endless()).server(Ticker).run_for(600 * SECOND).trace(true)
}

/// Nothing but this, as soon as there is a chance.
fn nothing_but(kind: FaultKind) -> Report {
    ticking().faults(Faults::none().weight(kind, 1).attempt_rate(1.0).every(SECOND)).run()
}

fn ended(report: &Report) -> &str {
    let end = "notice Stopped { reason: ";
    let line = report.trace.iter().find_map(|line| line.split_once(end)).unwrap();
    line.1.split([' ', '(']).next().unwrap()
}

#[test]
fn fatal_faults_stop_the_feed() {
    for kind in [FaultKind::TlsUnknownIssuer, FaultKind::TlsWrongHost, FaultKind::RejectedForGood] {
        let report = nothing_but(kind);
        report.assert_ok();
        assert_eq!(
            (report.stats.attempts, report.phase, ended(&report)),
            (1, Phase::Stopped, "Fatal"),
            "{kind}"
        );
        assert!(kind.is_fatal());
    }
    let report = nothing_but(FaultKind::HandlerFatal);
    report.assert_ok();
    assert_eq!((report.stats.attempts, ended(&report)), (1, "Fatal"));
    assert!(report.elapsed < 800 * SECOND, "it was over early: {:?}", report.elapsed);
}

#[test]
fn every_passing_fault_is_recovered_from() {
    for kind in FaultKind::ALL.into_iter().filter(|kind| !kind.is_fatal()) {
        let resets = Faults::none().weight(FaultKind::Reset, 1).attempt_rate(0.5).every(5 * SECOND);
        let faults = resets.weight(kind, 1);
        let report = ticking().faults(faults).heal_after(300 * SECOND).run();
        report.assert_ok();
        assert!(report.faults[&kind] > 2, "{kind}: {:?}", report.faults);
    }
}

/// H5: wherever it is that a function of the application's panics.
#[test]
fn panics_stop_the_feed() {
    let mut phases = Vec::new();
    for seed in 0..40 {
        let faults = Faults::all().weight(FaultKind::Panic, 9);
        let report = ticking().seed(seed).faults(faults).run();
        report.assert_ok();
        let count = |phase: &Phase| report.coverage.count(*phase, EventKind::HandlerPanicked) > 0;
        phases.extend(Phase::ALL.into_iter().filter(count));
    }
    for phase in [Phase::Connecting, Phase::Live] {
        assert!(phases.contains(&phase), "{phase} is not among {phases:?}");
    }
}

/// C3, C4: the deadline goes over the resolver as well.
#[test]
fn resolver_that_overruns_is_cut_off() {
    let resets = Faults::none().weight(FaultKind::Reset, 1).every(5 * SECOND);
    let faults = resets.weight(FaultKind::ResolverSlow, 1).attempt_rate(0.7);
    let report = ticking().config(endless().connect_timeout(3 * SECOND)).faults(faults).run();
    report.assert_ok();
    assert!(report.coverage.count(Phase::Connecting, EventKind::Tick) > 3, "{}", report.coverage);
}

/// A frame of 11 bytes, header included, at 10 bytes a second.
#[test]
fn bandwidth_is_shared_by_what_is_sent() {
    struct Greeter;
    impl Server for Greeter {
        fn on_open(&mut self, peer: &mut Peer) {
            peer.send("hello");
            peer.send("again");
        }
    }
    let network = Network::default().bandwidth(10);
    let report = Simulation::builder().server(Greeter).network(network).trace(true).run();
    report.assert_ok();
    for line in ["1.100000000 1 read \"hello\"", "2.200000000 1 read \"again\""] {
        assert!(report.trace.iter().any(|found| found.trim() == line), "{}", report.trace.join("\n"));
    }
}

fn fleet(jitter: Jitter) -> SimulationBuilder<PassThrough> {
    let policy = RetryPolicy::exponential(10 * SECOND, 60 * SECOND).jitter(jitter).unlimited();
    ticking().feeds(50).config(endless().retry(policy)).outage(60 * SECOND, 30 * SECOND)
}

#[test]
fn fleet_recovers_from_one_outage_and_is_spread_out() {
    let report = fleet(Jitter::Full).heal_after(60 * SECOND).run();
    report.assert_ok();
    assert_eq!(report.feeds.len(), 50);
    for feed in &report.feeds {
        assert!(feed.attempts.len() > 1, "the outage takes each down: {feed:?}");
        assert!(feed.attempts[1].as_nanos() >= 60_000_000_000);
        assert!(feed.stats.connections >= 2 && feed.phase == Phase::Stopped, "{feed:?}");
    }
    let mut seconds: Vec<_> = report.feeds.iter().map(|feed| feed.attempts[1].as_millis() / 1000).collect();
    seconds.sort_unstable();
    seconds.dedup();
    assert!(seconds.len() > 5, "{seconds:?}");
}

/// Counts for each feed by itself.
#[derive(Default)]
struct Counter(BTreeMap<usize, u64>);

impl Server for Counter {
    fn on_open(&mut self, peer: &mut Peer) {
        peer.tick_every(SECOND);
    }

    fn on_tick(&mut self, peer: &mut Peer) {
        let count = self.0.entry(peer.feed()).or_default();
        *count += 1;
        peer.send(count.to_string());
    }
}

#[test]
fn each_feed_of_a_fleet_is_judged_by_itself() {
    let run = |feeds: usize, most: u64| {
        let mut last = 0;
        let judge = move |delivery: &Delivery<Message>, _| {
            let Delivery::Item(item) = delivery else { return Ok(()) };
            last += 1;
            let text = item.as_text().unwrap_or_default();
            if text == last.to_string() && last < most { Ok(()) } else { Err(format!("{text} for {last}")) }
        };
        let simulation = Simulation::builder().feeds(feeds).config(endless()).server(Counter::default());
        simulation.run_for(60 * SECOND).on_delivery(judge).run()
    };
    run(3, u64::MAX).assert_ok();
    assert!(run(3, 30).violation.is_some());
}

/// Without jitter all come back at the same instant, as they are told to: no rule forbids it.
#[test]
fn fleet_without_jitter_comes_back_at_once() {
    let report = fleet(Jitter::None).run();
    report.assert_ok();
    let first = report.feeds[0].attempts[1];
    assert!(report.feeds.iter().all(|feed| feed.attempts[1] == first));
}

/// Refuses all but the fourth attempt.
struct Reluctant;

impl Server for Reluctant {
    fn on_dial(&mut self, attempt: u64) -> Dial {
        match attempt {
            4 => Dial::Accept,
            5 => Dial::Fail(Failure::rejected(418, None)),
            _ => Dial::Fail(Failure::rejected(404, None)),
        }
    }

    fn on_open(&mut self, peer: &mut Peer) {
        peer.close(None);
    }
}

#[test]
fn policy_and_classification_of_ones_own() {
    let build = |longest| {
        let next = |mut state: tidegate_sim::core::RetryState, _: &Failure| {
            state.delay *= 3;
            state
        };
        let teapot = |failure: &Failure| {
            let refused = matches!(failure, Failure::Connect(ConnectFailure::Rejected { status: 418, .. }));
            if refused { Class::Fatal } else { Class::Retry }
        };
        Simulation::builder()
            .config(endless().retry(RetryPolicy::custom(SECOND, next)).classify(teapot))
            .longest_delay(longest)
            .server(Reluctant)
            .trace(true)
            .run()
    };
    let report = build(81 * SECOND);
    report.assert_ok();
    assert_eq!(ended(&report), "Fatal");
    let seconds: Vec<_> = report.feeds[0].attempts.iter().map(|at| at.as_millis() / 1000).collect();
    assert_eq!(seconds, [0, 3, 12, 39, 120]);
    let broken = build(80 * SECOND).violation.unwrap();
    assert_eq!(broken.name(), "R3", "{broken}");
}

#[test]
fn stop_reasons_are_judged_by_ones_own_classification() {
    let report = Simulation::builder()
        .config(endless().classify(|_| Class::Fatal))
        .server(Reluctant)
        .trace(true)
        .run();
    report.assert_ok();
    let fatal = StopReason::Fatal { failure: Failure::rejected(404, None) };
    assert_eq!((ended(&report), fatal.kind(), report.stats.attempts), ("Fatal", "fatal", 1));
}

/// Five resets among many faults fail a check; exactly those five are found, and the run with them alone fails again.
#[test]
fn failure_is_shrunk_to_the_faults_it_takes() {
    let run = |only: Option<&[u64]>| {
        let mut simulation = ticking().seed(3).faults(Faults::all().every(10 * SECOND)).max_attempts(12);
        if let Some(numbers) = only {
            simulation = simulation.only_faults(numbers.iter().copied());
        }
        simulation.run()
    };
    let failed = run(None);
    let injected = failed.injected.len();
    assert_eq!(failed.violation.as_ref().map(tidegate_sim::Violation::name), Some("max_attempts"));
    let shrunk = shrink(failed, 500, |numbers| run(Some(numbers))).unwrap();
    assert_eq!(shrunk.numbers.len(), shrunk.faults().len());
    assert!(shrunk.numbers.len() <= 12 && shrunk.numbers.len() < injected, "{:?}", shrunk.faults());
    assert_eq!(run(Some(&shrunk.numbers)), shrunk.report, "it replays");
    for left_out in 0..shrunk.numbers.len() {
        let mut fewer = shrunk.numbers.clone();
        fewer.remove(left_out);
        assert_eq!(run(Some(&fewer)).violation, None, "each of {:?} is needed", shrunk.numbers);
    }
    assert!(shrink(run(Some(&[])), 10, |_| unreachable!("nothing to shrink")).is_none());
}

#[test]
fn number_of_runs_for_shrinking_is_bounded() {
    let run = |numbers: &[u64]| {
        let all = ticking().faults(Faults::all()).max_attempts(3);
        if numbers.is_empty() { all.run() } else { all.only_faults(numbers.iter().copied()).run() }
    };
    let shrunk = shrink(run(&[]), 2, run).unwrap();
    assert!(shrunk.runs <= 2, "{}", shrunk.runs);
}
