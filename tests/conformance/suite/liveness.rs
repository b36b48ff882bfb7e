//! Connections that are open and dead (L1-L5).

use std::thread;

use tidegate::{Step, from_fn};
use tidegate_tests::prelude::*;
use tidegate_tests::server::{Fact, PING, PONG, Server, frame};

cases! {
    both: [
        silence_is_measured_from_the_last_frame,
        every_frame_counts_as_heard,
        a_ping_that_is_not_answered,
        a_mute_feed_is_stale,
    ],
    spawned: [a_pause_is_no_silence, a_pause_has_an_end],
}

/// L1, L2: never early, and late by no more than the timer.
async fn silence_is_measured_from_the_last_frame<M: Mode>() {
    let server = Server::start(|_, peer| {
        peer.upgrade()?;
        thread::sleep(ms(50));
        peer.note("last");
        peer.text("x")?;
        peer.be_silent()
    });
    let notices = Notices::default();
    let config = quick().idle_timeout(ms(200));
    let mut feed = M::start(M::to(&server).config(config).on_notice(notices.watch()));
    for id in 1..=5 {
        let expected = [format!("live {id}"), "x".into(), format!("interrupted {id}: idle_timeout")];
        assert_eq!(take(&mut feed, 3).await, expected);
    }
    let mut waits = Vec::new();
    for seen in notices.all() {
        if let tidegate::Notice::Timeout { id, .. } = seen.notice {
            let last = server.saw(usize::try_from(id.get()).unwrap(), Fact::Note("last")).await;
            waits.push(seen.at.duration_since(last));
        }
    }
    assert_eq!(waits.len(), 5);
    assert_best(&waits, ms(200), ms(25));
    within(server.saw(5, Fact::Gone)).await;
}

/// L1: pings and pongs, too. The pauses are far shorter than the timeout, all of them together longer.
async fn every_frame_counts_as_heard<M: Mode>() {
    let server = Server::start(|_, peer| {
        peer.upgrade()?;
        for _ in 0..10 {
            thread::sleep(ms(40));
            peer.raw(&frame(PING, b""))?;
            thread::sleep(ms(40));
            peer.raw(&frame(PONG, b"unasked"))?;
        }
        peer.text("still here")?;
        peer.be_silent()
    });
    let mut feed = M::start(M::to(&server).config(quick().idle_timeout(ms(700))));
    assert_eq!(take(&mut feed, 2).await, ["live 1", "still here"]);
    assert_eq!(next(&mut feed).await, "interrupted 1: idle_timeout");
}

/// L3, T1: three pings are answered, the fourth is not.
async fn a_ping_that_is_not_answered<M: Mode>() {
    let server = Server::start(|_, peer| {
        peer.upgrade()?;
        let mut left = 3;
        loop {
            let (opcode, payload) = peer.read()?;
            if opcode == PING && left > 0 {
                left -= 1;
                peer.note("answered");
                peer.raw(&frame(PONG, &payload))?;
            }
        }
    });
    let notices = Notices::default();
    let config = quick().ping_interval(ms(30)).pong_timeout(ms(500));
    let mut feed = M::start(M::to(&server).config(config).on_notice(notices.watch()));
    let handle = feed.handle();
    let seen = take_to(&mut feed, "live 2").await;
    assert_eq!(seen, ["live 1", "interrupted 1: pong_timeout", "live 2"]);
    assert_eq!(notices.times("pong 1").len(), 3);
    assert_eq!(notices.times("timeout 1: pong_timeout").len(), 1);
    assert!(handle.stats().round_trip.is_some());
    let pongs = notices.times("pong 1");
    let waited = notices.times("timeout 1")[0].saturating_since(pongs[2]);
    assert!(waited >= ms(500), "{waited:?}");
}

/// L4: frames come, items do not.
async fn a_mute_feed_is_stale<M: Mode>() {
    let server = Server::start(|_, peer| {
        peer.upgrade()?;
        peer.text("item")?;
        loop {
            peer.text("heartbeat")?;
            thread::sleep(ms(20));
        }
    });
    let handler = from_fn((), |message, ()| match message.as_text() {
        Some("item") => Step::Emit(vec![message]),
        Some(_) | None => Step::Skip,
    });
    let notices = Notices::default();
    let config = quick().stale_after(ms(200)).idle_timeout(WAIT);
    let mut feed = M::start(M::to(&server).config(config).handler(handler).on_notice(notices.watch()));
    for id in 1..=3 {
        let expected = [format!("live {id}"), "item".into(), format!("interrupted {id}: stale")];
        assert_eq!(take(&mut feed, 3).await, expected);
    }
    let (live, stale) = (notices.times("success"), notices.times("timeout"));
    let waits: Vec<_> = live.iter().zip(&stale).map(|(live, stale)| stale.saturating_since(*live)).collect();
    assert_best(&waits, ms(200), ms(100));
}

/// L5: while a slow consumer holds reading back, nothing can be heard.
async fn a_pause_is_no_silence<M: Mode>() {
    let server = Server::start(|_, peer| {
        peer.upgrade()?;
        peer.flood((0..50).map(|number| frame(1, number.to_string().as_bytes())))?;
        peer.be_silent()
    });
    let notices = Notices::default();
    let config = narrow(tidegate::Overflow::Pause).idle_timeout(ms(150));
    let mut feed = M::start(M::to(&server).config(config).on_notice(notices.watch()));
    within(notices.until("paused 1", 1)).await;
    // More than the timeout: the rule is about time.
    sleep(ms(400)).await;
    assert!(notices.times("timeout").is_empty());
    let items: Vec<_> = (0..50).map(|number| number.to_string()).collect();
    assert_eq!(take(&mut feed, 51).await[1..], items);
    assert_eq!(next(&mut feed).await, "interrupted 1: idle_timeout");
}

/// L5: `max_pause`.
async fn a_pause_has_an_end<M: Mode>() {
    let server = Server::start(|_, peer| {
        peer.upgrade()?;
        peer.flood((0..50).map(|number| frame(1, number.to_string().as_bytes())))?;
        peer.be_silent()
    });
    let notices = Notices::default();
    let config = narrow(tidegate::Overflow::Pause).max_pause(ms(150));
    let mut feed = M::start(M::to(&server).config(config).on_notice(notices.watch()));
    within(notices.until("disconnected 1: overflow", 1)).await;
    let waited = notices.times("disconnected")[0].saturating_since(notices.times("paused")[0]);
    assert!(waited >= ms(150), "{waited:?}");
    // What was in the queue is not lost, and in order.
    let seen = take_to(&mut feed, "interrupted 1: overflow").await;
    let items: Vec<_> = (0..seen.len() - 2).map(|number| number.to_string()).collect();
    assert_eq!(seen[1..seen.len() - 1], items);
    assert!(items.len() >= 4);
}
