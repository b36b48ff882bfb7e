//! What handles do: send, watch, wait.
#![allow(clippy::unwrap_used, reason = "the lint does not know that the cases are tests")]

mod common;

use std::sync::{Arc, OnceLock};
use std::task::{Context, Wake, Waker};

use common::{Gate, Mode, Rig, SECOND, Wakes, World, builder, config, in_both_modes};
use futures_util::FutureExt;
use tidegate_driver::FeedHandle;
use tidegate_driver::core::{
    CloseFrame, CloseFrameError, ConnectionId, Frame, Message, Phase, SendError, Step, StopReason, from_fn,
};

in_both_modes!(
    a_message_that_meets_a_loss_comes_back,
    a_full_queue_gives_the_message_back,
    a_message_that_waits_for_room_is_not_sent_on_the_next_connection,
    text_that_is_not_utf8_comes_back,
    a_handle_replaces_the_connection_and_ends_a_delay,
    a_probe_is_a_ping_that_must_be_answered,
    a_shutdown_may_have_a_code_and_a_reason,
    a_handler_that_uses_a_handle_meets_the_bound,
    wait_for_sees_the_phase_it_waits_for,
    a_watcher_that_gives_up_leaves_nothing_behind,
    a_waker_that_panics_keeps_no_other_task_waiting,
    figures_of_a_feed_that_is_dropped_are_the_last,
);

/// O1: accepted while Live, taken by the loop when the feed no longer is.
fn a_message_that_meets_a_loss_comes_back(mode: Mode) {
    let mut rig = Rig::live(mode);
    let mut cx = Context::from_waker(Waker::noop());
    rig.handle.shutdown();
    let handle = rig.handle.clone();
    let mut before = Box::pin(handle.send("before the loop sees the shutdown"));
    assert!(before.as_mut().poll(&mut cx).is_pending());
    rig.settle();
    // The loop takes all commands at once, messages first.
    assert_eq!(rig.wait(before), Some(Ok(ConnectionId::new(1))));
    assert_eq!(rig.phase(), Phase::Closing);
    let after = rig.send("after").unwrap();
    assert_eq!(after, Err(SendError::NotLive(Message::from("after"))));
}

/// O3.
fn a_full_queue_gives_the_message_back(mode: Mode) {
    let mut rig = Rig::with(mode, |builder| builder.config(config().send_buffer(2)));
    let handle = rig.handle.clone();
    rig.peer().hold(Gate::Flush);
    assert_eq!(rig.send("1"), Some(Ok(())));
    assert_eq!(rig.send("2"), Some(Ok(())));
    // Refused at once: the bound covers messages that wait for the loop and those that wait for the socket.
    assert_eq!(handle.try_send("3"), Err(SendError::Full(Message::from("3"))));
    assert_eq!(rig.handle.stats().sending, 2);
    let mut waiting = Box::pin(handle.send("4"));
    assert_eq!(rig.wait(waiting.as_mut()), None);
    rig.peer().release();
    assert_eq!(rig.wait(waiting), Some(Ok(ConnectionId::new(1))));
    assert_eq!(handle.try_send("5"), Ok(()));
    rig.settle();
    let all = ["1", "2", "4", "5"].map(Frame::from);
    assert_eq!(rig.peer().received(), all);

    // Messages that wait for the loop alone are bounded as well.
    assert_eq!([(); 3].map(|()| handle.try_send("burst").is_ok()), [true, true, false]);
}

/// O1: a message waits for room on the connection that it is for, and for no other.
fn a_message_that_waits_for_room_is_not_sent_on_the_next_connection(mode: Mode) {
    let mut rig = Rig::with(mode, |builder| builder.config(config().send_buffer(1)));
    let handle = rig.handle.clone();
    rig.peer().hold(Gate::Flush);
    assert_eq!(handle.try_send("1"), Ok(()));
    let mut waiting = Box::pin(handle.send("2"));
    assert_eq!(rig.wait(waiting.as_mut()), None);
    rig.peer().reset();
    // Live again before the sender looks.
    rig.settle();
    rig.advance(SECOND);
    assert_eq!(rig.phase(), Phase::Live);
    assert_eq!(waiting.now_or_never(), Some(Err(SendError::NotLive(Message::from("2")))));
    assert_eq!(rig.peer().received(), []);
}

/// O1.
fn text_that_is_not_utf8_comes_back(mode: Mode) {
    let mut rig = Rig::live(mode);
    let (handle, text) = (rig.handle.clone(), Message::Text(vec![0xff].into()));
    assert_eq!(handle.try_send(text.clone()), Err(SendError::NotUtf8(text.clone())));
    assert_eq!(rig.wait(handle.send(text.clone())), Some(Err(SendError::NotUtf8(text))));
}

