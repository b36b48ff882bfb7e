//! How a feed ends, and that nothing hangs when it does.
#![allow(clippy::unwrap_used, reason = "the lint does not know that the cases are tests")]

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Waker};

use common::{
    Dial, InStream, InTask, Mode, Rig, SECOND, World, builder, config, in_both_modes, items, reset, text,
};
use tidegate_driver::core::{CloseFrame, Failure, Frame, Message, Notice, Phase, SendError, Step, from_fn};

in_both_modes!(
    shutdown_closes_and_ends_the_stream,
    shutdown_does_not_wait_for_a_silent_peer,
    shutdown_ends_a_feed_that_is_not_connected,
    shutdown_before_the_first_poll_dials_nothing,
    a_stop_for_good_is_one_error,
    what_is_queued_can_be_taken_after_the_end,
    a_panic_of_the_handler_ends_the_feed,
    a_panic_of_the_observer_ends_the_feed,
    a_panic_of_the_resolver_ends_the_feed,
    a_panic_while_dialling_ends_the_feed,
    dropping_the_stream_releases_the_handles,
);

/// S1, S3.
fn shutdown_closes_and_ends_the_stream<M: Mode>() {
    let world = World::default();
    let mut rig = Rig::new::<M, _>(&world, builder(&world));
    rig.handle.shutdown();
    rig.settle();
    assert_eq!(rig.phase(), Phase::Closing);
    assert_eq!(rig.peer(1).received(), [Frame::Close(Some(CloseFrame::new(1000)))]);
    rig.peer(1).send(Frame::Close(Some(CloseFrame::new(1000))));
    rig.peer(1).end();
    assert_eq!(rig.drain(), ["live 1", "interrupted 1 on purpose", "end"]);
    assert_eq!(rig.phase(), Phase::Stopped);
    assert!(!rig.peer(1).is_open());
    assert_eq!(world.live_tasks(), 0);
    assert!(rig.poll().is_ready(), "and the end stays");
}

/// S1: at most `close_timeout`.
fn shutdown_does_not_wait_for_a_silent_peer<M: Mode>() {
    let world = World::default();
    let mut rig = Rig::new::<M, _>(&world, builder(&world));
    rig.handle.shutdown();
    rig.settle();
    rig.advance(SECOND / 2);
    assert_eq!(rig.phase(), Phase::Closing);
    rig.advance(SECOND / 2);
    assert_eq!(rig.drain(), ["live 1", "interrupted 1 on purpose", "end"]);
    assert!(!rig.peer(1).is_open());
}

fn shutdown_ends_a_feed_that_is_not_connected<M: Mode>() {
    for dial in [Dial::Hang, Dial::Refuse(reset())] {
        let world = World::default();
        world.script(dial);
        let mut rig = Rig::new::<M, _>(&world, builder(&world));
        rig.handle.shutdown();
        assert_eq!(rig.drain(), ["end"]);
        assert_eq!((rig.phase(), world.live_tasks()), (Phase::Stopped, 0));
    }
}

fn shutdown_before_the_first_poll_dials_nothing<M: Mode>() {
    let world = World::default();
    let mut rig = Rig::idle::<M, _>(&world, builder(&world));
    rig.handle.shutdown();
    assert_eq!(rig.drain(), ["end"]);
    assert!(world.requests().is_empty());
    assert_eq!(rig.handle.stats().attempts, 0, "nor is a resolver asked, or an attempt reported");
}

/// S3.
fn a_stop_for_good_is_one_error<M: Mode>() {
    let world = World::default();
    world.script(Dial::Refuse(Failure::rejected(403, None)));
    let mut rig = Rig::new::<M, _>(&world, builder(&world));
    assert_eq!(rig.drain(), ["error fatal", "end"]);
    assert_eq!(world.live_tasks(), 0);
}

