//! What handles ask of a feed.
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use loom::thread;
use tidegate_driver::core::{Delivery, Message, Phase, RetryPolicy, SendError, StopReason};
use tidegate_driver::{FeedHandle, MessageFeed};
use tidegate_loom::{Clock, Extent, Step, World, block_on, explore};

const QUIET: &[Step] = &[];
const CAP: Extent = Extent::Some(20_000);

/// What was sent on the only connection is what was accepted: each text once, and nothing else.
fn assert_sent(world: &World, results: &[(&str, Result<(), SendError>)]) {
    let mut sent = world.sent();
    sent.sort();
    let accepted = results.iter().filter(|(_, result)| result.is_ok());
    assert_eq!(sent, accepted.map(|(text, _)| (1, (*text).to_owned())).collect::<Vec<_>>());
}

/// O1: a send that fails does so for want of a Live connection, and gives the text back.
fn send(handle: &FeedHandle, text: &'static str) -> Result<(), SendError> {
    let result = block_on(handle.send(text)).map(drop);
    match &result {
        Ok(()) => {}
        Err(SendError::NotLive(message)) => {
            assert_eq!(message.as_text(), Some(text));
        }
        Err(other) => panic!("{other:?}"),
    }
    result
}

/// Waits for the end of the stream.
fn end(feed: &mut MessageFeed) -> Option<StopReason> {
    while let Some(delivery) = block_on(feed.recv()) {
        if let Err(reason) = delivery {
            return Some(reason);
        }
    }
    None
}

/// O1: whoever has taken `Live` from the stream, or was told so by a handle, may send.
#[test]
fn told_live_so_may_send() {
    explore("told_live_so_may_send", Extent::All, || {
        let world = World::new(Clock::Frozen, &[QUIET]);
        let (mut feed, task) = world.feed(|config| config);
        let task = task.start();
        while !matches!(block_on(feed.recv()), Some(Ok(Delivery::Live { .. }))) {}
        let sent = block_on(feed.handle().send("now")).map(drop);
        drop(feed);
        task.join().unwrap();
        assert_eq!(sent, Ok(()));
        assert_sent(&world, &[("now", sent)]);
    });
}

/// A send is answered when the feed stops meanwhile, in the poll in which it was Live.
#[test]
fn a_send_against_a_stop() {
    explore("a_send_against_a_stop", Extent::All, || {
        let world = World::new(Clock::Frozen, &[&[Step::Yield, Step::Reset]]);
        let (feed, task) = world.feed(|config| config);
        let handle = feed.handle();
        let task = task.start();
        let sender = thread::spawn(move || send(&handle, "late"));
        task.join().unwrap();
        // Accepted, it may still be lost with the connection.
        if sender.join().unwrap().is_err() {
            assert_sent(&world, &[]);
        }
    });
}

/// A send is answered when the consumer is dropped meanwhile.
#[test]
fn a_send_against_a_drop() {
    explore("a_send_against_a_drop", Extent::All, || {
        let world = World::new(Clock::Frozen, &[QUIET]);
        let (mut feed, task) = world.feed(|config| config);
        let task = task.start();
        let handle = feed.handle();
        while !matches!(block_on(feed.recv()), Some(Ok(Delivery::Live { .. }))) {}
        let sender = thread::spawn(move || send(&handle, "late"));
        drop(feed);
        task.join().unwrap();
        assert_sent(&world, &[("late", sender.join().unwrap())]);
    });
}

/// O3: a message that finds no room is sent once there is some.
#[test]
fn a_send_that_waits_for_room() {
    explore("a_send_that_waits_for_room", CAP, || {
        let world = World::new(Clock::Frozen, &[QUIET]);
        let (mut feed, task) = world.feed(|config| config.send_buffer(1));
        let task = task.start();
        let handle = feed.handle();
        while !matches!(block_on(feed.recv()), Some(Ok(Delivery::Live { .. }))) {}
        assert_eq!(handle.try_send("first"), Ok(()));
        let second = send(&handle, "second");
        drop(feed);
        task.join().unwrap();
        assert_eq!(second, Ok(()));
        assert_sent(&world, &[("first", Ok(())), ("second", second)]);
    });
}

