//! What one poll of the loop does: bounded work, one clock reading, one alarm.
#![allow(clippy::unwrap_used, reason = "the lint does not know that the cases are tests")]

mod common;

use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use common::{
    Dial, Gate, InStream, InTask, Mode, Peer, Rig, SECOND, World, builder, config, in_both_modes, items,
    reset, text,
};
use tidegate_driver::FeedHandle;
use tidegate_driver::core::{Frame, Message, Phase, Step, from_fn};

in_both_modes!(
    alarm_is_not_moved_per_frame,
    alarm_is_moved_when_it_must_ring_earlier,
    nothing_is_polled_before_the_first_poll,
    wakers_are_called_without_locks,
);

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_poll_reads_4000_frames_at_most_and_wakes_itself() {
    let world = World::default();
    let mut rig = Rig::new::<InTask, _>(&world, builder(&world).config(config().buffer(10_000)));
    let peer = rig.peer(1);
    peer.send_items(0..6000);
    let before = peer.reads();
    assert_eq!(world.step(), 1);
    assert_eq!(peer.reads() - before, 4000);
    assert_eq!(world.step(), 1, "the task has woken itself");
    assert_eq!(rig.drain(), [vec!["live 1".to_owned()], items(0..6000)].concat());
}

/// Of 20 KiB each.
fn send_large(peer: &Peer, count: usize) {
    (0..count).for_each(|_| peer.send(text(&"x".repeat(20 * 1024))));
}

#[test]
fn a_poll_reads_no_further_frame_after_four_times_256_kib() {
    let world = World::default();
    let mut rig = Rig::new::<InTask, _>(&world, builder(&world).config(config().buffer_bytes(16 << 20)));
    let peer = rig.peer(1);
    send_large(&peer, 80);
    let before = peer.reads();
    world.step();
    assert_eq!(peer.reads() - before, 4 * 13);
    assert_eq!(rig.drain().len(), 1 + 80);
}

#[test]
fn a_poll_of_the_stream_reads_no_further_frame_after_64_kib() {
    let world = World::default();
    let mut rig = Rig::new::<InStream, _>(&world, builder(&world));
    let peer = rig.peer(1);
    send_large(&peer, 40);
    let before = peer.reads();
    assert!(rig.poll().is_ready());
    assert_eq!(peer.reads() - before, 4);
    assert_eq!(rig.drain().len(), 40);
}

/// D5: a wake-up of another thread costs more than many messages.
#[test]
fn more_demand_does_not_wake_a_task_that_has_nothing_left() {
    let world = World::default();
    let mut rig = Rig::new::<InTask, _>(&world, builder(&world));
    let peer = rig.peer(1);
    assert!(rig.poll().is_ready(), "live, and demand is known");
    peer.send_items(0..2000);
    world.run();
    for _ in 0..2000 {
        assert!(rig.poll().is_ready());
    }
    assert_eq!(world.run(), 0, "half of the demand had been asked for again");
    peer.send_items(0..4000);
    assert_eq!(world.step(), 1);
    assert_eq!(rig.handle.stats().delivered, 4000, "it waits for demand");
    (0..1000).for_each(|_| assert!(rig.poll().is_ready()));
    assert_eq!(world.step(), 1, "woken by it");
    assert_eq!(rig.handle.stats().delivered, 5000);
}

/// D3: a thousand are asked for.
#[test]
fn no_more_is_handed_over_once_512_kib_wait_for_the_consumer() {
    let world = World::default();
    let mut rig = Rig::new::<InTask, _>(&world, builder(&world));
    assert!(rig.poll().is_ready(), "live, and demand is known");
    assert!(rig.poll().is_pending());
    send_large(&rig.peer(1), 40);
    rig.settle();
    assert_eq!((rig.handle.stats().delivered, rig.handle.stats().queued), (26, 14));
    assert_eq!(rig.drain().len(), 40);
}

