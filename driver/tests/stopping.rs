//! How a feed ends, and that nothing hangs when it does.
#![allow(clippy::unwrap_used, reason = "the lint does not know that the cases are tests")]

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Waker};

use common::{Dial, Mode, Rig, World, builder, in_both_modes};
use tidegate_driver::core::{Failure, Message, Phase, SendError};

in_both_modes!(
    shutdown_before_the_first_poll_dials_nothing,
    a_panic_while_dialing_ends_the_feed,
    dropping_the_stream_releases_the_handles,
);

fn shutdown_before_the_first_poll_dials_nothing(mode: Mode) {
    let world = World::default();
    let mut rig = Rig::idle(mode, &world, builder(&world));
    rig.handle.shutdown();
    assert_eq!(rig.drain(), ["end"]);
    assert!(world.state().requests.is_empty());
    assert_eq!(rig.handle.stats().attempts, 0, "no resolver is called, no attempt reported");
}

/// S4.
#[test]
fn dropping_the_stream_before_the_first_poll_dials_nothing() {
    let world = World::default();
    drop(builder(&world).spawn().unwrap());
    world.settle();
    assert_eq!((world.has_tasks(), world.state().requests.len()), (false, 0));
}

/// S3: the runtime goes away under the feed: the stream says so, and messages given to a handle come back.
#[test]
fn dropping_the_task_ends_the_stream_and_returns_messages() {
    let mut rig = Rig::live(Mode::Task);
    assert_eq!(rig.drain(), ["live 1"]);
    let handle = rig.handle.clone();
    let mut sending = Box::pin(handle.send("lost"));
    assert!(sending.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let _ = rig.wakes.take();
    rig.world.drop_tasks();
    assert!(rig.wakes.take() > 0, "a consumer that waits is woken");
    let error = rig.wait(sending).unwrap().unwrap_err();
    assert_eq!(error.into_message(), Message::from("lost"));
    let error = rig.send("later").unwrap().unwrap_err();
    assert_eq!(error.into_message(), Message::from("later"));
    assert_eq!(rig.drain(), ["error runtime_stopped", "end"]);
    assert_eq!(rig.wait(handle.wait_for(|_| false)), Some(Phase::Stopped));
}

/// S3: a shutdown that was asked for remains one, whether the loop has seen it or not, and so does another reason.
#[test]
fn dropping_the_task_changes_no_other_reason() {
    for seen in [false, true] {
        let mut rig = Rig::live(Mode::Task);
        rig.handle.shutdown();
        if seen {
            rig.settle();
        }
        rig.world.drop_tasks();
        let lines = rig.drain();
        assert!(!lines.iter().any(|line| line.starts_with("error")), "{lines:?}");
    }
    let world = World::default();
    world.next_dial(Dial::Fail(Failure::rejected(404, None)));
    let mut rig = Rig::new(Mode::Task, &world, builder(&world));
    rig.world.drop_tasks();
    assert_eq!(rig.drain(), ["error fatal", "end"]);
}

fn a_panic_while_dialing_ends_the_feed(mode: Mode) {
    let world = World::default();
    world.state().dial_broken = true;
    let mut rig = Rig::new(mode, &world, builder(&world));
    assert_eq!(rig.drain(), ["error handler_panicked", "end"]);
    assert_ended(&mut rig);
}

/// H5: a panic of the runtime reaches the runtime, and the consumer is notified.
#[test]
fn a_panic_of_the_runtime_ends_the_feed_and_goes_on_up() {
    let mut rig = Rig::live(Mode::Task);
    rig.world.state().clock_broken = true;
    rig.peer().send("wakes the task");
    let panic = catch_unwind(AssertUnwindSafe(|| rig.world.settle())).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"the test broke the clock"));
    assert_eq!(rig.drain(), ["live 1", "error handler_panicked", "end"]);
    assert_ended(&mut rig);
}

/// Handles report the end.
fn assert_ended(rig: &mut Rig) {
    let handle = rig.handle.clone();
    assert!(!rig.world.has_tasks());
    assert_eq!(rig.wait(handle.wait_for(|_| false)), Some(Phase::Stopped));
    assert!(matches!(rig.send("late"), Some(Err(SendError::NotLive(_)))));
}

/// H5: a future of a handle never hangs.
fn dropping_the_stream_releases_the_handles(mode: Mode) {
    let rig = Rig::live(mode);
    let handle = rig.handle.clone();
    let mut cx = Context::from_waker(Waker::noop());
    let mut sending = Box::pin(handle.send("out"));
    let mut waiting = Box::pin(handle.wait_for(|phase| phase == Phase::Stopped));
    assert!(sending.as_mut().poll(&mut cx).is_pending());
    assert!(waiting.as_mut().poll(&mut cx).is_pending());
    rig.drop_feed();
    assert!(sending.as_mut().poll(&mut cx).is_ready());
    assert!(waiting.as_mut().poll(&mut cx).is_ready());
}