/// S2: also more than the consumer asks for at once.
fn what_is_queued_can_be_taken_after_the_end<M: Mode>() {
    let world = World::default();
    let config = config().retry(tidegate_driver::core::RetryPolicy::fixed(SECOND).max_retries(0));
    let mut rig = Rig::idle::<M, _>(&world, builder(&world).config(config.max_demand(20)));
    world.run();
    let _ = rig.poll();
    rig.peer(1).send_items(0..300);
    rig.peer(1).fail(reset());
    world.run();
    if !M::IN_STREAM {
        assert_eq!(rig.phase(), Phase::Stopped);
        assert_eq!(world.live_tasks(), 1, "the task stays as long as something is left to take");
    }
    let mut seen = rig.drain();
    seen.retain(|line| line != "live 1");
    let end = ["interrupted 1 io", "error retries_exhausted", "end"].map(String::from);
    assert_eq!(seen, [items(0..300), end.to_vec()].concat());
    assert_eq!((rig.phase(), world.live_tasks()), (Phase::Stopped, 0));
}

/// S4.
#[test]
fn dropping_the_consumer_closes_the_connection_and_ends_the_task() {
    let world = World::default();
    let mut rig = Rig::new::<InTask, _>(&world, builder(&world));
    rig.peer(1).send_items(0..10);
    let _ = rig.poll();
    let Rig { feed, handle, .. } = rig;
    drop(feed);
    world.run();
    assert_eq!(world.peer(1).received(), [Frame::Close(Some(CloseFrame::new(1000)))]);
    assert_eq!(world.live_tasks(), 1);
    world.advance(SECOND);
    world.run();
    assert_eq!((world.live_tasks(), handle.phase()), (0, Phase::Stopped));
    assert!(!world.peer(1).is_open());
}

/// S4: in every phase, and with a queue that nobody will empty.
#[test]
fn dropping_the_consumer_ends_the_task_wherever_it_is() {
    for dial in [Dial::Hang, Dial::Refuse(reset()), Dial::Accept] {
        let world = World::default();
        world.script(dial);
        let rig = Rig::new::<InTask, _>(&world, builder(&world).config(config().buffer(4)));
        if world.connections() == 1 {
            rig.peer(1).send_items(0..100);
            world.run();
        }
        drop(rig.feed);
        world.run();
        world.advance(SECOND);
        world.run();
        assert_eq!(world.live_tasks(), 0);
    }
    let world = World::default();
    drop(builder(&world).spawn().unwrap());
    world.run();
    assert_eq!((world.live_tasks(), world.requests().len()), (0, 0), "before the task ever ran");
}

/// S4, of a feed without a task.
#[test]
fn dropping_the_stream_drops_the_connection() {
    let world = World::default();
    let rig = Rig::new::<InStream, _>(&world, builder(&world));
    drop(rig.feed);
    assert!(!world.peer(1).is_open());
}

#[test]
fn dropping_handles_ends_nothing() {
    let world = World::default();
    let mut rig = Rig::new::<InTask, _>(&world, builder(&world));
    drop(std::mem::replace(
        &mut rig.handle,
        Rig::new::<InTask, _>(&World::default(), builder(&world)).handle,
    ));
    rig.peer(1).send_items(0..1);
    assert_eq!(rig.drain(), ["live 1", "item 0"]);
}

