//! The frame handler: sessions, requests, hooks, timers, faults and panics (H1-H5).

mod common;

use std::cell::Cell;
use std::cell::RefCell;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use bytes::Bytes;
use common::{
    Asked, Bench, Puppet, at, close, id, interrupted, item, live, names, opened, patient, sent, text,
};
use tidegate_core::{
    CloseFrame, ConnectionId, Context, Delivery, Event, Failure, Fault, Frame, FrameHandler, LocalFailure,
    Machine, Message, Overflow, PassThrough, Phase, Step, StopReason, TimerKey, Upgrade, from_fn,
};

fn bench() -> Bench<Puppet> {
    let mut bench = Bench::new(patient(), Puppet::default());
    bench.connect();
    bench.deliveries();
    bench.request(99);
    bench
}

#[test]
fn h1_each_connection_has_a_session_of_its_own() {
    let mut bench = bench();
    bench.text("count");
    bench.text("count");
    assert_eq!(bench.deliveries(), [item("1"), item("2")]);
    bench.lost();
    bench.connect();
    bench.text("count");
    assert_eq!(bench.deliveries().last(), Some(&item("1")));
}

#[test]
fn h1_a_session_is_dropped_with_its_connection() {
    let endings: [fn(&mut Bench<Puppet>); 6] = [
        |bench| _ = bench.lost(),
        |bench| _ = bench.shutdown(),
        |bench| _ = bench.text("fault"),
        |bench| _ = bench.text("reconnect"),
        |bench| _ = bench.frame(Frame::Close(None)),
        |bench| _ = bench.hand_in(Event::HandlerPanicked),
    ];
    for ending in endings {
        let mut bench = bench();
        let sessions = |bench: &Bench<Puppet>| Rc::strong_count(&bench.feed.handler().alive) - 1;
        assert_eq!(sessions(&bench), 1);
        ending(&mut bench);
        assert_eq!(sessions(&bench), 0);
    }
}

#[test]
fn h1_from_fn_starts_each_connection_with_a_clone() {
    let handler = from_fn(10, |_, count| {
        *count += 1;
        Step::Emit(vec![*count])
    });
    let mut bench = Bench::new(patient(), handler);
    bench.connect();
    bench.request(99).text("x");
    bench.text("x");
    bench.lost();
    bench.connect();
    bench.text("x");
    let items: Vec<i32> = bench.deliveries().into_iter().filter_map(into_item).collect();
    assert_eq!(items, [11, 12, 11]);
}

#[test]
fn d3_an_item_weighs_its_own_size_by_default() {
    fn weigh<H: FrameHandler>(_: &H, item: &H::Item) -> usize {
        H::weight(item)
    }
    let handler = from_fn((), |_, ()| Step::Emit(vec![7_u64]));
    assert_eq!(weigh(&handler, &7), 8);
}

/// Panics once, when the item with this number is dropped.
struct Fragile(u64, Rc<Cell<Option<u64>>>);

impl Drop for Fragile {
    fn drop(&mut self) {
        if self.1.get() == Some(self.0) {
            self.1.set(None);
            panic!("told to");
        }
    }
}

#[test]
fn h5_an_item_that_panics_when_it_is_dropped_leaves_the_others() {
    let breaks = Rc::new(Cell::new(Some(0)));
    let handler = from_fn((0, breaks), |_, (next, breaks): &mut (u64, Rc<Cell<Option<u64>>>)| {
        *next += 1;
        Step::Emit(vec![Fragile(*next - 1, breaks.clone())])
    });
    let mut bench = Bench::new(patient().buffer(2).overflow(Overflow::DropOldest), handler);
    bench.connect();
    bench.text("x");
    bench.text("x");
    assert!(catch_unwind(AssertUnwindSafe(|| bench.text("x"))).is_err());
    bench.hand_in(Event::HandlerPanicked);
    let left: Vec<_> =
        bench.request(99).deliveries().into_iter().filter_map(into_item).map(|item| item.0).collect();
    assert_eq!(left, [1, 2]);
    assert_eq!(bench.feed.stats().queued_bytes, 0);
}

fn into_item<T>(delivery: Delivery<T>) -> Option<T> {
    if let Delivery::Item(item) = delivery { Some(item) } else { None }
}

