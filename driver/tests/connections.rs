//! Connections: dialling, bootstrap, writing beside reading, closing.
#![allow(clippy::unwrap_used, reason = "the lint does not know that the cases are tests")]

mod common;

use std::future::{pending, ready};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{
    Dial, Gate, InStream, InTask, Mode, Rig, SECOND, World, builder, config, in_both_modes, items, reset,
    text,
};
use http::HeaderValue;
use http::header::{AUTHORIZATION, HOST, SEC_WEBSOCKET_PROTOCOL};
use tidegate_driver::ConnectRequest;
use tidegate_driver::core::{CloseFrame, ConnectionId, Failure, Fault, Frame, Notice, Phase};

in_both_modes!(
    live_once_the_bootstrap_is_flushed,
    live_comes_before_what_answers_the_bootstrap,
    bootstrap_is_sent_again_after_a_reconnect,
    bootstrap_that_cannot_be_written_is_a_failed_attempt,
    resolver_runs_for_each_attempt,
    resolver_that_fails_is_a_failed_attempt,
    resolver_whose_request_cannot_be_sent_stops_the_feed,
    resolver_that_overruns_is_dropped_at_the_deadline,
    attempt_is_dropped_at_the_deadline,
    blocked_write_does_not_stop_reading,
    blocked_frames_go_out_in_order,
    accepted_frames_do_not_outlive_their_connection,
    ping_is_answered_without_another_read,
    what_arrived_before_a_failed_write_is_delivered,
    failed_write_ends_a_flood_too,
    failed_write_is_noticed_on_a_silent_connection,
    close_of_the_peer_says_why_even_if_writing_fails,
    peer_that_keeps_the_socket_open_after_close_holds_nothing_up,
    the_reason_of_a_close_shows_no_secret,
    end_of_stream_is_a_loss,
    refused_attempts_are_retried,
);

fn subscriptions(_: ConnectionId) -> Result<[&'static str; 2], Fault> {
    Ok(["sub a", "sub b"])
}

/// B2: written is not enough.
fn live_once_the_bootstrap_is_flushed<M: Mode>() {
    for gate in [Gate::Write, Gate::Flush] {
        let world = World::default();
        world.script(Dial::AcceptShut(gate));
        let mut rig = Rig::new::<M, _>(&world, builder(&world).on_upgrade(subscriptions));
        assert_eq!(rig.phase(), Phase::Bootstrapping);
        assert!(rig.drain().is_empty());
        rig.peer(1).open();
        assert_eq!(rig.drain(), ["live 1"]);
        assert_eq!(rig.phase(), Phase::Live);
        assert_eq!(rig.peer(1).received(), [text("sub a"), text("sub b")]);
    }
}

/// B2: reading flushed it, and the answer was there at once.
fn live_comes_before_what_answers_the_bootstrap<M: Mode>() {
    let world = World::default();
    world.script(Dial::AcceptShut(Gate::Flush));
    let mut rig = Rig::new::<M, _>(&world, builder(&world).on_upgrade(subscriptions));
    rig.peer(1).open();
    rig.peer(1).send(text("subscribed"));
    assert_eq!(rig.drain(), ["live 1", "subscribed"]);
}

/// B1.
fn bootstrap_is_sent_again_after_a_reconnect<M: Mode>() {
    let world = World::default();
    let mut rig = Rig::new::<M, _>(&world, builder(&world).on_upgrade(subscriptions));
    rig.peer(1).fail(reset());
    rig.settle();
    assert_eq!(rig.phase(), Phase::Waiting);
    assert!(!rig.peer(1).is_open(), "R7: while waiting there is no socket");
    rig.advance(SECOND);
    assert_eq!(rig.drain(), ["live 1", "interrupted 1 io", "live 2"]);
    assert_eq!(rig.peer(2).received(), [text("sub a"), text("sub b")]);
}

