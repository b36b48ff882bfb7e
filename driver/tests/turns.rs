//! What one poll of the loop does: bounded work, one clock reading, one alarm.
#![allow(clippy::unwrap_used, reason = "the lint does not know that the cases are tests")]

mod common;

use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use common::{Dial, Gate, Mode, Rig, SECOND, Wakes, World, builder, config, in_both_modes};
use futures_util::FutureExt;
use tidegate_driver::FeedHandle;
use tidegate_driver::core::{Frame, Message, Phase, Step, from_fn};

in_both_modes!(
    alarm_is_not_moved_per_frame,
    alarm_is_moved_when_it_must_ring_earlier,
    nothing_is_polled_before_the_first_poll,
    pings_before_a_pause_are_answered,
    wakers_are_called_without_locks,
);

const MINUTE: Duration = Duration::from_secs(60);

const LARGE: usize = 20 * 1024;

fn send_many(rig: &Rig, count: usize, len: usize) {
    (0..count).for_each(|_| rig.peer().send("x".repeat(len)));
}

/// How many frames of how many bytes are there, and how many of them one poll reads.
#[test]
fn a_poll_reads_so_many_frames_at_most() {
    for (mode, frames, len, reads) in [
        (Mode::Task, 6_000, 6, 4_000),
        (Mode::Task, 80, LARGE, 4 * 13),
        (Mode::Stream, 1_000, 6, 64),
        (Mode::Stream, 40, LARGE, 4),
    ] {
        let config = config().buffer(10_000).buffer_bytes(16 << 20);
        let mut rig = Rig::with(mode, |builder| builder.config(config));
        assert!(rig.poll().is_ready() || mode == Mode::Stream, "live");
        send_many(&rig, frames, len);
        rig.wakes.take();
        match mode {
            Mode::Task => assert!(rig.world.step()),
            Mode::Stream => assert!(rig.poll().is_ready()),
        }
        assert_eq!(rig.peer().unread(), frames - reads);
        match mode {
            Mode::Task => assert!(rig.world.step(), "the task wakes itself"),
            Mode::Stream => assert_eq!(rig.wakes.take(), 0, "a consumer that got something polls again"),
        }
        let left = if mode == Mode::Task { frames } else { frames - 1 };
        assert_eq!(rig.drain().iter().filter(|line| *line != "live 1").count(), left);
    }
}

/// D1, D5: `max_demand` bounds what is handed over, from the first poll on, and `min_demand` has more asked for.
#[test]
fn no_more_than_the_demand_is_handed_over() {
    let config = config().min_demand(2).max_demand(10);
    let mut rig = Rig::with(Mode::Task, |builder| builder.config(config));
    rig.send_items(0..500);
    rig.settle();
    assert_eq!((rig.handle.stats().delivered, rig.handle.stats().queued), (0, 500));
    assert!(rig.poll().is_ready(), "live");
    rig.settle();
    assert_eq!(rig.handle.stats().delivered, 10);
    for taken in 1..=100 {
        assert!(rig.poll().is_ready());
        rig.settle();
        let delivered = rig.handle.stats().delivered;
        assert!(delivered <= taken + 10, "D1: {delivered} delivered, {taken} taken");
        assert!(delivered >= taken + 2, "D5: {delivered} delivered, {taken} taken");
    }
}

/// D5: a wake-up of another thread costs more than many messages.
#[test]
fn more_demand_does_not_wake_a_task_that_has_nothing_left() {
    let mut rig = Rig::live(Mode::Task);
    (0..2).for_each(|_| assert!(rig.poll().is_ready(), "opened and live, and demand is known"));
    rig.send_items(0..2000);
    rig.world.settle();
    for _ in 0..2000 {
        assert!(rig.poll().is_ready());
    }
    assert_eq!(rig.world.settle(), 0, "half of the demand had been asked for again");
    rig.send_items(0..4000);
    assert!(rig.world.step());
    assert_eq!(rig.handle.stats().delivered, 4000, "it waits for demand");
    (0..1000).for_each(|_| assert!(rig.poll().is_ready()));
    assert!(rig.world.step(), "woken by it");
    assert_eq!(rig.handle.stats().delivered, 5000);
}

