//! Rules of one's own: bugs of a handler that they find, and how a failure is told.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tidegate_sim::core::{
    Config, ConfigBuilder, Context, Delivery, Fault, FrameHandler, Message, PassThrough, RetryPolicy,
    Timestamp, Upgrade,
};
use tidegate_sim::{FaultKind, Faults, Observed, Peer, Report, Server, Simulation, SimulationBuilder};

const SECOND: Duration = Duration::from_secs(1);

const CHANNELS: [&str; 3] = ["book", "trades", "ticker"];

fn endless() -> ConfigBuilder {
    Config::builder().retry(RetryPolicy::fixed(SECOND).unlimited()).idle_timeout(10 * SECOND)
}

/// A bug of the handler below.
#[derive(Clone, Copy, PartialEq)]
enum Bug {
    None,
    /// `ready()` after the first of the acknowledgements.
    ReadyTooEarly,
    /// Acknowledgements are counted in the handler, over all connections.
    CountKept,
    /// They are, and once there were enough, any is.
    EnoughOnce,
}

/// Subscribes to three channels, and is ready once all are acknowledged.
struct Subscriber {
    bug: Bug,
    acks: usize,
}

impl FrameHandler for Subscriber {
    type Session = ();
    type Item = Message;

    fn on_upgrade(&mut self, upgrade: &mut Upgrade<'_>) -> Result<(), Fault> {
        CHANNELS.into_iter().for_each(|channel| upgrade.send(channel));
        upgrade.wait_for_ready();
        if !matches!(self.bug, Bug::CountKept | Bug::EnoughOnce) {
            self.acks = 0;
        }
        Ok(())
    }

    fn on_message(
        &mut self,
        _: &mut (),
        message: Message,
        cx: &mut Context<'_, Message>,
    ) -> Result<(), Fault> {
        if !message.as_text().is_some_and(|text| text.starts_with("ack ")) {
            cx.emit(message);
            return Ok(());
        }
        self.acks += 1;
        let enough = match self.bug {
            Bug::ReadyTooEarly => true,
            Bug::EnoughOnce => self.acks >= CHANNELS.len(),
            Bug::None | Bug::CountKept => self.acks == CHANNELS.len(),
        };
        if enough {
            cx.ready();
        }
        Ok(())
    }
}

/// Acknowledges each channel later than the one before.
#[derive(Default)]
struct Exchange(u32);

impl Server for Exchange {
    fn on_message(&mut self, peer: &mut Peer, channel: Message) {
        self.0 += 1;
        let ack = format!("ack {}", channel.as_text().unwrap());
        peer.send_after(self.0 * Duration::from_millis(300), ack);
        peer.tick_every(SECOND);
    }

    fn on_tick(&mut self, peer: &mut Peer) {
        peer.send("tick");
    }
}

