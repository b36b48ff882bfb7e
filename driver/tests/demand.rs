//! Demand, back-pressure, and what a consumer calls.
#![allow(clippy::unwrap_used, reason = "the lint does not know that the cases are tests")]

mod common;

use std::task::Poll;

use common::{
    InStream, InTask, Mode, Rig, SECOND, World, builder, config, in_both_modes, items, reset, text,
};
use futures_util::{FutureExt, StreamExt};
use tidegate_driver::core::{Delivery, Frame, Message, Overflow, Phase};

in_both_modes!(
    a_full_queue_stops_reading_until_it_is_half_empty,
    pings_before_a_pause_are_answered,
    a_dropped_recv_loses_nothing,
    recv_many_takes_what_is_at_hand,
    a_dropped_recv_many_loses_nothing,
    items_are_given_without_marks,
    dropped_items_are_announced,
    every_item_comes_once_and_in_order_across_reconnects,
);

/// D1, D5: what is outstanding never exceeds `max_demand`, and is topped up at `min_demand`.
#[test]
fn no_more_than_the_demand_is_handed_over() {
    let world = World::default();
    let config = config().min_demand(2).max_demand(10);
    let mut rig = Rig::new::<InTask, _>(&world, builder(&world).config(config));
    let _ = rig.poll();
    rig.peer(1).send_items(0..500);
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

/// The consumer has asked for nothing yet: it was never polled.
#[test]
fn nothing_is_handed_over_unasked() {
    let world = World::default();
    let rig = Rig::new::<InTask, _>(&world, builder(&world));
    rig.peer(1).send_items(0..10);
    world.run();
    assert_eq!((rig.handle.stats().delivered, rig.handle.stats().queued), (0, 10));
}

/// D4.
fn a_full_queue_stops_reading_until_it_is_half_empty<M: Mode>() {
    let world = World::default();
    let config = config().buffer(8).min_demand(0).max_demand(1);
    let mut rig = Rig::idle::<M, _>(&world, builder(&world).config(config));
    let mut taken = vec![take(&mut rig)];
    let peer = rig.peer(1);
    peer.send_items(0..50);
    taken.push(take(&mut rig));
    let full = peer.reads();
    assert_eq!(full, 8);
    let polls = peer.read_polls();
    while rig.handle.stats().queued > 5 {
        taken.push(take(&mut rig));
        assert_eq!((peer.reads(), peer.read_polls()), (full, polls), "the socket is left alone");
    }
    taken.push(take(&mut rig));
    assert!(peer.reads() > full, "half empty: reading goes on");
    taken.extend(rig.drain());
    assert_eq!(taken, [vec!["live 1".to_owned()], items(0..50)].concat());
}

/// One delivery, after the feed has done what it can.
fn take<S: tidegate_driver::Source<Item = Message>>(rig: &mut Rig<S>) -> String {
    loop {
        rig.world.run();
        let taken = match rig.poll() {
            Poll::Ready(Some(Ok(Delivery::Item(message)))) => message.as_text().unwrap().to_owned(),
            Poll::Ready(Some(Ok(Delivery::Live { id }))) => format!("live {id}"),
            Poll::Ready(other) => panic!("{other:?}"),
            Poll::Pending => continue,
        };
        rig.world.run();
        return taken;
    }
}

/// O2: reading stops for longer than a peer waits for its pong, so the pong goes first.
fn pings_before_a_pause_are_answered<M: Mode>() {
    let world = World::default();
    let config = config().buffer(4).min_demand(0).max_demand(1);
    let mut rig = Rig::idle::<M, _>(&world, builder(&world).config(config));
    assert_eq!(take(&mut rig), "live 1");
    let peer = rig.peer(1);
    peer.send(Frame::Ping(Default::default()));
    peer.send_items(0..20);
    assert_eq!(take(&mut rig), "item 0");
    assert!(peer.reads() < 20, "reading is held back");
    assert_eq!(peer.pongs(), 1);
}

fn a_dropped_recv_loses_nothing<M: Mode>() {
    let world = World::default();
    let mut rig = Rig::idle::<M, _>(&world, builder(&world));
    let mut seen = Vec::new();
    for number in 0..100 {
        if world.connections() > 0 && number % 3 == 0 {
            rig.peer(1).send_items(number / 3..number / 3 + 1);
        }
        world.run();
        if let Some(Some(Ok(Delivery::Item(message)))) = rig.feed.recv().now_or_never() {
            seen.push(message.as_text().unwrap().to_owned());
        }
    }
    seen.extend(rig.drain());
    assert_eq!(seen, items(1..34));
}

fn recv_many_takes_what_is_at_hand<M: Mode>() {
    let world = World::default();
    let mut rig = Rig::new::<M, _>(&world, builder(&world));
    assert_eq!(rig.drain(), ["live 1"]);
    let mut into = Vec::new();
    rig.peer(1).send_items(0..10);
    world.run();
    let feed = &mut rig.feed;
    assert_eq!(feed.recv_many(&mut into, 0).now_or_never(), Some(Ok(0)));
    assert_eq!(feed.recv_many(&mut into, 4).now_or_never(), Some(Ok(4)));
    assert_eq!(feed.recv_many(&mut into, 100).now_or_never(), Some(Ok(6)));
    assert_eq!(feed.recv_many(&mut into, 100).now_or_never(), None);
    rig.handle.shutdown();
    rig.settle();
    rig.peer(1).end();
    rig.settle();
    assert_eq!(into.len(), 10);
    assert!(into.iter().all(|delivery| matches!(delivery, Delivery::Item(_))));
    assert_eq!(rig.drain(), ["interrupted 1 on purpose", "end"]);
    assert_eq!(rig.feed.recv_many(&mut into, 100).now_or_never(), Some(Ok(0)));
}

fn a_dropped_recv_many_loses_nothing<M: Mode>() {
    let world = World::default();
    let mut rig = Rig::new::<M, _>(&world, builder(&world));
    assert_eq!(rig.drain(), ["live 1"]);
    let mut into = Vec::new();
    for number in 0..20 {
        let _ = rig.feed.recv_many(&mut into, 3).now_or_never();
        rig.peer(1).send_items(number..number + 1);
        world.run();
    }
    assert_eq!(into.len() + rig.drain().len(), 20);
}

fn items_are_given_without_marks<M: Mode>() {
    let world = World::default();
    let mut rig = Rig::new::<M, _>(&world, builder(&world));
    rig.peer(1).send_items(0..2);
    rig.peer(1).fail(reset());
    rig.settle();
    let kept = if M::IN_STREAM { rig.drain().len() - 2 } else { 0 };
    world.advance(SECOND);
    let Rig { feed, .. } = rig;
    let mut items = feed.items();
    let mut seen = kept;
    for _ in 0..20 {
        world.run();
        if let Some(item) = items.next().now_or_never() {
            assert!(item.unwrap().is_ok());
            seen += 1;
        } else if seen == 2 && world.connections() == 2 {
            world.peer(2).send(text("last"));
        }
    }
    assert!(seen >= 3, "{seen} items");
    let _feed = items.into_feed();
}

/// D4: a drop policy says so in-band, and does not stop reading.
fn dropped_items_are_announced<M: Mode>() {
    let world = World::default();
    let config = config().buffer(4).min_demand(0).max_demand(1).overflow(Overflow::DropNewest);
    let mut rig = Rig::new::<M, _>(&world, builder(&world).config(config));
    let mut seen = rig.drain();
    rig.peer(1).send_items(0..20);
    seen.extend(rig.drain());
    assert_eq!(rig.peer(1).reads(), 20);
    let dropped: u64 =
        seen.iter().filter_map(|line| line.strip_prefix("dropped ")?.parse::<u64>().ok()).sum();
    let kept = seen.iter().filter(|line| line.starts_with("item")).count();
    assert_eq!((kept as u64 + dropped, rig.handle.stats().dropped), (20, dropped));
    assert!(dropped > 0);
}

/// D2.
fn every_item_comes_once_and_in_order_across_reconnects<M: Mode>() {
    let world = World::default();
    let mut rig = Rig::new::<M, _>(&world, builder(&world).config(config().buffer(16).max_demand(11)));
    let mut seen = Vec::new();
    for round in 0..5 {
        let peer = rig.peer(round + 1);
        peer.send_items(round * 100..round * 100 + 100);
        peer.fail(reset());
        seen.extend(rig.drain());
        assert_eq!(rig.phase(), Phase::Waiting);
        rig.advance(SECOND);
    }
    seen.retain(|line| line.starts_with("item"));
    assert_eq!(seen, items(0..500));
}