/// D3: a thousand are asked for.
#[test]
fn no_more_is_handed_over_once_512_kib_wait_for_the_consumer() {
    let mut rig = Rig::live(Mode::Task);
    (0..2).for_each(|_| assert!(rig.poll().is_ready(), "opened and live, and demand is known"));
    assert!(rig.poll().is_pending());
    send_many(&rig, 40, LARGE);
    rig.settle();
    assert_eq!((rig.handle.stats().delivered, rig.handle.stats().queued), (26, 14));
    assert_eq!(rig.drain().len(), 40);
}

#[test]
fn a_stream_with_more_to_read_and_nothing_to_give_wakes_itself() {
    let none = from_fn((), |_, ()| Step::<Message>::Skip);
    let mut rig = Rig::with(Mode::Stream, |builder| builder.handler(none));
    let peer = rig.peer();
    rig.send_items(0..65);
    rig.wakes.take();
    assert!(rig.poll().is_pending());
    assert_eq!(peer.unread(), 1);
    assert!(rig.wakes.take() > 0, "there is more to read");
    assert!(rig.poll().is_pending());
    assert_eq!(peer.unread(), 0);
    assert_eq!(rig.wakes.take(), 0);
}

/// However much one frame has put into the queue, the transport is polled again: here for a ping.
#[test]
fn a_stream_gives_64_deliveries_between_two_polls_at_most() {
    let hundreds = from_fn((), |message: Message, ()| Step::Emit(vec![message; 500]));
    let mut rig = Rig::with(Mode::Stream, |builder| builder.handler(hundreds));
    let peer = rig.peer();
    rig.send_items(0..1);
    assert!(rig.poll().is_ready(), "live");
    assert!(rig.poll().is_ready(), "the first item: 62 of the 64 are left");
    peer.send(Frame::Ping(Default::default()));
    for _ in 0..63 {
        assert!(rig.poll().is_ready());
    }
    assert_eq!(peer.received(), [Frame::Pong(Default::default())]);
}

#[test]
fn a_poll_reads_the_clock_once() {
    let config = config().idle_timeout(MINUTE).buffer(10_000);
    let rig = Rig::with(Mode::Task, |builder| builder.config(config));
    let before = rig.world.state().clock_readings;
    rig.send_items(0..6000);
    let polls = rig.world.settle();
    assert_eq!(polls, 2);
    assert_eq!(rig.world.state().clock_readings - before, polls);
    drop(rig.feed);
    let before = rig.world.state().clock_readings;
    assert_eq!(rig.world.settle(), 1);
    assert_eq!(rig.world.state().clock_readings - before, 1, "also when nobody is left");
}

/// L6: only an earlier deadline moves the alarm.
fn alarm_is_not_moved_per_frame(mode: Mode) {
    let mut rig = Rig::with(mode, |builder| builder.config(config().idle_timeout(MINUTE)));
    assert_eq!(rig.world.state().alarm_sets, 1);
    for number in 0..50 {
        rig.advance(SECOND);
        rig.send_items(number..number + 1);
        rig.settle();
    }
    assert_eq!(rig.world.state().alarm_sets, 1, "50 frames later");
    rig.advance(10 * SECOND);
    assert_eq!(rig.phase(), Phase::Live, "the alarm has rung, the clock said that nothing was due");
    assert_eq!(rig.world.state().alarm_sets, 2);
    rig.advance(49 * SECOND);
    assert_eq!(rig.phase(), Phase::Live);
    rig.advance(SECOND);
    assert_eq!(rig.phase(), Phase::Waiting, "L2: a minute after the last frame");
}

fn alarm_is_moved_when_it_must_ring_earlier(mode: Mode) {
    let world = World::holding(Gate::Flush);
    let config = config().ping_interval(3 * SECOND);
    let builder = builder(&world).config(config).on_upgrade(|_| Ok(["sub"]));
    let mut rig = Rig::new(mode, &world, builder);
    assert_eq!(world.state().alarm_sets, 1);
    rig.advance(3 * SECOND);
    rig.peer().release();
    rig.settle();
    assert_eq!(rig.peer().received().len(), 2, "the ping went out, after the subscription");
    rig.peer().reset();
    rig.settle();
    let sets = world.state().alarm_sets;
    rig.advance(SECOND);
    assert_eq!(world.state().requests.len(), 2, "the retry was not late");
    assert!(sets <= 4, "the alarm was moved {sets} times");
}