/// O3: messages that the loop has taken count while the handler runs, although their result is not published yet.
fn a_handler_that_uses_a_handle_meets_the_bound(mode: Mode) {
    let handle = Arc::new(OnceLock::<FeedHandle>::new());
    let answer = Arc::new(OnceLock::new());
    let (own, seen) = (handle.clone(), answer.clone());
    let handler = from_fn((), move |_, ()| {
        seen.set(own.get().unwrap().try_send("2")).unwrap();
        Step::<Message>::Skip
    });
    let mut rig = Rig::with(mode, |builder| builder.config(config().send_buffer(1)).handler(handler));
    handle.set(rig.handle.clone()).unwrap();
    rig.peer().hold(Gate::Flush);
    let sender = rig.handle.clone();
    let mut first = Box::pin(sender.send("1"));
    assert!(first.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    rig.send_items(0..1);
    rig.settle();
    assert_eq!(first.now_or_never(), Some(Ok(ConnectionId::new(1))));
    assert_eq!(answer.get(), Some(&Err(SendError::Full(Message::from("2")))));
}

fn wait_for_sees_the_phase_it_waits_for(mode: Mode) {
    let world = World::default();
    let mut rig = Rig::idle(mode, &world, builder(&world));
    let handle = rig.handle.clone();
    assert_eq!(rig.wait(handle.wait_for(|phase| phase == Phase::Live)), Some(Phase::Live));
    assert_eq!(rig.wait(handle.wait_for(|phase| phase == Phase::Waiting)), None, "it waits");
    rig.peer().reset();
    assert_eq!(rig.wait(handle.wait_for(|phase| phase == Phase::Waiting)), Some(Phase::Waiting));
    rig.handle.shutdown();
    assert_eq!(rig.wait(handle.wait_for(|phase| phase == Phase::Live)), Some(Phase::Stopped));
    assert_eq!(format!("{handle:?}"), "FeedHandle { phase: Stopped, .. }");
}

/// A feed may stay Live for months while watchers come and go.
fn a_watcher_that_gives_up_leaves_nothing_behind(mode: Mode) {
    let rig = Rig::live(mode);
    let wakes = Arc::<Wakes>::default();
    let waker = Waker::from(wakes.clone());
    let mut waiting = Box::pin(rig.handle.wait_for(|phase| phase == Phase::Waiting));
    assert!(waiting.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    drop(waiting);
    drop(waker);
    assert_eq!(Arc::strong_count(&wakes), 1);
}

struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("planned");
    }
}

/// H5: neither a watcher nor a sender.
fn a_waker_that_panics_keeps_no_other_task_waiting(mode: Mode) {
    let mut rig = Rig::live(mode);
    let handle = rig.handle.clone();
    let panics = Waker::from(Arc::new(Panics));
    let wakes = Arc::<Wakes>::default();
    let waker = Waker::from(wakes.clone());
    let mut watchers = [&panics, &waker].map(|waker| {
        let mut waiting = Box::pin(handle.wait_for(|phase| phase == Phase::Waiting));
        assert!(waiting.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
        waiting
    });
    rig.peer().reset();
    rig.settle();
    assert!(wakes.take() > 0);
    assert_eq!(watchers[1].as_mut().now_or_never(), Some(Phase::Waiting));
}

fn figures_of_a_feed_that_is_dropped_are_the_last(mode: Mode) {
    let mut rig = Rig::live(mode);
    let handle = rig.handle.clone();
    rig.peer().hold(Gate::Flush);
    assert_eq!(rig.send("1"), Some(Ok(())));
    assert_eq!(handle.stats().sending, 1);
    rig.drop_feed();
    assert_eq!((handle.phase(), handle.stats().sending), (Phase::Stopped, 0));
}

/// S5.
fn a_handle_replaces_the_connection_and_ends_a_delay(mode: Mode) {
    let mut rig = Rig::live(mode);
    let handle = rig.handle.clone();
    let first = rig.peer();
    handle.retry_now();
    handle.reconnect();
    rig.settle();
    assert_eq!(first.received(), [Frame::Close(Some(CloseFrame::new(CloseFrame::NORMAL)))]);
    first.send(Frame::Close(None));
    first.end();
    rig.settle();
    assert_eq!(rig.phase(), Phase::Waiting);
    handle.reconnect();
    rig.settle();
    assert_eq!(rig.phase(), Phase::Waiting);
    handle.retry_now();
    rig.settle();
    assert_eq!(rig.phase(), Phase::Live);
    assert_eq!(handle.stats().attempts, 2);
}

/// L3: without pings of its own, the feed sends this one, and ends the connection if nothing answers.
fn a_probe_is_a_ping_that_must_be_answered(mode: Mode) {
    let mut rig = Rig::live(mode);
    let handle = rig.handle.clone();
    handle.probe();
    handle.probe();
    rig.settle();
    let [Frame::Ping(payload)] = &rig.peer().received()[..] else { panic!("one ping") };
    rig.peer().send(Frame::Pong(payload.clone()));
    rig.advance(10 * SECOND);
    assert_eq!((rig.phase(), rig.peer().received().len()), (Phase::Live, 1));
    handle.probe();
    rig.settle();
    rig.advance(10 * SECOND);
    assert_eq!(rig.phase(), Phase::Waiting);
}

/// S1.
fn a_shutdown_may_have_a_code_and_a_reason(mode: Mode) {
    let mut rig = Rig::live(mode);
    let handle = rig.handle.clone();
    let reason = "moved away".to_owned();
    let reserved = CloseFrame::new(1006);
    assert_eq!(handle.shutdown_with(reserved), Err(CloseFrameError::Code(1006)));
    let long = CloseFrame { code: 4000, reason: "x".repeat(124) };
    assert_eq!(handle.shutdown_with(long), Err(CloseFrameError::Reason { len: 124 }));
    rig.settle();
    assert_eq!((rig.phase(), handle.stop_reason()), (Phase::Live, None));
    let close = CloseFrame { code: 4001, reason };
    assert_eq!(handle.shutdown_with(close.clone()), Ok(()));
    rig.settle();
    assert_eq!(rig.peer().received(), [Frame::Close(Some(close))]);
    rig.advance(SECOND);
    assert_eq!(handle.stop_reason(), Some(StopReason::Shutdown));
}
