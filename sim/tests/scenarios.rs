//! What goes wrong, written down: faults of given times, answers, and proptest, which draws and shrinks them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use proptest::test_runner::{Config as ProptestConfig, RngAlgorithm, TestError, TestRng, TestRunner};
use tidegate_sim::core::{
    Config, ConfigBuilder, Context, Fault, FrameHandler, Message, PassThrough, RetryPolicy, Upgrade,
};
use tidegate_sim::strategies::scenarios;
use tidegate_sim::{Answer, FaultKind, Network, Pace, Peer, Scenario, Server, Simulation, SimulationBuilder};

const SECOND: Duration = Duration::from_secs(1);

fn endless() -> ConfigBuilder {
    let config = Config::builder().retry(RetryPolicy::fixed(SECOND).unlimited()).idle_timeout(10 * SECOND);
    // The time to recover follows from it too, and with that the length of the runs.
    config.max_retry_after(5 * SECOND)
}

/// Answers each message, and sends one a second.
struct Echo;

impl Server for Echo {
    fn on_open(&mut self, peer: &mut Peer) {
        peer.tick_every(SECOND);
    }

    fn on_message(&mut self, peer: &mut Peer, message: Message) {
        peer.send(message);
    }

    fn on_tick(&mut self, peer: &mut Peer) {
        peer.send("tick");
    }
}

fn quiet() -> SimulationBuilder<PassThrough> {
    Simulation::builder().config(endless()).server(Echo).run_for(60 * SECOND).trace(true)
}

/// Milliseconds, names, numbers of attempts or connections.
fn struck(simulation: SimulationBuilder<PassThrough>) -> Vec<(u64, FaultKind, u64)> {
    let report = simulation.run();
    report.assert_ok();
    report.injected.iter().map(|fault| (fault.at.as_millis(), fault.kind, fault.connection)).collect()
}

#[test]
fn faults_strike_at_their_times() {
    use FaultKind::{AcceptThenClose, Fin, Refused, Reset, UpgradeSilent};
    let simulation = quiet()
        .fault_at(20 * SECOND, AcceptThenClose)
        .fault_at(5 * SECOND, Reset)
        .fault_at(4 * SECOND, Refused)
        .fault_at(20 * SECOND, Reset)
        .fault_at(30 * SECOND, UpgradeSilent)
        // During the attempt that hangs for ten seconds: it waits for the next connection.
        .fault_at(35 * SECOND, Fin)
        .fault_at(29 * SECOND, Reset);
    let expected = [
        (5_000, Reset, 1),
        (6_000, Refused, 2),
        (20_000, Reset, 3),
        (21_000, AcceptThenClose, 4),
        (29_000, Reset, 5),
    ];
    let struck = struck(simulation);
    assert_eq!(struck[..5], expected);
    assert_eq!(struck[5..], [(30_000, UpgradeSilent, 6), (41_001, Fin, 7)]);
}

#[test]
fn planned_faults_have_the_first_numbers() {
    let simulation = || quiet().fault_at(9 * SECOND, FaultKind::Fin).fault_at(5 * SECOND, FaultKind::Reset);
    assert_eq!(struck(simulation().only_faults([1])), [(9_000, FaultKind::Fin, 1)]);
    assert_eq!(struck(simulation().only_faults([2])), [(5_000, FaultKind::Reset, 1)]);
}

#[test]
fn one_jump_of_the_clock_may_follow_another() {
    let jump = FaultKind::ClockJump;
    // With a latency nothing can be heard in between.
    let network = Network::default().latency(Duration::from_millis(1));
    let simulation = quiet().network(network).fault_at(SECOND, jump).fault_at(SECOND, jump);
    let report = simulation.fault_at(2 * SECOND, jump).run();
    report.assert_ok();
    assert_eq!(report.faults[&jump], 3);
}

#[test]
fn planned_faults_end_with_the_others() {
    let late = quiet().fault_at(50 * SECOND, FaultKind::Reset).heal_after(40 * SECOND);
    assert_eq!(struck(late), []);
}

#[test]
fn replies_become_what_the_answers_say() {
    let asks = |_| Ok::<_, Fault>(["a", "b", "c", "d", "e"]);
    let answers = [Answer::Twice, Answer::Lost, Answer::Late(3 * SECOND / 2), Answer::Sent];
    let report = quiet().handler(move || PassThrough.with_bootstrap(asks)).answers(answers).run();
    report.assert_ok();
    let read: Vec<_> = report
        .trace
        .iter()
        .map(|line| line.trim())
        .filter(|line| line.contains(" read \"") && !line.contains("tick"))
        .collect();
    let expected =
        [r#"0.000000000 1 read "a" (2 times)"#, r#"0.000000000 1 read "d""#, r#"0.000000000 1 read "e""#];
    assert_eq!(read[..3], expected);
    assert_eq!(read[3..], [r#"1.500000000 1 read "c""#]);
}

/// Is ready once both of its subscriptions are acknowledged. The count is kept over connections: a bug.
struct Counting(u32);

impl FrameHandler for Counting {
    type Session = ();
    type Item = Message;

    fn on_upgrade(&mut self, upgrade: &mut Upgrade<'_>) -> Result<(), Fault> {
        upgrade.send("subscribe 1");
        upgrade.send("subscribe 2");
        upgrade.wait_for_ready();
        Ok(())
    }

    fn on_message(
        &mut self,
        _: &mut (),
        message: Message,
        cx: &mut Context<'_, Message>,
    ) -> Result<(), Fault> {
        if message.as_text().is_some_and(|text| text.starts_with("subscribe")) {
            self.0 += 1;
        }
        if self.0 == 2 {
            cx.ready();
        }
        Ok(())
    }
}

/// The property: `handler` recovers from any scenario. The same cases in every run.
#[expect(clippy::result_large_err, reason = "the scenario is what the test is about")]
fn recovers<H>(handler: fn() -> H) -> Result<(), TestError<Scenario>>
where
    H: FrameHandler<Item = Message, Session: Send> + Send + 'static,
{
    let config = ProptestConfig {
        cases: 40,
        max_shrink_iters: 1_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    runner.run(&scenarios(60 * SECOND), |scenario| {
        let simulation = Simulation::builder().config(endless()).server(Echo).handler(handler);
        simulation.scenario(&scenario).heal_after(60 * SECOND).run().result()?;
        Ok(())
    })
}

#[test]
fn proptest_finds_nothing_in_a_good_handler() {
    recovers(|| PassThrough.with_bootstrap(|_| Ok(["subscribe"]))).unwrap();
}

#[test]
fn proptest_finds_a_bug_and_shrinks_what_it_takes() {
    let Err(TestError::Fail(reason, smallest)) = recovers(|| Counting(0)) else { panic!("not found") };
    assert!(reason.message().contains("recovery: "), "{reason}");
    // A connection that ends, or a reply that is not what it should be.
    assert_eq!(smallest.faults.len() + smallest.answers.len(), 1, "{smallest:?}");
    assert_eq!((smallest.pace, smallest.network), (Pace::Prompt, Default::default()), "{smallest:?}");
}