/// C3: the connect deadline must not run before anybody polls.
fn nothing_is_polled_before_the_first_poll(mode: Mode) {
    let world = World::default();
    world.next_dial(Dial::Hang);
    let mut rig = Rig::idle(mode, &world, builder(&world));
    world.advance(MINUTE);
    assert_eq!((rig.phase(), world.state().clock_readings), (Phase::Idle, 0));
    rig.settle();
    assert_eq!(rig.phase(), Phase::Connecting);
    rig.advance(9 * SECOND);
    assert_eq!(rig.phase(), Phase::Connecting);
}

/// O2: a pause may last longer than a peer waits for its pong, so the pong goes out first.
fn pings_before_a_pause_are_answered(mode: Mode) {
    let config = config().buffer(4).min_demand(0).max_demand(1);
    let mut rig = Rig::with(mode, |builder| builder.config(config));
    let peer = rig.peer();
    peer.send(Frame::Ping(Default::default()));
    rig.send_items(0..20);
    rig.world.settle();
    assert!(rig.poll().is_ready());
    assert!(peer.unread() > 0, "reading is paused");
    assert_eq!(peer.received(), [Frame::Pong(Default::default())]);
}

/// Uses the handle as soon as it is called, as a waker may that runs its task on the spot.
struct Curious {
    handle: FeedHandle,
    wakes: Arc<Wakes>,
}

impl Wake for Curious {
    fn wake(self: Arc<Self>) {
        let _ = (self.handle.phase(), self.handle.stats());
        let _ = (self.handle.wait_for(|_| false).now_or_never(), self.handle.send("x").now_or_never());
        self.wakes.wake_by_ref();
    }
}

/// A lock that is held while a waker is called or dropped would hang here.
fn wakers_are_called_without_locks(mode: Mode) {
    let mut rig = Rig::live(mode);
    let handle = rig.handle.clone();
    let wakes = Arc::<Wakes>::default();
    let waker = Waker::from(Arc::new(Curious { handle: handle.clone(), wakes: wakes.clone() }));
    let mut cx = Context::from_waker(&waker);

    let mut sending = Box::pin(handle.send("accepted"));
    assert!(sending.as_mut().poll(&mut cx).is_pending());
    let mut waiting = Box::pin(handle.wait_for(|phase| phase != Phase::Live));
    assert!(waiting.as_mut().poll(&mut cx).is_pending());
    rig.settle();
    assert!(wakes.take() > 0, "the answer to what was sent");

    let mut late = Box::pin(handle.send("too late"));
    assert!(late.as_mut().poll(&mut cx).is_pending());
    rig.world.drop_tasks();
    drop(rig);
    assert!(wakes.take() > 0, "the end of the loop");
    assert!(sending.as_mut().poll(&mut cx).is_ready());
    assert!(waiting.as_mut().poll(&mut cx).is_ready());
    assert!(late.as_mut().poll(&mut cx).is_ready());
}

/// See [`Curious`].
#[test]
fn the_consumer_is_woken_without_locks() {
    let mut rig = Rig::live(Mode::Task);
    let _ = rig.drain();
    let wakes = Arc::<Wakes>::default();
    let waker = Waker::from(Arc::new(Curious { handle: rig.handle.clone(), wakes: wakes.clone() }));
    assert!(rig.feed.as_mut().poll_next(&mut Context::from_waker(&waker)).is_pending());
    rig.send_items(0..20);
    rig.settle();
    assert_eq!(wakes.take(), 1, "one wake-up for all of them");
}

/// Sends again as soon as a message was accepted.
struct Eager(FeedHandle);

impl Wake for Eager {
    fn wake(self: Arc<Self>) {
        let handle = self.0.clone();
        let mut sending = Box::pin(async move { handle.send("more").await });
        let _ = sending.as_mut().poll(&mut Context::from_waker(&Waker::from(self)));
        // The future must live on, and nobody owns it.
        std::mem::forget(sending);
    }
}

/// Commands that arrive during a poll are left to the next: they wake the loop, but cannot keep it in one poll.
#[test]
fn a_flood_of_commands_does_not_keep_the_loop_in_one_poll() {
    let rig = Rig::live(Mode::Task);
    let waker = Waker::from(Arc::new(Eager(rig.handle.clone())));
    let mut sending = Box::pin(rig.handle.send("first"));
    assert!(sending.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    for polls in 1..10 {
        assert!(rig.world.step());
        assert_eq!(rig.peer().received().len(), polls);
    }
}
