//! Deliveries on their way from the task to the consumer.
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use tidegate_driver::MessageFeed;
use tidegate_driver::core::{Delivery, Message, StopReason};
use tidegate_loom::{Clock, Extent, Step, World, block_on, explore};

const A: Step = Step::Message("a");
const B: Step = Step::Message("b");
const C: Step = Step::Message("c");
const HALF_MIB: Step = Step::Zeros(512 * 1024);

/// Waits for the next item. Skips other deliveries.
fn item(feed: &mut MessageFeed) -> Message {
    loop {
        if let Delivery::Item(item) = block_on(feed.recv()).unwrap().unwrap() {
            return item;
        }
    }
}

/// Asserts that these items arrive, and then the end of a feed that does not retry.
fn assert_rest(feed: &mut MessageFeed, items: &[&str]) {
    for expected in items {
        assert_eq!(item(feed), Message::from(*expected));
    }
    loop {
        match block_on(feed.recv()).unwrap() {
            Ok(Delivery::Item(item)) => panic!("{item:?} is too much"),
            Ok(_) => {}
            Err(reason) => {
                assert!(matches!(reason, StopReason::RetriesExhausted { .. }), "{reason:?}");
                break;
            }
        }
    }
    assert!(block_on(feed.recv()).is_none());
}

/// Items that arrive in two polls reach a consumer that waits, and after them the feed is quiet.
#[test]
fn hand_over() {
    explore("hand_over", Extent::All, || {
        let world = World::new(Clock::Frozen, &[&[A, Step::Yield, B]]);
        let (mut feed, task) = world.feed(|config| config);
        let task = task.start();
        assert_eq!(item(&mut feed), Message::from("a"));
        assert_eq!(item(&mut feed), Message::from("b"));
        drop(feed);
        task.join().unwrap();
        assert!(world.sent().is_empty());
    });
}

/// D1: what waits in the machine for demand is handed over once there is some.
#[test]
fn demand() {
    explore("demand", Extent::All, || {
        let world = World::new(Clock::Frozen, &[&[A, B, C]]);
        let (mut feed, task) = world.feed(|config| config.max_demand(1));
        let task = task.start();
        for expected in ["a", "b", "c"] {
            assert_eq!(item(&mut feed), Message::from(expected));
        }
        drop(feed);
        task.join().unwrap();
    });
}

/// D3: what waits in the machine for room, in bytes, is handed over once there is some.
#[test]
fn full_by_bytes() {
    explore("full_by_bytes", Extent::All, || {
        let world = World::new(Clock::Frozen, &[&[HALF_MIB, HALF_MIB, HALF_MIB]]);
        let (mut feed, task) = world.feed(|config| config);
        let task = task.start();
        for _ in 0..3 {
            assert_eq!(item(&mut feed).len(), 512 * 1024);
        }
        drop(feed);
        task.join().unwrap();
    });
}

/// S2: what is queued when the feed stops, beyond the demand, is taken before the end is seen.
#[test]
fn items_left_behind() {
    explore("items_left_behind", Extent::All, || {
        let world = World::new(Clock::Frozen, &[&[A, B, C, Step::Reset]]);
        let (mut feed, task) = world.feed(|config| config.max_demand(1));
        let task = task.start();
        assert_rest(&mut feed, &["a", "b", "c"]);
        task.join().unwrap();
    });
}

/// S4: a consumer that is dropped while the task waits for it to take what is left.
#[test]
fn items_left_behind_and_dropped() {
    explore("items_left_behind_and_dropped", Extent::All, || {
        let world = World::new(Clock::Frozen, &[&[A, B, C, Step::Reset]]);
        let (mut feed, task) = world.feed(|config| config.max_demand(1));
        let task = task.start();
        assert_eq!(item(&mut feed), Message::from("a"));
        drop(feed);
        task.join().unwrap();
    });
}

/// S4: a consumer that is dropped at any time ends the task, and closes the connection.
#[test]
fn consumer_dropped() {
    explore("consumer_dropped", Extent::All, || {
        let world = World::new(Clock::Frozen, &[&[A, Step::Yield, B]]);
        let (feed, task) = world.feed(|config| config);
        let task = task.start();
        drop(feed);
        task.join().unwrap();
        assert!(world.sent().is_empty());
    });
}

/// S3: the consumer sees the end, however it comes upon it.
#[test]
fn the_end() {
    explore("the_end", Extent::All, || {
        let world = World::new(Clock::Frozen, &[&[A, Step::Yield, Step::Reset]]);
        let (mut feed, task) = world.feed(|config| config);
        let task = task.start();
        assert_rest(&mut feed, &["a"]);
        task.join().unwrap();
    });
}
