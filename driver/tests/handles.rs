//! What handles do: send, watch, wait.
#![allow(clippy::unwrap_used, reason = "the lint does not know that the cases are tests")]

mod common;

use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Waker};

use common::{
    Dial, Gate, InStream, InTask, Mode, Rig, SECOND, Wakes, World, builder, config, in_both_modes, reset,
    text,
};
use futures_util::FutureExt;
use tidegate_driver::core::{Delivery, Message, Phase, SendError, Step, from_fn};
use tidegate_driver::{Feed, FeedHandle, Source};

in_both_modes!(
    a_message_is_sent_once_live,
    a_message_comes_back_unless_live,
    a_message_that_meets_a_loss_comes_back,
    a_full_queue_gives_the_message_back,
    a_handler_that_uses_a_handle_meets_the_bound,
    text_that_is_not_utf8_comes_back,
    phase_follows_the_feed,
    wait_for_sees_the_phase_it_waits_for,
    a_watcher_uses_its_handle_as_it_is_woken,
    a_watcher_that_gives_up_leaves_nothing_behind,
    stats_follow_the_feed,
);

fn a_message_is_sent_once_live<M: Mode>() {
    let world = World::default();
    let mut rig = Rig::new::<M, _>(&world, builder(&world));
    let handle = rig.handle.clone();
    assert_eq!(rig.wait(handle.send("hello")), Some(Ok(())));
    assert_eq!(rig.wait(handle.send(vec![1, 2])), Some(Ok(())));
    rig.settle();
    assert_eq!(rig.peer(1).received(), [text("hello"), Message::from(vec![1, 2]).into()]);
}

/// O1: in each phase but Live; without waiting for the loop.
fn a_message_comes_back_unless_live<M: Mode>() {
    let world = World::default();
    world.script(Dial::Hang);
    world.script(Dial::AcceptShut(Gate::Flush));
    let mut rig = Rig::idle::<M, _>(&world, builder(&world).on_upgrade(|_| Ok(["sub"])));
    let mut phases = Vec::new();
    let mut refused = |rig: &Rig<_>| {
        let error = rig.handle.send("mine").now_or_never().expect("at once").unwrap_err();
        assert_eq!(error, SendError::NotLive(Message::from("mine")));
        phases.push(rig.phase());
    };
    refused(&rig);
    rig.settle();
    refused(&rig);
    rig.advance(10 * SECOND);
    refused(&rig);
    rig.advance(SECOND);
    refused(&rig);
    rig.handle.shutdown();
    rig.settle();
    refused(&rig);
    rig.advance(SECOND);
    refused(&rig);
    let expected = [
        Phase::Idle,
        Phase::Connecting,
        Phase::Waiting,
        Phase::Bootstrapping,
        Phase::Closing,
        Phase::Stopped,
    ];
    assert_eq!(phases, expected);
}

/// O1: handed in while Live, seen by the loop when it no longer is.
fn a_message_that_meets_a_loss_comes_back<M: Mode>() {
    let world = World::default();
    let mut rig = Rig::new::<M, _>(&world, builder(&world));
    let mut cx = Context::from_waker(Waker::noop());
    rig.handle.shutdown();
    let handle = rig.handle.clone();
    let mut before = Box::pin(handle.send("before the loop sees the shutdown"));
    assert!(before.as_mut().poll(&mut cx).is_pending());
    rig.settle();
    // Orders are taken in one go, messages first.
    assert_eq!(rig.wait(before), Some(Ok(())));
    assert_eq!(rig.phase(), Phase::Closing);
    let after = rig.wait(handle.send("after")).unwrap();
    assert_eq!(after, Err(SendError::NotLive(Message::from("after"))));
}