#[test]
fn h2_one_call_per_data_frame_in_order_and_none_for_control_frames() {
    let mut bench = Bench::plain(patient());
    bench.connect();
    bench.request(99);
    let frames = [
        text("1"),
        Frame::Ping(Bytes::from_static(b"ping")),
        Frame::Message(Message::Binary(Bytes::from_static(b"2"))),
        Frame::Pong(Bytes::from_static(b"pong")),
        text(""),
        Frame::Close(Some(CloseFrame::new(1000))),
    ];
    for frame in frames {
        bench.frame(frame);
    }
    let messages: Vec<Message> = bench.deliveries().into_iter().filter_map(into_item).collect();
    let binary = Message::Binary(Bytes::from_static(b"2"));
    assert_eq!(messages, ["1".into(), binary, "".into()]);
    assert_eq!(bench.feed.stats().messages, 3);
}

#[test]
fn h2_a_closing_connection_has_no_handler_any_more() {
    let mut bench = bench();
    bench.text("reconnect");
    bench.text("item:late");
    assert_eq!(bench.deliveries(), [interrupted(1, Failure::Local(LocalFailure::Reconnect))]);
}

#[test]
fn h3_a_retryable_fault_reconnects_and_what_was_emitted_before_it_stands() {
    let mut bench = bench();
    let actions = bench.text("item:a send:bye fault item:b");
    assert_eq!(names(&actions), ["status", "disconnected", "Send", "Close"]);
    let fault = Failure::Local(LocalFailure::Fault(Fault::retryable("fault")));
    assert_eq!(bench.deliveries(), [item("a"), interrupted(1, fault)]);
    assert_eq!(names(&bench.lost()), ["retry"]);
}

#[test]
fn h3_a_fatal_fault_stops_the_feed_after_the_closing_handshake() {
    let mut bench = bench();
    assert_eq!(bench.text("fatal")[2], close(1, 1000));
    bench.lost();
    let failure = Failure::Local(LocalFailure::Fault(Fault::fatal("fatal")));
    assert_eq!(bench.feed.stopped(), Some(&StopReason::Fatal { failure }));
}

#[test]
fn h3_from_fn_has_the_references_three_outcomes() {
    let handler = from_fn((), |message, ()| match message.as_text() {
        Some("fail") => Step::Fail(Fault::retryable("told to")),
        Some(text) => Step::Emit(vec![text.len()]),
        None => Step::Skip,
    });
    let mut bench = Bench::new(patient(), handler);
    bench.connect();
    bench.request(9);
    bench.text("abc");
    bench.frame(Frame::Message(Message::Binary(Bytes::new())));
    bench.text("fail");
    let fault = Failure::Local(LocalFailure::Fault(Fault::retryable("told to")));
    assert_eq!(bench.deliveries(), [opened(1), live(1), Delivery::Item(3), interrupted(1, fault)]);
}

#[test]
fn h3_h4_a_message_makes_items_and_replies() {
    let mut bench = bench();
    assert_eq!(sent(&bench.text("item:a send:1 item:b send:2")), ["1", "2"]);
    assert_eq!(sent(&bench.text("send:3 item:c")), ["3"]);
    assert_eq!(bench.deliveries(), ["a", "b", "c"].map(item));
}

#[test]
fn h4_a_reply_the_outgoing_queue_has_no_room_for_comes_back() {
    let mut bench = Bench::new(patient().send_buffer(2), Puppet::default());
    bench.connect();
    bench.request(9);
    assert_eq!(sent(&bench.text("send:1 send:2 send:3")), ["1", "2"]);
    assert_eq!(bench.deliveries()[2], item("the message was not sent: the outgoing queue is full"));
    bench.flushed();
    assert_eq!(sent(&bench.text("send:4")), ["4"]);
}

#[test]
fn h4_a_timer_fires_at_its_time_once() {
    let mut bench = bench();
    bench.at(10).text("timer1:500");
    bench.assert_deadline(500);
    bench.at(499).tick();
    assert_eq!(bench.deliveries(), []);
    bench.at(500).tick();
    assert_eq!(bench.deliveries(), [item("timer1")]);
    bench.assert_no_deadline();
}

#[test]
fn h4_each_key_is_a_timer_and_setting_it_again_moves_it() {
    let mut bench = bench();
    bench.text("timer1:500 timer2:600");
    bench.text("timer1:700");
    bench.assert_deadline(600);
    bench.text("timer2:800 cancel1");
    bench.assert_deadline(800);
    bench.text("timer1:800");
    bench.at(800).tick();
    assert_eq!(bench.deliveries(), [item("timer1"), item("timer2")]);
    bench.assert_no_deadline();
}

#[test]
fn h4_a_time_that_has_passed_means_as_soon_as_can_be() {
    // P2: after the Tick that runs it, the deadline still lies in the future.
    let mut bench = bench();
    bench.at(100).text("timer1:5");
    assert!(bench.feed.deadline() > at(100).into());
    bench.expire();
    assert_eq!(bench.deliveries(), [item("timer1")]);
}

