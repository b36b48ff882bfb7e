//! Stopping: the closing handshake, and that the end is the end (S1-S3).

mod common;

use common::{
    Asked, Bench, Puppet, close, id, item, live, ms, names, notices, opened, patient, refused, text,
};
use tidegate_core::{
    Action, Connected, Delivery, Event, Failure, Fault, Frame, LocalFailure, Notice, PassThrough, Phase,
    SendError, StopReason,
};

#[test]
fn s1_a_live_connection_is_closed_with_1000() {
    let mut bench = Bench::plain(patient());
    bench.connect();
    let actions = bench.at(30).shutdown();
    assert_eq!(names(&actions), ["status", "disconnected", "Close"]);
    assert_eq!(actions[2], close(1, 1000));
    bench.assert_deadline(1030);
    assert_eq!(names(&bench.at(40).lost()), ["stopped"]);
    assert_eq!(bench.feed.stopped(), Some(&StopReason::Shutdown));
}

#[test]
fn s1_the_peer_is_waited_for_at_most_close_timeout() {
    let mut bench = Bench::plain(patient().close_timeout(ms(200)));
    bench.connect();
    bench.shutdown();
    bench.at(100).text("more");
    bench.assert_deadline(200);
    assert_eq!(bench.at(199).tick(), []);
    assert_eq!(names(&bench.at(200).tick()), ["Abort", "stopped"]);
    bench.assert_phase(Phase::Stopped);
}

#[test]
fn s1_a_second_shutdown_does_not_prolong_the_first() {
    let mut bench = Bench::plain(patient());
    bench.connect();
    bench.shutdown();
    assert_eq!(bench.at(900).shutdown(), []);
    bench.assert_deadline(1000);
}

#[test]
fn s1_without_an_open_connection_it_stops_at_once() {
    let mut idle = Bench::plain(patient());
    assert_eq!(names(&idle.shutdown()), ["stopped"]);

    let mut connecting = Bench::plain(patient());
    connecting.start();
    assert_eq!(names(&connecting.shutdown()), ["Abort", "stopped"]);

    let mut waiting = Bench::plain(patient());
    waiting.start();
    waiting.connect_failed(refused());
    assert_eq!(names(&waiting.shutdown()), ["stopped"]);
    for bench in [idle, connecting, waiting] {
        assert_eq!(bench.feed.stopped(), Some(&StopReason::Shutdown));
    }
}

#[test]
fn s1_during_bootstrap_the_connection_is_closed_too() {
    let mut bench = Bench::new(patient(), Puppet::bootstraps(&["a"]));
    bench.connect();
    assert_eq!(bench.shutdown(), [close(1, 1000)]);
    bench.lost();
    assert_eq!(bench.feed.stopped(), Some(&StopReason::Shutdown));
}

#[test]
fn s1_a_connection_that_is_closing_anyway_is_not_replaced() {
    let mut bench = Bench::plain(patient());
    bench.connect();
    bench.frame(Frame::Close(None));
    assert_eq!(bench.at(100).shutdown(), [], "Close has been said");
    bench.assert_deadline(1000);
    bench.lost();
    assert_eq!(bench.feed.stopped(), Some(&StopReason::Shutdown));
}

#[test]
fn s2_stopped_absorbs_every_event() {
    let mut bench = Bench::new(patient(), Puppet::default());
    bench.connect();
    bench.shutdown();
    bench.lost();
    let events = [
        Event::Start,
        Event::Connected { id: id(1), connected: Connected::default() },
        Event::ConnectFailed { id: id(1), failure: refused() },
        Event::Frame { id: id(1), frame: text("item:a") },
        Event::Flushed { id: id(1) },
        Event::Lost { id: id(1), failure: refused() },
        Event::Tick,
        Event::Shutdown,
        Event::HandlerPanicked,
        Event::RuntimeStopped,
    ];
    for event in events {
        assert_eq!(bench.at(1_000_000).hand_in(event), []);
        assert_eq!(bench.feed.stopped(), Some(&StopReason::Shutdown));
        bench.assert_no_deadline();
        assert!(!bench.feed.wants_frames());
    }
    assert_eq!(bench.feed.send("x"), Err(SendError::NotLive("x".into())));
}

#[test]
fn s2_what_is_queued_can_still_be_taken() {
    let mut bench = Bench::new(patient().buffer(2), Puppet::default());
    bench.connect();
    bench.text("item:a item:b");
    bench.shutdown();
    bench.lost();
    let end = Delivery::Interrupted { id: id(1), failure: None };
    assert_eq!(bench.request(1).deliveries(), [opened(1), live(1), item("a")]);
    assert_eq!(bench.request(9).deliveries(), [item("b"), end]);
    assert_eq!(bench.actions(), [], "and nothing is resumed");
}

/// The socket is dropped at once, and a shutdown that had begun is one.
#[test]
fn s3_a_runtime_that_stops_has_a_reason_of_its_own() {
    for (shut_down, reason) in [(false, StopReason::RuntimeStopped), (true, StopReason::Shutdown)] {
        let mut bench = Bench::plain(patient());
        bench.connect();
        if shut_down {
            bench.shutdown();
        }
        let actions = bench.hand_in(Event::RuntimeStopped);
        assert_eq!(notices(&actions).last(), Some(&Notice::Stopped { reason: reason.clone() }));
        assert!(names(&actions).contains(&"Abort"), "{actions:?}");
        assert_eq!(bench.feed.stopped(), Some(&reason));
    }
}

#[test]
fn s3_the_reason_tells_a_shutdown_from_the_rest() {
    let mut shut = Bench::plain(patient());
    shut.shutdown();
    assert_eq!(shut.feed.stopped().map(StopReason::kind), Some("shutdown"));
    assert_eq!(shut.feed.stopped().and_then(StopReason::failure), None);

    let mut fatal = Bench::new(patient(), PassThrough);
    fatal.start();
    let failure = Failure::Local(LocalFailure::Fault(Fault::fatal("no")));
    let actions = fatal.connect_failed(failure.clone());
    let reason = StopReason::Fatal { failure };
    assert!(notices(&actions).contains(&Notice::Stopped { reason: reason.clone() }));
    assert_eq!(fatal.feed.stopped(), Some(&reason));
}

#[test]
fn a_shutdown_before_the_dial_was_carried_out_takes_it_back() {
    let mut bench = Bench::plain(patient());
    bench.feed.handle(Event::Start, common::at(0));
    bench.feed.handle(Event::Shutdown, common::at(0));
    let actions = bench.actions();
    assert_eq!(names(&actions), ["connecting", "Connect", "Abort", "stopped"]);
    assert_eq!(actions[2], Asked::Do(Action::Abort { id: id(1) }));
}