/// S1: a shutdown before, during or after the first poll is seen.
#[test]
fn shutdown_against_the_first_poll() {
    explore("shutdown_against_the_first_poll", Extent::All, || {
        let world = World::new(Clock::Frozen, &[QUIET]);
        let (feed, task) = world.feed(|config| config);
        let task = task.start();
        feed.handle().shutdown();
        task.join().unwrap();
        assert_eq!(feed.handle().phase(), Phase::Stopped);
    });
}

/// O1: a message that was handed in while one connection was Live is not sent on the next, even if it is opened at once.
#[test]
fn a_send_across_a_reconnect() {
    explore("a_send_across_a_reconnect", Extent::All, || {
        let world = World::new(Clock::Jumps, &[&[Step::Yield, Step::Reset], QUIET]);
        let retry = RetryPolicy::custom(Duration::ZERO, |state, _| state).max_retries(1);
        let (feed, task) = world.feed(|config| config.retry(retry));
        let (handle, outside) = (feed.handle(), world.clone());
        let task = task.start();
        let sender = thread::spawn(move || {
            block_on(handle.wait_for(|phase| phase == Phase::Live));
            let mut sending = pin!(handle.send("mine"));
            let mut before = None;
            let result = block_on(poll_fn(|cx| {
                let polled = sending.as_mut().poll(cx);
                // It is handed in by its first poll.
                before.get_or_insert_with(|| outside.opened() == 1);
                polled
            }));
            (result, before.unwrap())
        });
        let (result, before) = sender.join().unwrap();
        drop(feed);
        task.join().unwrap();
        let on_which: Vec<_> = world.sent().into_iter().map(|(connection, _)| connection).collect();
        // Accepted, it may still be lost with its connection.
        match result {
            Ok(_) if before => assert!(matches!(on_which[..], [] | [1]), "{on_which:?}"),
            Ok(_) => assert!(on_which.len() <= 1, "{on_which:?}"),
            Err(_) => assert_eq!(on_which, []),
        }
    });
}

/// A task that waits for a phase is woken by that phase, and by the end.
#[test]
fn watchers() {
    explore("watchers", CAP, || {
        let world = World::new(Clock::Frozen, &[QUIET]);
        let (feed, task) = world.feed(|config| config);
        let (live, stopped) = (feed.handle(), feed.handle());
        let task = task.start();
        let live = thread::spawn(move || block_on(live.wait_for(|phase| phase == Phase::Live)));
        let stopped = thread::spawn(move || block_on(stopped.wait_for(|_| false)));
        assert_eq!(live.join().unwrap(), Phase::Live);
        drop(feed);
        assert_eq!(stopped.join().unwrap(), Phase::Stopped);
        task.join().unwrap();
    });
}

/// O3: two that send at once share the bound.
#[test]
fn two_senders() {
    explore("two_senders", CAP, || {
        let world = World::new(Clock::Frozen, &[QUIET]);
        let (mut feed, task) = world.feed(|config| config.send_buffer(1));
        let (one, two) = (feed.handle(), feed.handle());
        let task = task.start();
        while !matches!(block_on(feed.recv()), Some(Ok(Delivery::Live { .. }))) {}
        let one = thread::spawn(move || send(&one, "1"));
        let two = thread::spawn(move || send(&two, "2"));
        let results = [("1", one.join().unwrap()), ("2", two.join().unwrap())];
        drop(feed);
        task.join().unwrap();
        assert!(results.iter().any(|(_, result)| result.is_ok()), "{results:?}");
        assert_sent(&world, &results);
    });
}

/// H5: a runtime that drops the task leaves nobody waiting: not the consumer, not a sender, not a watcher.
#[test]
fn task_dropped_by_its_runtime() {
    explore("task_dropped_by_its_runtime", CAP, || {
        let world = World::new(Clock::Frozen, &[QUIET]);
        let (mut feed, task) = world.feed(|config| config);
        let handle = feed.handle();
        let task = task.cut_short(2);
        let sender = thread::spawn(move || {
            let result = send(&handle, "late");
            assert_eq!(block_on(handle.wait_for(|_| false)), Phase::Stopped);
            result
        });
        assert_eq!(end(&mut feed), Some(StopReason::RuntimeStopped));
        task.join().unwrap();
        // Accepted, it may still be lost with the connection.
        if sender.join().unwrap().is_err() {
            assert_sent(&world, &[]);
        }
    });
}