/// The runtime goes away under the feed: the stream ends, what was given to a handle comes back.
#[test]
fn dropping_the_task_ends_the_stream_and_returns_messages() {
    let world = World::default();
    let mut rig = Rig::new::<InTask, _>(&world, builder(&world));
    assert_eq!(rig.drain(), ["live 1"]);
    let handle = rig.handle.clone();
    let mut sending = Box::pin(handle.send("lost"));
    assert!(sending.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let _ = rig.wakes.take();
    world.drop_tasks();
    assert!(rig.wakes.take(), "a consumer that waits is woken");
    let error = rig.wait(sending).unwrap().unwrap_err();
    assert_eq!(error.into_message(), Message::from("lost"));
    let error = rig.wait(handle.send("later")).unwrap().unwrap_err();
    assert_eq!(error.into_message(), Message::from("later"));
    assert_eq!(rig.drain(), ["end"]);
    assert_eq!(rig.wait(handle.wait_for(|_| false)), Some(Phase::Stopped));
}

/// H5. What the test raises is printed, and harmless.
fn a_panic_of_the_handler_ends_the_feed<M: Mode>() {
    let world = World::default();
    let handler = from_fn((), |message: Message, (): &mut ()| {
        assert_ne!(message, Message::from("bad"), "the test asked for this panic");
        Step::Emit(vec![message])
    });
    let mut rig = Rig::new::<M, _>(&world, builder(&world).handler(handler));
    for message in ["good", "bad", "good"] {
        rig.peer(1).send(text(message));
    }
    let handle = rig.handle.clone();
    assert_eq!(rig.drain(), ["live 1", "good", "interrupted 1 on purpose", "error handler_panicked", "end"]);
    ended(&mut rig, &handle);
    assert!(!rig.peer(1).is_open());
}

fn a_panic_of_the_observer_ends_the_feed<M: Mode>() {
    let world = World::default();
    let mut calls = 0;
    let builder = builder(&world).on_notice(move |notice, _| {
        calls += usize::from(matches!(notice, Notice::Success { .. }));
        assert_eq!(calls, 0, "the test asked for this panic");
    });
    let mut rig = Rig::new::<M, _>(&world, builder);
    let handle = rig.handle.clone();
    let seen = rig.drain();
    assert_eq!(seen[seen.len() - 2..], ["error handler_panicked", "end"]);
    ended(&mut rig, &handle);
}

fn a_panic_of_the_resolver_ends_the_feed<M: Mode>() {
    for late in [false, true] {
        let world = World::default();
        let builder = builder(&world).resolver(move |attempt: tidegate_driver::Attempt| {
            assert!(late, "the test asked for this panic");
            async move {
                assert!(!late, "the test asked for this panic");
                Ok::<_, Failure>(attempt.request)
            }
        });
        let mut rig = Rig::new::<M, _>(&world, builder);
        let handle = rig.handle.clone();
        assert_eq!(rig.drain(), ["error handler_panicked", "end"]);
        ended(&mut rig, &handle);
    }
}

fn a_panic_while_dialling_ends_the_feed<M: Mode>() {
    let world = World::default();
    world.script(Dial::Panic);
    let mut rig = Rig::new::<M, _>(&world, builder(&world));
    let handle = rig.handle.clone();
    assert_eq!(rig.drain(), ["error handler_panicked", "end"]);
    ended(&mut rig, &handle);
}

/// H5: the runtime's own panic is for the runtime to see, and the consumer learns of it.
#[test]
fn a_panic_of_the_runtime_ends_the_feed_and_goes_on_up() {
    let world = World::default();
    let mut rig = Rig::new::<InTask, _>(&world, builder(&world));
    let handle = rig.handle.clone();
    world.break_clock();
    rig.peer(1).send(text("wakes the task"));
    let panic = catch_unwind(AssertUnwindSafe(|| world.run())).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"the test broke the clock"));
    assert_eq!(rig.drain(), ["live 1", "error handler_panicked", "end"]);
    ended(&mut rig, &handle);
}

/// Whoever holds a handle after the end learns of it.
fn ended<S: tidegate_driver::Source<Item = Message>>(rig: &mut Rig<S>, handle: &tidegate_driver::FeedHandle) {
    assert_eq!(rig.world.live_tasks(), 0);
    assert_eq!(rig.wait(handle.wait_for(|_| false)), Some(Phase::Stopped));
    assert!(matches!(rig.wait(handle.send("late")), Some(Err(SendError::NotLive(_)))));
}

/// H5: nothing hangs that waits on a handle.
fn dropping_the_stream_releases_the_handles<M: Mode>() {
    let world = World::default();
    let rig = Rig::new::<M, _>(&world, builder(&world));
    let Rig { feed, handle, .. } = rig;
    let mut cx = Context::from_waker(Waker::noop());
    let mut sending = Box::pin(handle.send("out"));
    let mut waiting = Box::pin(handle.wait_for(|phase| phase == Phase::Stopped));
    assert!(sending.as_mut().poll(&mut cx).is_pending());
    assert!(waiting.as_mut().poll(&mut cx).is_pending());
    drop(feed);
    world.run();
    world.advance(SECOND);
    world.run();
    assert!(sending.as_mut().poll(&mut cx).is_ready());
    assert!(waiting.as_mut().poll(&mut cx).is_ready());
}