/// B4.
fn bootstrap_that_cannot_be_written_is_a_failed_attempt<M: Mode>() {
    let world = World::default();
    world.script(Dial::AcceptShut(Gate::Flush));
    let mut rig = Rig::new::<M, _>(&world, builder(&world).on_upgrade(subscriptions));
    rig.peer(1).break_writing(reset());
    rig.settle();
    rig.look_again();
    assert_eq!(rig.phase(), Phase::Waiting);
    assert_eq!(rig.handle.stats().connections, 0);
    rig.advance(SECOND);
    assert_eq!(rig.drain(), ["live 2"]);
}

/// C4.
fn resolver_runs_for_each_attempt<M: Mode>() {
    let world = World::default();
    let builder = builder(&world).resolver(async |attempt: tidegate_driver::Attempt| {
        ConnectRequest::new(format!("ws://host-{}.example/", attempt.id))
    });
    let mut rig = Rig::new::<M, _>(&world, builder);
    rig.peer(1).fail(reset());
    rig.settle();
    rig.advance(SECOND);
    let hosts: Vec<_> = world.requests().iter().map(|request| request.host().to_owned()).collect();
    assert_eq!(hosts, ["host-1.example", "host-2.example"]);
}

/// R6: the next attempt would send the same, so there is none, and nothing is dialed.
fn resolver_whose_request_cannot_be_sent_stops_the_feed<M: Mode>() {
    for (name, value) in [(HOST, "other.test"), (SEC_WEBSOCKET_PROTOCOL, "not a token")] {
        let world = World::default();
        let builder = builder(&world).resolver(move |attempt: tidegate_driver::Attempt| {
            let request = attempt.request.with_header(name.clone(), HeaderValue::from_static(value));
            ready(Ok::<_, String>(request))
        });
        let mut rig = Rig::new::<M, _>(&world, builder);
        assert_eq!(rig.drain(), ["error fatal", "end"]);
        assert!(world.requests().is_empty());
    }
}

/// C4, T3: its error is a failure of that attempt, and its text is kept, but for what the URL hides.
fn resolver_that_fails_is_a_failed_attempt<M: Mode>() {
    let world = World::default();
    let failures = Arc::<Mutex<Vec<String>>>::default();
    let seen = Arc::clone(&failures);
    let builder = builder(&world)
        .resolver(
            async |attempt: tidegate_driver::Attempt| {
                if attempt.id.get() == 1 { Err("no token but hush") } else { Ok(attempt.request) }
            },
        )
        .on_notice(move |notice, _| seen.lock().unwrap().extend(notice.failure().map(ToString::to_string)));
    let mut rig = Rig::new::<M, _>(&world, builder);
    assert_eq!(rig.phase(), Phase::Waiting);
    assert!(world.requests().is_empty());
    rig.advance(SECOND);
    assert_eq!(rig.drain(), ["live 2"]);
    assert_eq!(world.requests().len(), 1);
    assert_eq!(*failures.lock().unwrap(), ["the resolver of URL and headers failed: no token but ***"]);
}

/// C3, C4: one deadline over resolver and connection.
fn resolver_that_overruns_is_dropped_at_the_deadline<M: Mode>() {
    let world = World::default();
    let alive = std::sync::Arc::new(());
    let held = alive.clone();
    let builder = builder(&world).resolver(move |attempt: tidegate_driver::Attempt| {
        let held = held.clone();
        async move {
            if attempt.id.get() == 1 {
                let _held = held;
                pending::<()>().await;
            }
            Ok::<_, Failure>(attempt.request)
        }
    });
    let mut rig = Rig::new::<M, _>(&world, builder);
    rig.advance(Duration::from_millis(9_999));
    assert_eq!((rig.phase(), std::sync::Arc::strong_count(&alive)), (Phase::Connecting, 3));
    rig.advance(Duration::from_millis(1));
    assert_eq!((rig.phase(), std::sync::Arc::strong_count(&alive)), (Phase::Waiting, 2));
    rig.advance(SECOND);
    assert_eq!(rig.drain(), ["live 2"]);
}

/// C3.
fn attempt_is_dropped_at_the_deadline<M: Mode>() {
    let world = World::default();
    world.script(Dial::Hang);
    let mut rig = Rig::new::<M, _>(&world, builder(&world));
    rig.advance(Duration::from_millis(9_999));
    assert_eq!((rig.phase(), world.dials_dropped()), (Phase::Connecting, 0));
    rig.advance(Duration::from_millis(1));
    assert_eq!((rig.phase(), world.dials_dropped()), (Phase::Waiting, 1));
    rig.advance(SECOND);
    assert_eq!(rig.drain(), ["live 2"]);
}