/// O3.
fn a_full_queue_gives_the_message_back<M: Mode>() {
    let world = World::default();
    let mut rig = Rig::new::<M, _>(&world, builder(&world).config(config().send_buffer(2)));
    let handle = rig.handle.clone();
    rig.peer(1).shut(Gate::Flush);
    assert_eq!(rig.wait(handle.send("1")), Some(Ok(())));
    assert_eq!(rig.wait(handle.send("2")), Some(Ok(())));
    // At once: what waits for the loop and what waits for the socket share the bound.
    assert_eq!(handle.send("3").now_or_never(), Some(Err(SendError::Full(Message::from("3")))));
    assert_eq!(rig.handle.stats().sending, 2);
    rig.peer(1).open();
    rig.settle();
    assert_eq!(rig.wait(handle.send("4")), Some(Ok(())));
    rig.settle();
    assert_eq!(rig.peer(1).received(), [text("1"), text("2"), text("4")]);

    // And what waits for the loop is bounded as well.
    let mut cx = Context::from_waker(Waker::noop());
    let mut sends: Vec<_> = (0..3).map(|_| Box::pin(handle.send("burst"))).collect();
    let ready: Vec<_> = sends.iter_mut().map(|send| send.as_mut().poll(&mut cx).is_ready()).collect();
    assert_eq!(ready, [false, false, true]);
}

