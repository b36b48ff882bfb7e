//! Bootstrap: what a connection owes before it is Live (B1-B5).

mod common;

use bytes::Bytes;
use common::{
    Bench, Puppet, broken, close, id, interrupted, item, live, ms, names, notices, opened, patient, sent,
};
use tidegate_core::{
    BootstrapFailure, Failure, Fault, FrameHandler, Message, Notice, PassThrough, Phase, StopReason,
};

#[test]
fn b1_the_frames_go_out_in_order_after_every_upgrade() {
    let mut bench = Bench::new(patient(), Puppet::bootstraps(&["login", "trades", "quotes"]));
    bench.start();
    for _ in 0..3 {
        assert_eq!(sent(&bench.connected()), ["login", "trades", "quotes"]);
        bench.flushed();
        bench.lost();
        bench.expire();
    }
}

#[test]
fn b1_with_bootstrap_frames_go_out_before_the_handlers_own() {
    let handler = Puppet::bootstraps(&["own"]).with_bootstrap(|id| Ok([format!("connection {id}")]));
    let mut bench = Bench::new(patient(), handler);
    assert_eq!(sent(&bench.connect()), ["connection 1", "own"]);
    bench.lost();
    assert_eq!(sent(&bench.connect()), ["connection 2", "own"], "made anew for each connection");
}

#[test]
fn b1_more_than_the_send_buffer_holds_go_out_and_do_not_count_against_it() {
    let mut bench = Bench::new(patient().send_buffer(1), Puppet::bootstraps(&["a", "b"]).declares());
    assert_eq!(sent(&bench.connect()), ["a", "b"]);
    assert_eq!(sent(&bench.text("send:reply")), ["reply"]);
    bench.text("send:reply");
    bench.request(9);
    let full = item("the message was not sent: the outgoing queue is full");
    assert_eq!(bench.deliveries(), [opened(1), full]);
}

#[test]
fn b2_live_only_once_all_frames_are_flushed() {
    let mut bench = Bench::new(patient(), Puppet::bootstraps(&["a", "b"]));
    bench.start();
    bench.feed.handle(
        tidegate_core::Event::Connected { id: id(1), connected: tidegate_core::Connected::default() },
        common::at(0),
    );
    assert_eq!(bench.feed.poll_send(id(1)), Some("a".into()));
    bench.feed.handle(tidegate_core::Event::Flushed { id: id(1) }, common::at(0));
    bench.assert_phase(Phase::Bootstrapping);
    assert_eq!(names(&bench.actions()), ["Send"], "the second was not taken yet, let alone flushed");
    bench.assert_phase(Phase::Bootstrapping);
    assert_eq!(names(&bench.flushed()), ["success", "status"]);
    bench.assert_phase(Phase::Live);
}

#[test]
fn b2_a_reply_during_bootstrap_does_not_hold_it_up() {
    let mut bench = Bench::new(patient(), Puppet::bootstraps(&["a"]).declares());
    bench.connect();
    bench.flushed();
    assert_eq!(names(&bench.text("send:more ready")), ["success", "status", "Send"]);
}

#[test]
fn b2_a_handler_that_holds_decides_with_ready() {
    let mut bench = Bench::new(patient(), Puppet::bootstraps(&["a"]).declares());
    bench.connect();
    bench.flushed();
    bench.assert_phase(Phase::Bootstrapping);
    bench.text("");
    bench.assert_phase(Phase::Bootstrapping);
    bench.text("ready");
    bench.assert_phase(Phase::Live);
}

#[test]
fn b2_ready_before_the_flush_waits_for_it() {
    let mut bench = Bench::new(patient(), Puppet::bootstraps(&["a"]).declares());
    bench.connect();
    bench.text("ready");
    bench.assert_phase(Phase::Bootstrapping);
    bench.flushed();
    bench.assert_phase(Phase::Live);
}

#[test]
fn b3_bootstrap_timeout_bounds_it_and_frames_do_not_extend_it() {
    let config = patient().bootstrap_timeout(ms(500));
    let mut bench = Bench::new(config, Puppet::bootstraps(&["a"]).declares());
    bench.start();
    bench.at(20).connected();
    bench.flushed();
    bench.at(400).text("");
    bench.assert_deadline(520);
    assert_eq!(bench.at(519).tick(), []);
    let actions = bench.at(520).tick();
    assert_eq!(names(&actions), ["failure", "Abort", "retry"]);
    let failure = Failure::Bootstrap(BootstrapFailure::Timeout);
    assert_eq!(notices(&actions)[0], Notice::Failure { id: id(1), failure });
}

#[test]
fn b3_the_clock_stands_still_while_reading_is_paused() {
    let mut bench = Bench::new(patient().buffer(1).bootstrap_timeout(ms(500)), Puppet::default().declares());
    bench.connect();
    bench.at(100).text("item:a");
    bench.assert_no_deadline();
    assert_eq!(bench.at(9000).tick(), []);
    bench.request(1).deliveries();
    bench.assert_deadline(9400);
}