fn blocked_write_does_not_stop_reading<M: Mode>() {
    for gate in [Gate::Write, Gate::Flush] {
        let world = World::default();
        let mut rig = Rig::new::<M, _>(&world, builder(&world));
        rig.peer(1).shut(gate);
        let handle = rig.handle.clone();
        assert_eq!(rig.wait(handle.send("out")), Some(Ok(())));
        rig.peer(1).send_items(0..3);
        assert_eq!(rig.drain(), [vec!["live 1".to_owned()], items(0..3)].concat());
        assert!(rig.peer(1).received().is_empty());
    }
}

fn blocked_frames_go_out_in_order<M: Mode>() {
    let world = World::default();
    let mut rig = Rig::new::<M, _>(&world, builder(&world));
    let handle = rig.handle.clone();
    rig.peer(1).shut(Gate::Write);
    for message in ["1", "2", "3"] {
        assert_eq!(rig.wait(handle.send(message)), Some(Ok(())));
    }
    rig.peer(1).open();
    rig.settle();
    assert_eq!(rig.peer(1).received(), [text("1"), text("2"), text("3")]);
}

/// O1.
fn accepted_frames_do_not_outlive_their_connection<M: Mode>() {
    let world = World::default();
    let mut rig = Rig::new::<M, _>(&world, builder(&world));
    let handle = rig.handle.clone();
    rig.peer(1).shut(Gate::Write);
    assert_eq!(rig.wait(handle.send("for the first")), Some(Ok(())));
    rig.peer(1).fail(reset());
    rig.settle();
    rig.advance(SECOND);
    assert_eq!(rig.phase(), Phase::Live);
    assert_eq!(rig.wait(handle.send("for the second")), Some(Ok(())));
    rig.settle();
    assert_eq!(rig.peer(2).received(), [text("for the second")]);
}

/// O2: the answer waits in the transport for a flush, if nothing more comes in.
fn ping_is_answered_without_another_read<M: Mode>() {
    let world = World::default();
    let mut rig = Rig::new::<M, _>(&world, builder(&world));
    rig.peer(1).send(Frame::Ping(Default::default()));
    rig.settle();
    assert_eq!(rig.peer(1).pongs(), 1);
    let flushes = rig.peer(1).flushes();
    rig.peer(1).send_items(0..3);
    rig.settle();
    assert_eq!(rig.peer(1).flushes(), flushes, "without a ping there is nothing to flush");
}

/// D2: what the peer sent before it went is not lost because we wrote to it meanwhile.
fn what_arrived_before_a_failed_write_is_delivered<M: Mode>() {
    let world = World::default();
    let mut rig = Rig::new::<M, _>(&world, builder(&world));
    let handle = rig.handle.clone();
    let peer = rig.peer(1);
    // More than one poll reads, and more than the consumer has asked for.
    peer.send_items(0..4050);
    peer.break_writing(reset());
    assert_eq!(rig.wait(handle.send("out")), Some(Ok(())));
    assert!(rig.drain() == [vec!["live 1".to_owned()], items(0..4050)].concat());
    // In the socket too, though the runtime has not looked since.
    peer.send_unseen(text("item 4050"));
    peer.look_at_socket();
    rig.look_again();
    assert_eq!(rig.drain(), ["item 4050"]);
    rig.look_again();
    assert_eq!(rig.drain(), ["interrupted 1 io"]);
    assert!(!peer.is_open());
}

fn failed_write_ends_a_flood_too<M: Mode>() {
    let world = World::default();
    let mut rig = Rig::new::<M, _>(&world, builder(&world));
    let handle = rig.handle.clone();
    rig.peer(1).send_items(0..20_000);
    rig.peer(1).break_writing(reset());
    assert_eq!(rig.wait(handle.send("out")), Some(Ok(())));
    let seen = rig.drain();
    assert_eq!(seen.last().unwrap(), "interrupted 1 io");
    // What one poll reads before the failure, and 4096 after it.
    assert!(rig.peer(1).reads() < 9_000, "{} frames were read", rig.peer(1).reads());
}