#[test]
fn a_poll_of_the_stream_reads_64_frames_at_most() {
    let world = World::default();
    let mut rig = Rig::new::<InStream, _>(&world, builder(&world));
    let peer = rig.peer(1);
    peer.send_items(0..1000);
    rig.wakes.take();
    assert!(rig.poll().is_ready());
    assert_eq!(peer.reads(), 64);
    assert!(!rig.wakes.take(), "who was given something polls again");
    assert_eq!(rig.drain().last().unwrap(), "item 999");
}

#[test]
fn a_stream_with_more_to_read_and_nothing_to_give_wakes_itself() {
    let world = World::default();
    let none = from_fn((), |_, ()| Step::<Message>::Skip);
    let mut rig = Rig::new::<InStream, _>(&world, builder(&world).handler(none));
    let peer = rig.peer(1);
    peer.send_items(0..65);
    rig.wakes.take();
    assert!(rig.poll().is_pending());
    assert_eq!(peer.reads(), 64);
    assert!(rig.wakes.take(), "there is more to read");
    assert!(rig.poll().is_pending());
    assert_eq!(peer.reads(), 65);
    assert!(!rig.wakes.take());
}

/// However much one frame has put into the queue, others have their turn: here a ping.
#[test]
fn a_stream_gives_64_deliveries_between_two_polls_at_most() {
    let world = World::default();
    let hundreds = from_fn((), |message: Message, ()| Step::Emit(vec![message; 500]));
    let mut rig = Rig::new::<InStream, _>(&world, builder(&world).handler(hundreds));
    let peer = rig.peer(1);
    peer.send_items(0..1);
    assert!(rig.poll().is_ready(), "live");
    assert!(rig.poll().is_ready(), "the first item: 62 of the 64 are left");
    peer.send(Frame::Ping(Default::default()));
    for _ in 0..63 {
        assert!(rig.poll().is_ready());
    }
    assert_eq!(peer.pongs(), 1);
}

#[test]
fn a_poll_reads_the_clock_once() {
    let world = World::default();
    let config = config().idle_timeout(MINUTE).buffer(10_000);
    let rig = Rig::new::<InTask, _>(&world, builder(&world).config(config));
    let before = world.clock_readings();
    rig.peer(1).send_items(0..6000);
    let polls = world.run();
    assert_eq!(polls, 2);
    assert_eq!(world.clock_readings() - before, polls);
    drop(rig.feed);
    let before = world.clock_readings();
    assert_eq!(world.run(), 1);
    assert_eq!(world.clock_readings() - before, 1, "also when nobody is left");
}

/// L6: only what is due earlier than the alarm moves it.
fn alarm_is_not_moved_per_frame<M: Mode>() {
    let world = World::default();
    let mut rig = Rig::new::<M, _>(&world, builder(&world).config(config().idle_timeout(MINUTE)));
    assert_eq!(world.alarm_sets(), 1);
    for number in 0..50 {
        rig.advance(SECOND);
        rig.peer(1).send_items(number..number + 1);
        rig.settle();
    }
    assert_eq!(world.alarm_sets(), 1, "50 frames later");
    rig.advance(10 * SECOND);
    assert_eq!(rig.phase(), Phase::Live, "the alarm has rung, the clock said that nothing was due");
    assert_eq!(world.alarm_sets(), 2);
    rig.advance(49 * SECOND);
    assert_eq!(rig.phase(), Phase::Live);
    rig.advance(SECOND);
    assert_eq!(rig.phase(), Phase::Waiting, "L2: a minute after the last frame");
}

fn alarm_is_moved_when_it_must_ring_earlier<M: Mode>() {
    let world = World::default();
    world.script(Dial::AcceptShut(Gate::Flush));
    let config = config().ping_interval(3 * SECOND);
    let builder = builder(&world).config(config).on_upgrade(|_| Ok(["sub"]));
    let mut rig = Rig::new::<M, _>(&world, builder);
    assert_eq!(world.alarm_sets(), 1);
    rig.advance(3 * SECOND);
    rig.peer(1).open();
    rig.settle();
    assert_eq!(rig.peer(1).received().len(), 2, "the ping went out, after the subscription");
    rig.peer(1).fail(reset());
    rig.settle();
    let sets = world.alarm_sets();
    rig.advance(SECOND);
    assert_eq!(world.connections(), 2, "the retry was not late");
    assert!(sets <= 4, "the alarm was moved {sets} times");
}

