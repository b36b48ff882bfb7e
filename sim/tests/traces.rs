//! What a trace says: payloads, items, what a feed waits for.

use std::time::Duration;

use tidegate_sim::core::{Config, Context, Fault, FrameHandler, Message, RetryPolicy, Upgrade};
use tidegate_sim::{Network, Peer, Server, Simulation, SimulationBuilder};

const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Price(#[expect(dead_code, reason = "for its Debug")] u64);

/// Parses prices; `ready` says whether it ever calls `ready()`.
struct Prices {
    ready: bool,
}

impl FrameHandler for Prices {
    type Session = ();
    type Item = Price;

    fn on_upgrade(&mut self, upgrade: &mut Upgrade<'_>) -> Result<(), Fault> {
        upgrade.send("subscribe");
        upgrade.wait_for_ready();
        Ok(())
    }

    fn on_message(&mut self, _: &mut (), message: Message, cx: &mut Context<'_, Price>) -> Result<(), Fault> {
        if self.ready {
            cx.ready();
        }
        if let Some(price) = message.as_text().and_then(|text| text.parse().ok()) {
            cx.emit(Price(price));
        }
        Ok(())
    }
}

struct Exchange;

impl Server for Exchange {
    fn on_open(&mut self, peer: &mut Peer) {
        peer.tick_every(SECOND);
    }

    fn on_tick(&mut self, peer: &mut Peer) {
        peer.stop_ticking();
        peer.send(Message::Binary(b"\xff\x00binary".to_vec().into()));
        (0..3).for_each(|_| peer.send("17"));
        peer.send("x".repeat(500));
    }
}

fn prices(ready: bool) -> SimulationBuilder<Prices> {
    let config =
        Config::builder().retry(RetryPolicy::fixed(7 * SECOND).unlimited()).idle_timeout(60 * SECOND);
    Simulation::builder()
        .config(config)
        .handler(move || Prices { ready })
        .server(Exchange)
        .network(Network::default().latency(Duration::from_millis(50)))
        .run_for(20 * SECOND)
        .trace(true)
}

#[track_caller]
fn has(trace: &[String], line: &str) {
    assert!(trace.iter().any(|found| found.trim() == line), "{line}\nnot in\n{}", trace.join("\n"));
}

#[test]
fn trace_has_payloads_and_items() {
    let report = prices(true).run();
    report.assert_ok();
    has(&report.trace, r#"0.300000000 1 sent "subscribe""#);
    has(&report.trace, r#"1.350000000 1 read binary b"\xff\x00binary""#);
    has(&report.trace, &format!("1.350000000 1 read \"{}…", "x".repeat(199)));
    has(&report.trace, r#"1.350000000 1 read "17" (3 times)"#);
    has(&report.trace, "1.350000000 consumer got Price(17) (3 times)");
}

/// What a heartbeat does again and again takes no more lines than once.
#[test]
fn cycles_are_counted() {
    struct Heartbeat;
    impl Server for Heartbeat {
        fn on_open(&mut self, peer: &mut Peer) {
            peer.tick_every(SECOND);
        }
        fn on_tick(&mut self, peer: &mut Peer) {
            peer.send("beat");
        }
    }
    let report = Simulation::builder().server(Heartbeat).run_for(10 * SECOND).trace(true).run();
    report.assert_ok();
    has(&report.trace, r#"1.000000000 1 read "beat" (10 times until 10.000000000)"#);
    has(&report.trace, r#"1.000000000 consumer got "beat" (10 times until 10.000000000)"#);
    assert!(report.trace.len() < 30, "{}", report.trace.join("\n"));
}

#[test]
fn payloads_and_items_are_shown_as_one_likes() {
    let report = prices(true)
        .show(|message| format!("<{}>", message.len()))
        .show_items(|_| "a price".to_owned())
        .run();
    report.assert_ok();
    has(&report.trace, "0.300000000 1 sent <9>");
    has(&report.trace, "1.350000000 consumer got a price (3 times)");
    assert!(!report.trace.iter().any(|line| line.contains("17\"")));
}

/// Each state of rest is said once, however often something arrives.
#[test]
fn trace_says_what_a_feed_waits_for() {
    let report = prices(true).run();
    has(&report.trace, "0.000000000 connecting: waits for the server's answer to the upgrade");
    has(&report.trace, "0.300000000 bootstrapping: waits for ready()");
    has(&report.trace, "1.350000000 live: waits for messages");
    let live = report.trace.iter().filter(|line| line.contains("live: waits"));
    assert_eq!(live.count(), 1);
}

#[test]
fn handler_that_is_never_ready_is_named() {
    let report = prices(false).heal_after(SECOND).run();
    let violation = report.violation.expect("it never recovers");
    assert_eq!(violation.name(), "recovery");
    assert!(violation.rule.ends_with("the feed waits for ready()"), "{violation}");
}
