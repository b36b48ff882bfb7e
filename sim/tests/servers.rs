//! Servers that a test writes: one for each connection, late replies, the end of a connection.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tidegate_sim::core::{
    Config, ConfigBuilder, ConnectionId, Delivery, Failure, Fault, Message, PassThrough, RetryPolicy,
};
use tidegate_sim::{Dial, FaultKind, Faults, Peer, Server, Simulation, SimulationBuilder};

const SECOND: Duration = Duration::from_secs(1);

fn endless() -> ConfigBuilder {
    Config::builder().retry(RetryPolicy::fixed(SECOND).unlimited()).idle_timeout(30 * SECOND)
}

fn resets() -> SimulationBuilder<PassThrough> {
    let faults = Faults::none().weight(FaultKind::Reset, 1).every(10 * SECOND);
    Simulation::builder().config(endless()).faults(faults).run_for(300 * SECOND)
}

/// Counts from 1.
#[derive(Default)]
struct Counter(u64);

impl Server for Counter {
    fn on_dial(&mut self, attempt: u64) -> Dial {
        if attempt == 2 { Dial::Fail(Failure::rejected(503, None)) } else { Dial::Accept }
    }

    fn on_open(&mut self, peer: &mut Peer) {
        peer.tick_every(SECOND);
    }

    fn on_tick(&mut self, peer: &mut Peer) {
        self.0 += 1;
        peer.send(self.0.to_string());
    }
}

#[test]
fn server_per_connection_starts_over_with_each() {
    let mut last = 0;
    let count = move |delivery: &Delivery<Message>, _| {
        if matches!(delivery, Delivery::Opened { .. }) {
            last = 0;
        }
        let Delivery::Item(item) = delivery else { return Ok(()) };
        last += 1;
        if item.as_text() == Some(&last.to_string()) { Ok(()) } else { Err(format!("{item:?} for {last}")) }
    };
    let report = resets().server_per_connection(Counter::default).on_delivery(count).run();
    report.assert_ok();
    assert!(report.stats.connections > 10 && report.stats.delivered > 100, "{:?}", report.stats);
    assert_eq!(report.stats.connections + 1, report.stats.attempts, "the second was refused");
    assert!(resets().server(Counter::default()).on_delivery(count).run().violation.is_some());
}

/// What was opened and closed, over all connections.
#[derive(Clone, Default)]
struct Visits(Arc<Mutex<(BTreeSet<u64>, Vec<u64>)>>);

impl Server for Visits {
    fn on_open(&mut self, peer: &mut Peer) {
        assert!(self.0.lock().unwrap().0.insert(peer.connection()), "opened twice");
    }

    fn on_close(&mut self, peer: &Peer) {
        let mut visits = self.0.lock().unwrap();
        assert!(visits.0.remove(&peer.connection()), "closed twice, or never opened");
        visits.1.push(peer.connection());
    }
}

#[test]
fn server_learns_of_every_end_once() {
    let visits = Visits::default();
    let report = resets().server(visits.clone()).faults(Faults::all()).run();
    report.assert_ok();
    let visits = visits.0.lock().unwrap();
    assert!(visits.1.len() as u64 >= report.stats.connections.max(5), "{visits:?}");
    assert!(visits.0.is_empty() && visits.1.is_sorted(), "{visits:?}");
    let again = Visits::default();
    resets()
        .server_per_connection({
            let again = again.clone();
            move || again.clone()
        })
        .run()
        .assert_ok();
    assert!(again.0.lock().unwrap().1.len() > 10);
}

/// Answers after two seconds, and greets after three.
struct Late;

impl Server for Late {
    fn on_open(&mut self, peer: &mut Peer) {
        peer.send_after(3 * SECOND, "hello");
        peer.send("now");
    }

    fn on_message(&mut self, peer: &mut Peer, _: Message) {
        peer.send_after(2 * SECOND, "reply");
    }
}

fn late() -> SimulationBuilder<impl tidegate_sim::core::FrameHandler<Item = Message, Session: Send> + Send> {
    use tidegate_sim::core::FrameHandler as _;
    let asks = |_: ConnectionId| Ok::<_, Fault>(["ask"]);
    Simulation::builder()
        .config(endless())
        .server(Late)
        .run_for(20 * SECOND)
        .trace(true)
        .handler(move || PassThrough.with_bootstrap(asks))
}

fn read(trace: &[String]) -> Vec<&str> {
    trace.iter().map(|line| line.trim()).filter(|line| line.contains(" read \"")).collect()
}

#[test]
fn late_messages_come_late() {
    let report = late().run();
    report.assert_ok();
    let expected =
        [r#"0.000000000 1 read "now""#, r#"2.000000000 1 read "reply""#, r#"3.000000000 1 read "hello""#];
    assert_eq!(read(&report.trace), expected);
}

#[test]
fn late_replies_are_lost_like_others() {
    let report = late().faults(Faults::none().weight(FaultKind::RepliesMissing, 1).attempt_rate(1.0)).run();
    report.assert_ok();
    assert_eq!(read(&report.trace), [r#"0.000000000 1 read "now""#, r#"3.000000000 1 read "hello""#]);
}

#[test]
fn late_message_is_gone_with_its_connection() {
    let faults = Faults::none().weight(FaultKind::AcceptThenClose, 1).attempt_rate(1.0);
    let report = late().faults(faults).run();
    report.assert_ok();
    assert!(
        report.stats.connections > 10 && read(&report.trace).iter().all(|line| line.ends_with("\"now\""))
    );
}

#[test]
#[should_panic(expected = "unlimited retries")]
fn recovery_needs_unlimited_retries() {
    let config = Config::builder().retry(RetryPolicy::fixed(SECOND).max_retries(3)).idle_timeout(SECOND);
    let _ = Simulation::builder().config(config).heal_after(SECOND).run();
}