/// Else a feed whose queue fills and empties with each message would wait for ever for an acknowledgement that was lost.
#[test]
fn b3_pauses_do_not_put_the_end_off() {
    let mut bench = Bench::new(patient().buffer(1).bootstrap_timeout(ms(500)), Puppet::default().declares());
    bench.connect();
    for time in [100, 200, 300, 400] {
        bench.at(time).text("item:a");
        bench.request(1).deliveries();
        bench.assert_deadline(500);
    }
    assert!(names(&bench.at(500).tick()).ends_with(&["failure", "Abort", "retry"]));
}

/// A loop that was held up reads before it looks at the clock.
#[test]
fn b3_a_pause_does_not_put_off_what_is_due() {
    let mut bench = Bench::new(patient().buffer(1).bootstrap_timeout(ms(500)), Puppet::default().declares());
    bench.connect();
    let actions = bench.at(500).text("item:a");
    assert_eq!(names(&actions), ["failure", "Abort", "retry"]);
}

#[test]
fn b4_an_error_a_failed_send_and_the_timeout_are_bootstrap_failures_without_success() {
    let refusing = Puppet { refuses: Some(Fault::retryable("no ticket")), ..Puppet::bootstraps(&["a"]) };
    let fault = BootstrapFailure::Fault(Fault::retryable("no ticket"));
    let mut bench = Bench::new(patient(), refusing);
    let actions = bench.connect();
    assert_eq!(names(&actions), ["failure", "Close"], "and the frame before the error is not sent");
    assert_eq!(actions[1], close(1, 1000));
    assert_eq!(notices(&actions), [Notice::Failure { id: id(1), failure: Failure::Bootstrap(fault) }]);
    assert_eq!(names(&bench.lost()), ["retry"]);

    let mut bench = Bench::new(patient(), Puppet::bootstraps(&["a"]));
    bench.connect();
    let actions = bench.lost();
    assert_eq!(names(&actions), ["failure", "retry"]);
    let failure = Failure::Bootstrap(BootstrapFailure::Lost(Box::new(broken())));
    assert_eq!(notices(&actions)[0], Notice::Failure { id: id(1), failure });
}

#[test]
fn b4_a_fault_with_a_message_before_live_is_a_bootstrap_failure() {
    let mut bench = Bench::new(patient(), Puppet::bootstraps(&["a"]));
    bench.connect();
    let actions = bench.text("fault");
    assert_eq!(names(&actions), ["failure", "Close"]);
    let failure = Failure::Bootstrap(BootstrapFailure::Fault(Fault::retryable("fault")));
    assert_eq!(notices(&actions), [Notice::Failure { id: id(1), failure }]);
}

#[test]
fn b4_a_fatal_error_stops_the_feed_once_the_socket_is_gone() {
    let fault = Fault::fatal("wrong key");
    let mut bench = Bench::new(patient(), Puppet { refuses: Some(fault.clone()), ..Puppet::default() });
    bench.connect();
    bench.assert_phase(Phase::Closing);
    bench.lost();
    let failure = Failure::Bootstrap(BootstrapFailure::Fault(fault));
    assert_eq!(bench.feed.stopped(), Some(&StopReason::Fatal { failure }));
}

#[test]
fn b4_text_that_is_not_utf8_cannot_be_sent() {
    let bad = Message::Text(Bytes::from_static(b"\xff"));
    let handler = PassThrough.with_bootstrap(move |_| Ok(["fine".into(), bad.clone()]));
    let mut bench = Bench::new(patient(), handler);
    assert_eq!(names(&bench.connect()), ["failure", "Close"]);
    bench.lost();
    assert_eq!(bench.feed.stopped().map(StopReason::kind), Some("fatal"));
}

#[test]
fn b4_a_connection_lost_when_all_is_sent_fails_for_its_own_reason() {
    let mut bench = Bench::new(patient(), Puppet::bootstraps(&["a"]).declares());
    bench.connect();
    bench.flushed();
    let actions = bench.lost();
    assert_eq!(notices(&actions)[0], Notice::Failure { id: id(1), failure: broken() });
}

#[test]
fn b5_frames_during_bootstrap_go_to_the_handler_and_items_come_out_in_order() {
    let mut bench = Bench::new(patient(), Puppet::default().declares());
    bench.connect();
    bench.request(9);
    bench.text("item:a");
    bench.text("item:b ready item:c");
    bench.text("item:d");
    assert_eq!(bench.deliveries(), [opened(1), item("a"), item("b"), item("c"), live(1), item("d")]);
}

#[test]
fn b5_items_of_a_bootstrap_that_fails_are_followed_by_its_interruption() {
    let mut bench = Bench::new(patient(), Puppet::default().declares());
    bench.connect();
    bench.request(9).text("item:a");
    bench.lost();
    assert_eq!(bench.deliveries(), [opened(1), item("a"), interrupted(1, broken())]);
}

#[test]
fn b5_a_bootstrap_that_fails_without_an_item_leaves_no_mark() {
    let mut bench = Bench::new(patient(), Puppet::default().declares());
    bench.connect();
    bench.request(9).text("");
    bench.lost();
    assert_eq!(bench.deliveries(), [], "nor does a message that made none");
}