/// C3: the connect deadline must not run before anybody polls.
fn nothing_is_polled_before_the_first_poll<M: Mode>() {
    let world = World::default();
    world.script(Dial::Hang);
    let mut rig = Rig::idle::<M, _>(&world, builder(&world));
    world.advance(MINUTE);
    assert_eq!((rig.phase(), world.clock_readings()), (Phase::Idle, 0));
    rig.settle();
    assert_eq!(rig.phase(), Phase::Connecting);
    rig.advance(9 * SECOND);
    assert_eq!(rig.phase(), Phase::Connecting);
}

/// A waker that looks at the feed as soon as it is called, as one may that runs its task on the spot.
struct Curious {
    handle: FeedHandle,
    wakes: Arc<common::Wakes>,
}

impl Wake for Curious {
    fn wake(self: Arc<Self>) {
        let _ = (self.handle.phase(), self.handle.stats());
        self.wakes.wake_by_ref();
    }
}

/// A lock that is held while a waker is called would hang here.
fn wakers_are_called_without_locks<M: Mode>() {
    let world = World::default();
    let mut rig = Rig::new::<M, _>(&world, builder(&world));
    let handle = rig.handle.clone();
    let wakes = Arc::<common::Wakes>::default();
    let waker = Waker::from(Arc::new(Curious { handle: handle.clone(), wakes: wakes.clone() }));
    let mut cx = Context::from_waker(&waker);

    let mut sending = Box::pin(handle.send("accepted"));
    assert!(sending.as_mut().poll(&mut cx).is_pending());
    let mut waiting = Box::pin(handle.wait_for(|phase| phase != Phase::Live));
    assert!(waiting.as_mut().poll(&mut cx).is_pending());
    rig.settle();
    assert!(wakes.take(), "the answer to what was sent");

    let mut late = Box::pin(handle.send("too late"));
    assert!(late.as_mut().poll(&mut cx).is_pending());
    world.drop_tasks();
    drop(rig);
    assert!(wakes.take(), "the end of the loop");
    assert!(sending.as_mut().poll(&mut cx).is_ready());
    assert!(waiting.as_mut().poll(&mut cx).is_ready());
    assert!(late.as_mut().poll(&mut cx).is_ready());
}

/// As [`Curious`], of the consumer.
#[test]
fn the_consumer_is_woken_without_locks() {
    let world = World::default();
    let mut rig = Rig::new::<InTask, _>(&world, builder(&world));
    let _ = rig.drain();
    let wakes = Arc::<common::Wakes>::default();
    let waker = Waker::from(Arc::new(Curious { handle: rig.handle.clone(), wakes: wakes.clone() }));
    {
        let mut receiving = Box::pin(rig.feed.recv());
        assert!(receiving.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    rig.peer(1).send_items(0..20);
    rig.settle();
    assert_eq!(wakes.count(), 1, "one wake-up for all of them");
}

/// A waker that sends again as soon as it hears that something was accepted.
struct Eager(FeedHandle);

impl Wake for Eager {
    fn wake(self: Arc<Self>) {
        let handle = self.0.clone();
        let mut sending = Box::pin(async move { handle.send("more").await });
        let _ = sending.as_mut().poll(&mut Context::from_waker(&Waker::from(self)));
        // Its future goes on: kept by nobody else, it is leaked for the length of a test.
        std::mem::forget(sending);
    }
}

/// Orders that come in while it works are left to the next poll: they wake the loop, and cannot keep it.
#[test]
fn a_flood_of_orders_does_not_keep_the_loop_in_one_poll() {
    let world = World::default();
    let rig = Rig::new::<InTask, _>(&world, builder(&world));
    let waker = Waker::from(Arc::new(Eager(rig.handle.clone())));
    let mut sending = Box::pin(rig.handle.send("first"));
    assert!(sending.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    for polls in 1..10 {
        assert_eq!(world.step(), 1);
        assert_eq!(rig.peer(1).received().len(), polls);
    }
}
