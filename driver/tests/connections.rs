//! Connections: bootstrap, writing beside reading, closing.
#![allow(clippy::unwrap_used, reason = "the lint does not know that the cases are tests")]

mod common;

use std::future::ready;
use std::io;
use std::sync::{Arc, Mutex};

use common::{Gate, Mode, Rig, SECOND, World, builder, in_both_modes, items};
use http::HeaderValue;
use http::header::{AUTHORIZATION, HOST, SEC_WEBSOCKET_PROTOCOL};
use tidegate_driver::core::{CloseFrame, ConnectionId, Failure, Fault, Frame, Notice, Phase};
use tidegate_driver::{Attempt, ResolveError};

in_both_modes!(
    live_once_the_bootstrap_is_flushed,
    live_comes_before_what_answers_the_bootstrap,
    an_end_after_the_bootstrap_keeps_its_name,
    resolver_whose_request_cannot_be_sent_stops_the_feed,
    resolver_that_fails_is_a_failed_attempt,
    resolver_that_fails_for_good_stops_the_feed,
    resolver_is_told_the_last_failure_and_the_retries,
    blocked_write_does_not_stop_reading,
    ping_is_answered_without_another_read,
    what_arrived_before_a_failed_write_is_delivered,
    failed_write_ends_a_flood_too,
    failed_write_of_the_bootstrap_is_a_failed_attempt,
    failed_write_is_noticed_on_a_silent_connection,
    close_of_the_peer_says_why_even_if_writing_fails,
    end_of_stream_is_a_loss,
    the_reason_of_a_close_shows_no_secret,
);

fn subscriptions(_: ConnectionId) -> Result<[&'static str; 2], Fault> {
    Ok(["sub a", "sub b"])
}

/// B2: written is not enough.
fn live_once_the_bootstrap_is_flushed(mode: Mode) {
    for gate in [Gate::Write, Gate::Flush] {
        let world = World::holding(gate);
        let mut rig = Rig::new(mode, &world, builder(&world).on_upgrade(subscriptions));
        assert_eq!(rig.phase(), Phase::Bootstrapping);
        assert!(rig.drain().is_empty());
        rig.peer().release();
        assert_eq!(rig.drain(), ["live 1"]);
        assert_eq!(rig.phase(), Phase::Live);
        assert_eq!(rig.peer().received(), [Frame::from("sub a"), Frame::from("sub b")]);
    }
}

/// B2: a read flushed the bootstrap, and the answer had arrived.
fn live_comes_before_what_answers_the_bootstrap(mode: Mode) {
    let world = World::holding(Gate::Flush);
    let mut rig = Rig::new(mode, &world, builder(&world).on_upgrade(subscriptions));
    rig.peer().release();
    rig.peer().send("subscribed");
    assert_eq!(rig.drain(), ["live 1", "subscribed"]);
}

/// B4: a read flushed the bootstrap, and the end had arrived.
fn an_end_after_the_bootstrap_keeps_its_name(mode: Mode) {
    let world = World::holding(Gate::Flush);
    let mut rig = Rig::new(mode, &world, builder(&world).on_upgrade(subscriptions));
    rig.peer().release();
    rig.peer().end();
    rig.settle();
    assert_eq!((rig.phase(), rig.handle.stats().connections), (Phase::Waiting, 1));
}

/// R6: a retry would send the same request, so nothing is dialed.
fn resolver_whose_request_cannot_be_sent_stops_the_feed(mode: Mode) {
    for (name, value) in [(HOST, "other.test"), (SEC_WEBSOCKET_PROTOCOL, "not a token")] {
        let world = World::default();
        let builder = builder(&world).resolver(move |attempt: Attempt| {
            let request = attempt.request.with_header(name.clone(), HeaderValue::from_static(value));
            ready(Ok(request))
        });
        let mut rig = Rig::new(mode, &world, builder);
        assert_eq!(rig.drain(), ["error fatal", "end"]);
        assert!(world.state().requests.is_empty());
    }
}

/// C4, T3: what it says is kept, but for what the URL hides.
fn resolver_that_fails_is_a_failed_attempt(mode: Mode) {
    let world = World::default();
    let failures = Arc::<Mutex<Vec<String>>>::default();
    let seen = Arc::clone(&failures);
    let builder = builder(&world)
        .resolver(|_| ready(Err("no token but hush".into())))
        .on_notice(move |notice, _| seen.lock().unwrap().extend(notice.failure().map(ToString::to_string)));
    let rig = Rig::new(mode, &world, builder);
    assert_eq!(rig.phase(), Phase::Waiting);
    assert_eq!(*failures.lock().unwrap(), ["the resolver of URL and headers failed: no token but ***"]);
}

/// C4, R6: no other attempt can help.
fn resolver_that_fails_for_good_stops_the_feed(mode: Mode) {
    let world = World::default();
    let fatal = || ResolveError::Fatal("the key is revoked".to_owned());
    let mut rig = Rig::new(mode, &world, builder(&world).resolver(move |_| ready(Err(fatal()))));
    assert_eq!(rig.drain(), ["error fatal", "end"]);
    assert_eq!(rig.handle.stats().attempts, 1);
}