#[test]
fn h4_a_timer_can_be_set_at_the_upgrade_and_does_not_outlive_the_connection() {
    let handler = Puppet { timer_at_upgrade: Some(at(50)), ..Puppet::default() };
    let mut bench = Bench::new(patient(), handler);
    bench.connect();
    bench.assert_deadline(50);
    bench.at(20).lost();
    bench.assert_deadline(120);
}

#[test]
fn h4_while_reading_is_paused_timers_stand_still() {
    let mut bench = Bench::new(patient().buffer(1), Puppet::default());
    bench.connect();
    bench.text("timer1:50 item:a");
    bench.assert_no_deadline();
    assert_eq!(bench.at(60).tick(), []);
    assert_eq!(bench.request(9).deliveries(), [opened(1), live(1), item("a")]);
    // Later by the length of the pause.
    bench.assert_deadline(110);
    bench.at(110).tick();
    assert_eq!(bench.deliveries(), [item("timer1")]);
}

#[test]
fn h4_a_handler_may_ask_for_a_new_connection() {
    let mut bench = bench();
    let actions = bench.at(5).text("item:a reconnect");
    assert_eq!(names(&actions), ["status", "disconnected", "Close"]);
    assert_eq!(bench.deliveries(), [item("a"), interrupted(1, Failure::Local(LocalFailure::Reconnect))]);
    bench.at(20).lost();
    bench.assert_phase(Phase::Waiting);
    bench.assert_deadline(120);
}

/// Has nothing but what a handler must have, and wants to be woken at 50 ms. Its items are four bytes each.
struct Least;

impl FrameHandler for Least {
    type Session = ();
    type Item = u32;

    fn on_upgrade(&mut self, upgrade: &mut Upgrade<'_>) -> Result<(), Fault> {
        upgrade.set_timer(TimerKey(1), at(50));
        Ok(())
    }

    fn on_message(
        &mut self,
        _session: &mut (),
        _message: Message,
        cx: &mut Context<'_, u32>,
    ) -> Result<(), Fault> {
        cx.emit(7);
        Ok(())
    }
}

#[test]
fn by_default_a_handler_is_ready_once_flushed_sleeps_on_and_weighs_items_by_their_size() {
    let mut bench = Bench::new(patient(), Least);
    bench.connect();
    bench.assert_phase(Phase::Live);
    bench.text("x");
    assert_eq!(bench.feed.stats().queued_bytes, 4);
    assert_eq!(bench.at(50).tick(), []);
    bench.assert_phase(Phase::Live);
    bench.assert_no_deadline();
    assert_eq!(bench.request(9).deliveries(), [opened(1), live(1), Delivery::Item(7)]);
}

#[test]
fn b1_with_bootstrap_leaves_all_else_to_the_handler() {
    let handler = Puppet { timer_at_upgrade: Some(at(50)), ..Puppet::default() }.declares();
    let mut bench = Bench::new(patient(), handler.with_bootstrap(|_| Ok(["subscribe"])));
    bench.connect();
    bench.request(9).flushed();
    bench.assert_phase(Phase::Bootstrapping);
    bench.text("item:abc ready");
    bench.assert_phase(Phase::Live);
    assert_eq!(bench.feed.stats().queued_bytes, 300);
    bench.at(50).tick();
    assert_eq!(bench.deliveries(), [opened(1), item("abc"), live(1), item("timer1")]);
}

/// Hands in what makes the handler panic, as a driver does: catch, then report.
fn panic_on_message(bench: &mut Bench<Puppet>) -> Vec<Asked> {
    let feed: &mut Machine<Puppet> = &mut bench.feed;
    let call = || feed.handle(Event::Frame { id: id(1), frame: text("item:lost send:lost panic") }, at(1));
    catch_unwind(AssertUnwindSafe(call)).expect_err("it panics");
    bench.at(1).hand_in(Event::HandlerPanicked)
}

#[test]
fn h5_a_panic_ends_the_feed_and_drops_what_the_handler_was_about_to_do() {
    let mut bench = bench();
    bench.text("item:a");
    let actions = panic_on_message(&mut bench);
    assert_eq!(names(&actions), ["status", "disconnected", "Abort", "stopped"]);
    assert_eq!(bench.feed.stopped(), Some(&StopReason::HandlerPanicked));
    bench.assert_no_deadline();
    let end = Delivery::Interrupted { id: id(1), failure: None };
    assert_eq!(bench.deliveries(), [item("a"), end]);
}