/// After Live every channel has been acknowledged.
fn acknowledged<T>() -> impl FnMut(&Observed<'_, T>, Timestamp) -> Result<(), String> + Clone + Send + 'static
{
    let mut acks = Vec::new();
    move |observed, _| {
        match observed {
            Observed::Opened { .. } => acks.clear(),
            Observed::Message { message, .. } => {
                acks.extend(message.as_text().and_then(|text| Some(text.strip_prefix("ack ")?.to_owned())));
            }
            Observed::Live { id } => {
                let missing = CHANNELS.into_iter().find(|channel| acks.iter().all(|ack| ack != channel));
                return missing
                    .map_or(Ok(()), |channel| Err(format!("acks: {id} is Live without {channel}")));
            }
            Observed::Delivery(_) | _ => {}
        }
        Ok(())
    }
}

fn subscribing(bug: Bug) -> SimulationBuilder<Subscriber> {
    Simulation::builder()
        .config(endless())
        .handler(move || Subscriber { bug, acks: 0 })
        .server_per_connection(Exchange::default)
        // An acknowledgement twice is another matter.
        .faults(Faults::all().weight(FaultKind::RepliesTwice, 0))
        .heal_after(200 * SECOND)
        .rule(acknowledged())
}

fn names(bug: Bug) -> Option<String> {
    (0..10).find_map(|seed| Some(subscribing(bug).seed(seed).run().violation?.name().to_owned()))
}

#[test]
fn planted_bugs_of_a_handler_are_found() {
    assert_eq!(names(Bug::None), None);
    assert_eq!(names(Bug::ReadyTooEarly).as_deref(), Some("acks"));
    assert_eq!(names(Bug::EnoughOnce).as_deref(), Some("acks"));
    assert_eq!(names(Bug::CountKept).as_deref(), Some("recovery"));
}

#[test]
fn check_runs_every_seed() {
    let reports = Simulation::check(3..6, || subscribing(Bug::None));
    assert_eq!(reports.iter().map(|report| report.seed).collect::<Vec<_>>(), [3, 4, 5]);
    assert!(reports.iter().all(|report| report.stats.delivered > 50));
}

fn text_of(panics: impl FnOnce() -> Vec<Report>) -> String {
    let panic = catch_unwind(AssertUnwindSafe(panics)).unwrap_err();
    panic.downcast_ref::<String>().unwrap().clone()
}

/// A bug that any connection but the first shows takes one fault, which ends the first.
#[test]
fn check_shrinks_and_explains_a_failure() {
    let text = text_of(|| Simulation::check(0..10, || subscribing(Bug::CountKept)));
    let mut lines = text.lines();
    let first = lines.next().unwrap();
    assert!(first.starts_with("seed 0 breaks a rule at ") && first.ends_with("waits for ready()"), "{text}");
    assert!(lines.next().unwrap().starts_with("It takes 1 of "), "{text}");
    assert!(
        text.contains("read \"ack ticker\"") && text.contains("bootstrapping: waits for ready()"),
        "{text}"
    );
    let last = text.lines().last().unwrap();
    let number = last.strip_prefix("All of it: .seed(0).only_faults([").unwrap();
    let number = number.strip_suffix("]).trace(true)").unwrap().parse().unwrap();
    let again = subscribing(Bug::CountKept).seed(0).only_faults([number]).run();
    assert_eq!(again.violation.map(|violation| violation.name().to_owned()).as_deref(), Some("recovery"));
}

#[test]
fn check_says_that_no_fault_is_needed() {
    let text = text_of(|| Simulation::check(7..8, || subscribing(Bug::ReadyTooEarly)));
    assert!(text.contains("It takes 0 of ") && text.contains("acks: 1 is Live without trades"), "{text}");
}

/// All rules that were added hold, and one that panics is broken.
#[test]
fn every_rule_counts() {
    let run = |first: bool, second: bool| {
        let judge = |holds: bool, name: &'static str| {
            move |delivery: &Delivery<Message>, _| {
                if holds || delivery.is_marker() { Ok(()) } else { Err(name.to_owned()) }
            }
        };
        let simulation = Simulation::builder().config(endless()).server(Exchange::default());
        let asks = |_| Ok::<_, Fault>(["book"]);
        let simulation = simulation.handler(move || PassThrough.with_bootstrap(asks));
        let report = simulation.on_delivery(judge(first, "first")).on_delivery(judge(second, "second")).run();
        report.violation.map(|violation| violation.rule)
    };
    assert_eq!(run(true, true), None);
    assert_eq!(run(false, true).as_deref(), Some("first"));
    assert_eq!(run(true, false).as_deref(), Some("second"));
    let panics = Simulation::builder().rule(|_, _| panic!("of its own")).run().violation.unwrap();
    assert_eq!(panics.rule, "panic: of its own");
}

#[test]
#[should_panic(expected = "before its rules")]
fn rules_of_another_handler_are_not_lost_silently() {
    let _ = Simulation::builder().on_delivery(|_, _| Ok(())).handler(|| PassThrough);
}

/// A rule with a time is broken by a jump, and by nothing else here.
#[test]
fn steady_clock_leaves_jumps_out() {
    let run = |steady| {
        let mut last = Timestamp::ZERO;
        let often = move |delivery: &Delivery<Message>, now: Timestamp| {
            let silence = now.saturating_since(last);
            last = now;
            if silence > 2 * SECOND && !delivery.is_marker() {
                Err(format!("silent: {silence:?}"))
            } else {
                Ok(())
            }
        };
        let faults =
            Faults::none().weight(FaultKind::ClockJump, 1).weight(FaultKind::Flood, 1).every(5 * SECOND);
        let asks = |_| Ok::<_, Fault>(["book"]);
        let simulation = Simulation::builder().config(endless().idle_timeout(60 * SECOND)).faults(faults);
        let simulation =
            simulation.handler(move || PassThrough.with_bootstrap(asks)).server(Exchange::default());
        simulation.on_delivery(often).steady_clock(steady).run()
    };
    assert_eq!(run(false).violation.unwrap().name(), "silent");
    let report = run(true);
    report.assert_ok();
    assert!(report.faults[&FaultKind::Flood] > 10 && !report.faults.contains_key(&FaultKind::ClockJump));
}