/// The transport has said that it has nothing; it will not wake anyone for the write.
fn failed_write_is_noticed_on_a_silent_connection<M: Mode>() {
    let world = World::default();
    let mut rig = Rig::new::<M, _>(&world, builder(&world));
    let handle = rig.handle.clone();
    rig.peer(1).break_writing(reset());
    rig.settle();
    assert_eq!(rig.phase(), Phase::Live);
    assert_eq!(rig.wait(handle.send("out")), Some(Ok(())));
    rig.look_again();
    assert_eq!(rig.phase(), Phase::Waiting);
}

fn close_of_the_peer_says_why_even_if_writing_fails<M: Mode>() {
    let world = World::default();
    let mut rig = Rig::new::<M, _>(&world, builder(&world));
    let handle = rig.handle.clone();
    let peer = rig.peer(1);
    // As a server does that closes and goes: the write finds no one, the reason is in the receive buffer.
    peer.break_writing(reset());
    peer.send(Frame::Close(Some(CloseFrame::new(1008))));
    peer.end();
    let _ = rig.wait(handle.send("out"));
    assert_eq!(rig.drain(), ["live 1", "interrupted 1 closed"]);
    assert_eq!(rig.phase(), Phase::Waiting);
}

/// C5.
fn peer_that_keeps_the_socket_open_after_close_holds_nothing_up<M: Mode>() {
    let world = World::default();
    let mut rig = Rig::new::<M, _>(&world, builder(&world));
    rig.peer(1).send(Frame::Close(Some(CloseFrame::new(1001))));
    rig.settle();
    assert_eq!(rig.phase(), Phase::Closing);
    assert_eq!(rig.peer(1).received(), [Frame::Close(Some(CloseFrame::new(1001)))]);
    rig.advance(SECOND);
    assert_eq!(rig.phase(), Phase::Waiting);
    assert!(!rig.peer(1).is_open());
}

fn end_of_stream_is_a_loss<M: Mode>() {
    let world = World::default();
    let mut rig = Rig::new::<M, _>(&world, builder(&world));
    rig.peer(1).send_items(0..2);
    rig.peer(1).end();
    assert_eq!(rig.drain(), ["live 1", "item 0", "item 1", "interrupted 1 io"]);
}

/// R1, R2.
fn refused_attempts_are_retried<M: Mode>() {
    let world = World::default();
    let refusal = || Failure::rejected(503, None);
    for _ in 0..6 {
        world.script(Dial::Refuse(refusal()));
    }
    let mut rig = Rig::new::<M, _>(&world, builder(&world).config(config()));
    for _ in 0..4 {
        rig.advance(SECOND);
        assert_eq!(rig.phase(), Phase::Waiting);
    }
    rig.advance(SECOND);
    assert_eq!(rig.drain(), ["error retries_exhausted", "end"]);
    assert_eq!(world.requests().len(), 6);
}

/// T3: it is shown, and servers repeat what they were sent; what a resolver adds is no exception.
fn the_reason_of_a_close_shows_no_secret<M: Mode>() {
    let world = World::default();
    let shown = Arc::new(Mutex::new(String::new()));
    let seen = Arc::clone(&shown);
    let builder = builder(&world)
        .header("x-api-key", "hush-key")
        .resolver(|attempt: tidegate_driver::Attempt| {
            let token = HeaderValue::from_static("Bearer hush-token");
            ready(Ok::<_, String>(attempt.request.with_header(AUTHORIZATION, token)))
        })
        .on_notice(move |notice, _| {
            if let Notice::Disconnected { failure: Some(failure), .. } = notice {
                *seen.lock().unwrap() += &failure.to_string();
            }
        });
    let mut rig = Rig::new::<M, _>(&world, builder);
    let reason = "no hush-token with hush-key".to_owned();
    rig.peer(1).send(Frame::Close(Some(CloseFrame { code: 4001, reason })));
    rig.settle();
    assert_eq!(*shown.lock().unwrap(), "the server closed the connection with code 4001: no *** with ***");
}