#[test]
fn h5_a_panic_is_the_end_in_every_phase() {
    type Reach = fn(&mut Bench<Puppet>);
    let phases: [(Phase, Reach); 6] = [
        (Phase::Idle, |_| ()),
        (Phase::Connecting, |bench| _ = bench.start()),
        (Phase::Bootstrapping, |bench| _ = bench.connect()),
        (Phase::Live, |bench| {
            bench.connect();
            bench.flushed();
        }),
        (Phase::Closing, |bench| {
            bench.connect();
            bench.frame(Frame::Close(None));
        }),
        (Phase::Waiting, |bench| {
            bench.connect();
            bench.lost();
        }),
    ];
    for (phase, reach) in phases {
        let mut bench = Bench::new(patient(), Puppet::bootstraps(&["a"]));
        reach(&mut bench);
        bench.assert_phase(phase);
        let has_socket = bench.feed.connection().is_some();
        let actions = bench.hand_in(Event::HandlerPanicked);
        assert_eq!(names(&actions).contains(&"Abort"), has_socket, "{phase}");
        assert_eq!(bench.feed.stopped(), Some(&StopReason::HandlerPanicked));
    }
}

#[test]
fn h5_a_feed_that_has_stopped_keeps_its_reason() {
    let mut bench = Bench::new(patient(), PassThrough);
    bench.shutdown();
    assert_eq!(bench.hand_in(Event::HandlerPanicked), []);
    assert_eq!(bench.feed.stopped(), Some(&StopReason::Shutdown));
}

/// Writes down what it is told of its connections. Sends `hello` once Live.
#[derive(Clone, Default)]
struct Diary(Rc<RefCell<Vec<String>>>);

impl Diary {
    fn take(&self) -> Vec<String> {
        self.0.take()
    }
}

impl FrameHandler for Diary {
    type Session = ConnectionId;
    type Item = String;

    fn on_upgrade(&mut self, upgrade: &mut Upgrade<'_>) -> Result<ConnectionId, Fault> {
        Ok(upgrade.connection())
    }

    fn on_message(
        &mut self,
        _: &mut ConnectionId,
        _: Message,
        _: &mut Context<'_, String>,
    ) -> Result<(), Fault> {
        Err(Fault::retryable("told to"))
    }

    fn on_live(&mut self, id: &mut ConnectionId, cx: &mut Context<'_, Infallible>) -> Result<(), Fault> {
        self.0.borrow_mut().push(format!("{id} live"));
        cx.send("hello").expect("there is room");
        if id.get() == 4 { Err(Fault::fatal("not the fourth")) } else { Ok(()) }
    }

    fn on_end(&mut self, id: ConnectionId, why: Option<&Failure>) {
        let why = why.map_or("the application".to_owned(), ToString::to_string);
        self.0.borrow_mut().push(format!("{id} over: {why}"));
    }
}

#[test]
fn h1_a_handler_is_told_when_its_connection_is_live_and_why_it_ends() {
    let diary = Diary::default();
    let mut bench = Bench::new(patient(), diary.clone());
    assert_eq!(sent(&bench.connect()), ["hello"]);
    assert_eq!(diary.take(), ["1 live"]);
    bench.lost();
    assert_eq!(diary.take(), ["1 over: the connection broke: connection reset"]);
    bench.expire();
    bench.connected();
    bench.text("x");
    bench.assert_phase(Phase::Closing);
    assert_eq!(diary.take(), ["2 live", "2 over: the handler returned a fault: told to"]);
    bench.lost();
    bench.expire();
    bench.connected();
    bench.at(9999).lost();
    assert_eq!(diary.take(), ["3 live", "3 over: the connection broke: connection reset"]);
    bench.expire();
    bench.connected();
    let fault = "4 over: the handler returned a fault: not the fourth";
    assert_eq!(diary.take(), ["4 live", fault]);
    bench.lost();
    assert_eq!(diary.take(), [""; 0]);
    assert!(matches!(bench.feed.stopped(), Some(StopReason::Fatal { .. })));
}

#[test]
fn h1_a_shutdown_has_no_failure_and_a_bootstrap_may_end_too() {
    let diary = Diary::default();
    let mut bench = Bench::new(patient(), diary.clone().with_bootstrap(|_| Ok(["subscribe"])));
    bench.connect();
    bench.shutdown();
    assert_eq!(diary.take(), ["1 over: the application"]);
    let not_text = Message::Text(Bytes::from_static(b"\xff"));
    let mut bench = Bench::new(patient(), diary.clone().with_bootstrap(move |_| Ok([not_text.clone()])));
    bench.connect();
    let ended = diary.take();
    assert!(ended.len() == 1 && ended[0].contains("not UTF-8"), "{ended:?}");
}