/// O3: what the loop has taken counts while the handler runs, though its answer is not published yet.
fn a_handler_that_uses_a_handle_meets_the_bound<M: Mode>() {
    let world = World::default();
    let handle = Arc::new(OnceLock::<FeedHandle>::new());
    let answer = Arc::new(OnceLock::new());
    let (own, seen) = (handle.clone(), answer.clone());
    let handler = from_fn((), move |_, ()| {
        seen.set(own.get().unwrap().send("2").now_or_never()).unwrap();
        Step::<Message>::Skip
    });
    let feed = builder(&world).config(config().send_buffer(1)).handler(handler);
    let mut rig = Rig::new::<M, _>(&world, feed);
    handle.set(rig.handle.clone()).unwrap();
    rig.peer(1).shut(Gate::Flush);
    let sender = rig.handle.clone();
    let mut first = Box::pin(sender.send("1"));
    assert!(first.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    rig.peer(1).send_items(0..1);
    rig.settle();
    assert_eq!(first.now_or_never(), Some(Ok(())));
    assert_eq!(answer.get(), Some(&Some(Err(SendError::Full(Message::from("2"))))));
}

fn text_that_is_not_utf8_comes_back<M: Mode>() {
    let world = World::default();
    let mut rig = Rig::new::<M, _>(&world, builder(&world));
    let handle = rig.handle.clone();
    let bad = Message::Text(vec![0xff].into());
    assert_eq!(rig.wait(handle.send(bad.clone())), Some(Err(SendError::NotUtf8(bad))));
}

fn phase_follows_the_feed<M: Mode>() {
    let world = World::default();
    world.script(Dial::Hang);
    let mut rig = Rig::idle::<M, _>(&world, builder(&world));
    assert_eq!(rig.phase(), Phase::Idle);
    rig.settle();
    assert_eq!(rig.phase(), Phase::Connecting);
    rig.advance(10 * SECOND);
    assert_eq!(rig.phase(), Phase::Waiting);
    rig.advance(SECOND);
    assert_eq!(rig.phase(), Phase::Live);
    rig.handle.shutdown();
    rig.settle();
    assert_eq!(rig.phase(), Phase::Closing);
    rig.advance(SECOND);
    assert_eq!(rig.phase(), Phase::Stopped);
    assert_eq!(format!("{:?}", rig.handle), "FeedHandle { phase: Stopped, .. }");
}

fn wait_for_sees_the_phase_it_waits_for<M: Mode>() {
    let world = World::default();
    let mut rig = Rig::idle::<M, _>(&world, builder(&world));
    let handle = rig.handle.clone();
    assert_eq!(rig.wait(handle.wait_for(|phase| phase == Phase::Live)), Some(Phase::Live));
    assert_eq!(rig.wait(handle.wait_for(|phase| phase == Phase::Waiting)), None, "it waits");
    rig.peer(1).fail(reset());
    assert_eq!(rig.wait(handle.wait_for(|phase| phase == Phase::Waiting)), Some(Phase::Waiting));
    rig.handle.shutdown();
    assert_eq!(rig.wait(handle.wait_for(|phase| phase == Phase::Live)), Some(Phase::Stopped));
}

/// Watches a feed, and waits for another phase as soon as it is woken.
struct Watcher(FeedHandle, Mutex<Vec<Phase>>);

impl std::task::Wake for Watcher {
    fn wake(self: Arc<Self>) {
        assert_eq!(self.0.wait_for(|_| false).now_or_never(), None);
        self.1.lock().unwrap().push(self.0.phase());
    }
}

/// Wakers are the application's: none is woken, or dropped, under a lock.
fn a_watcher_uses_its_handle_as_it_is_woken<M: Mode>() {
    let world = World::default();
    let mut rig = Rig::idle::<M, _>(&world, builder(&world));
    let handle = rig.handle.clone();
    let watcher = Arc::new(Watcher(handle.clone(), Mutex::default()));
    let waker = Waker::from(watcher.clone());
    let mut waiting = Box::pin(handle.wait_for(|phase| phase == Phase::Live));
    assert!(waiting.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    rig.settle();
    assert_eq!(*watcher.1.lock().unwrap(), [Phase::Connecting]);
    assert_eq!(waiting.now_or_never(), Some(Phase::Live));
}

/// A feed stays Live for months, and who watches it comes and goes.
fn a_watcher_that_gives_up_leaves_nothing_behind<M: Mode>() {
    let world = World::default();
    let rig = Rig::new::<M, _>(&world, builder(&world));
    let wakes = Arc::<Wakes>::default();
    let waker = Waker::from(wakes.clone());
    let mut waiting = Box::pin(rig.handle.wait_for(|phase| phase == Phase::Waiting));
    assert!(waiting.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    drop(waiting);
    drop(waker);
    assert_eq!(Arc::strong_count(&wakes), 1);
}

fn stats_follow_the_feed<M: Mode>() {
    let world = World::default();
    let mut rig = Rig::new::<M, _>(&world, builder(&world));
    rig.peer(1).send_items(0..3);
    let _ = rig.drain();
    rig.peer(1).fail(reset());
    let _ = rig.drain();
    let stats = rig.handle.stats();
    assert_eq!((stats.attempts, stats.connections, stats.retries), (1, 1, 1));
    assert_eq!((stats.messages, stats.items, stats.delivered, stats.queued), (3, 3, 3, 0));
}

/// Sends as soon as it is woken, as a consumer on another thread may.
struct AtOnce<S: Source> {
    feed: Mutex<Option<Feed<S>>>,
    answers: Mutex<Vec<Option<Result<(), SendError>>>>,
}

impl<S: Source<Item = Message> + Send> std::task::Wake for AtOnce<S> {
    fn wake(self: Arc<Self>) {
        let mut feed = self.feed.lock().unwrap();
        let Some(feed) = feed.as_mut() else { return };
        if let Some(Some(Ok(Delivery::Live { .. }))) = feed.recv().now_or_never() {
            self.answers.lock().unwrap().push(feed.handle().send("at once").now_or_never());
        }
    }
}

/// Whoever has been told in-band that the connection is Live may send, however quick he is.
#[test]
fn a_consumer_that_has_seen_live_may_send() {
    let world = World::default();
    let mut rig = Rig::idle::<InTask, _>(&world, builder(&world));
    assert!(rig.poll().is_pending());
    let Rig { mut feed, .. } = rig;
    let consumer = Arc::new(AtOnce { feed: Mutex::new(None), answers: Mutex::default() });
    let waker = Waker::from(consumer.clone());
    assert!(Box::pin(feed.recv()).as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    *consumer.feed.lock().unwrap() = Some(feed);
    world.run();
    assert_eq!(*consumer.answers.lock().unwrap(), [None], "accepted for the loop to take");
    assert_eq!(world.peer(1).received(), [text("at once")]);
}