/// C4: of the streak, which a connection that was live for `stable_after` ends.
fn resolver_is_told_the_last_failure_and_the_retries(mode: Mode) {
    let told = Arc::<Mutex<Vec<(u32, Option<&'static str>)>>>::default();
    let seen = Arc::clone(&told);
    let mut rig = Rig::with(mode, |builder| {
        builder.resolver(move |attempt| {
            let last = attempt.last_failure.as_ref().map(Failure::kind);
            seen.lock().unwrap().push((attempt.retries, last));
            let fails = attempt.id.get() == 2;
            async move {
                if fails {
                    io::Result::Err(io::ErrorKind::TimedOut.into())?;
                }
                Ok(attempt.request)
            }
        })
    });
    rig.world.advance(60 * SECOND);
    rig.peer().end();
    for _ in 0..2 {
        rig.settle();
        rig.world.advance(SECOND);
    }
    rig.settle();
    assert_eq!(*told.lock().unwrap(), [(0, None), (1, Some("io")), (2, Some("resolve"))]);
}

fn blocked_write_does_not_stop_reading(mode: Mode) {
    for gate in [Gate::Write, Gate::Flush] {
        let mut rig = Rig::live(mode);
        rig.peer().hold(gate);
        assert_eq!(rig.send("out"), Some(Ok(())));
        rig.send_items(0..3);
        assert_eq!(rig.drain(), [vec!["live 1".to_owned()], items(0..3)].concat());
        assert!(rig.peer().received().is_empty());
    }
}

/// O2: the answer waits in the transport for a flush.
fn ping_is_answered_without_another_read(mode: Mode) {
    let mut rig = Rig::live(mode);
    rig.peer().send(Frame::Ping(Default::default()));
    rig.settle();
    assert_eq!(rig.peer().received(), [Frame::Pong(Default::default())]);
    rig.peer().break_writing();
    rig.send_items(0..3);
    rig.settle();
    rig.look_again();
    assert_eq!(rig.phase(), Phase::Live, "without a ping nothing is flushed, which would fail");
}

/// D2: a failed write loses no frame that had arrived.
fn what_arrived_before_a_failed_write_is_delivered(mode: Mode) {
    let world = World::slow_to_look();
    let mut rig = Rig::new(mode, &world, builder(&world));
    let peer = rig.peer();
    // More than one poll reads, and more than the consumer has asked for.
    rig.send_items(0..4050);
    world.advance(SECOND);
    peer.break_writing();
    assert_eq!(rig.send("out"), Some(Ok(())));
    assert!(rig.drain() == [vec!["live 1".to_owned()], items(0..4050)].concat());
    // A frame is in the socket, but the runtime has not looked.
    peer.send("item 4050");
    rig.look_again();
    assert_eq!(rig.drain(), ["item 4050"]);
    rig.look_again();
    assert_eq!(rig.drain(), ["interrupted 1 io"]);
    assert!(!peer.is_open());
}

fn failed_write_ends_a_flood_too(mode: Mode) {
    let mut rig = Rig::live(mode);
    rig.send_items(0..20_000);
    rig.peer().break_writing();
    assert_eq!(rig.send("out"), Some(Ok(())));
    let seen = rig.drain();
    assert_eq!(seen.last().unwrap(), "interrupted 1 io");
    // As many as one poll reads before the failure, and 4096 after it.
    let reads = rig.handle.stats().messages;
    assert!(reads < 9_000, "{reads} frames were read");
}

/// B4: a bootstrap that cannot be written is a failed attempt.
fn failed_write_of_the_bootstrap_is_a_failed_attempt(mode: Mode) {
    let world = World::holding(Gate::Flush);
    let mut rig = Rig::new(mode, &world, builder(&world).on_upgrade(subscriptions));
    rig.peer().break_writing();
    rig.settle();
    rig.look_again();
    assert_eq!((rig.phase(), rig.handle.stats().connections), (Phase::Waiting, 0));
}

/// The transport has nothing to read, and wakes nobody for the failed write.
fn failed_write_is_noticed_on_a_silent_connection(mode: Mode) {
    let mut rig = Rig::live(mode);
    rig.peer().break_writing();
    rig.settle();
    assert_eq!(rig.phase(), Phase::Live);
    assert_eq!(rig.send("out"), Some(Ok(())));
    rig.look_again();
    assert_eq!(rig.phase(), Phase::Waiting);
}

fn close_of_the_peer_says_why_even_if_writing_fails(mode: Mode) {
    let mut rig = Rig::live(mode);
    let peer = rig.peer();
    // The server has closed and gone: the write fails, and the reason is in the receive buffer.
    peer.break_writing();
    peer.send(Frame::Close(Some(CloseFrame::new(1008))));
    peer.end();
    let _ = rig.send("out");
    assert_eq!(rig.drain(), ["live 1", "interrupted 1 closed"]);
    assert_eq!(rig.phase(), Phase::Waiting);
}

fn end_of_stream_is_a_loss(mode: Mode) {
    let mut rig = Rig::live(mode);
    rig.send_items(0..2);
    rig.peer().end();
    assert_eq!(rig.drain(), ["live 1", "item 0", "item 1", "interrupted 1 io"]);
}

/// T3: servers repeat what they were sent; what a resolver adds is a secret too.
fn the_reason_of_a_close_shows_no_secret(mode: Mode) {
    let shown = Arc::new(Mutex::new(String::new()));
    let seen = Arc::clone(&shown);
    let mut rig = Rig::with(mode, |builder| {
        builder
            .header("x-api-key", "hush-key")
            .resolver(|attempt: Attempt| {
                let token = HeaderValue::from_static("Bearer hush-token");
                ready(Ok(attempt.request.with_header(AUTHORIZATION, token)))
            })
            .on_notice(move |notice, _| {
                if let Notice::Disconnected { failure: Some(failure), .. } = notice {
                    *seen.lock().unwrap() += &failure.to_string();
                }
            })
    });
    let reason = "no hush-token with hush-key".to_owned();
    rig.peer().send(Frame::Close(Some(CloseFrame { code: 4001, reason })));
    rig.settle();
    assert_eq!(*shown.lock().unwrap(), "the server closed the connection with code 4001: no *** with ***");
}
