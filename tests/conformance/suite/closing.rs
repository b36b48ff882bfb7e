//! How one connection ends: the closing handshake from either side (RFC 6455 §7), and all that may come in its place.
//! How a feed stops is in `stopping.rs`.

use futures_util::SinkExt;
use tidegate::{CloseFrame, ConnectionFailure, Delivery, Failure, Feed, Frame, Source};
use tidegate_tests::once::{next as next_frame, pair};
use tidegate_tests::prelude::*;
use tidegate_tests::server::{BINARY, CLOSE, Fact, Server, TEXT, frame};

cases! {
    single: [
        a_close_of_the_peer_comes_out_is_answered_and_ends_the_stream,
        a_close_without_code_and_without_our_doing_is_answered_too,
        nothing_comes_out_after_a_close,
        our_close_is_answered_and_reading_goes_on_until_then,
        a_close_reason_that_does_not_fit_is_cut,
        a_reset_after_close_is_only_the_end,
        an_end_in_place_of_an_answer_to_our_close_is_a_failure,
        an_end_or_a_reset_before_each_byte_of_a_frame,
    ],
    both: [
        a_feed_tells_code_and_reason_of_a_close,
        a_close_within_a_message,
        both_sides_say_goodbye,
        what_comes_after_our_close_is_taken_but_not_delivered,
        an_end_or_a_reset_in_place_of_an_answer,
    ],
}

fn broken_off() -> Failure {
    Failure::io("the peer closed the connection without a closing handshake")
}

fn normal() -> Frame {
    Frame::Close(Some(CloseFrame::new(CloseFrame::NORMAL)))
}

async fn a_close_of_the_peer_comes_out_is_answered_and_ends_the_stream<A: Adapter>() {
    let (mut client, server) = pair::<A>(|peer| {
        peer.raw(&frame(CLOSE, b"\x03\xe9going away"))?;
        peer.read_to_close()?;
        peer.wait("end")?;
        peer.fin()
    })
    .await;
    let close = CloseFrame { code: 1001, reason: "going away".to_owned() };
    assert_eq!(next_frame::<A>(&mut client).await, Some(Ok(Frame::Close(Some(close)))));

    // As the driver does it: Close in turn, which only flushes the answer that is queued: the code alone.
    within(client.send(normal())).await.unwrap();
    assert_eq!(within(server.saw_frames(1, 1)).await, [(CLOSE, b"\x03\xe9".to_vec())]);
    // Nobody reads it, and it must not cost the answer.
    within(client.send(Frame::from("too late"))).await.unwrap();
    within(client.flush()).await.unwrap();

    server.open("end");
    assert_eq!(next_frame::<A>(&mut client).await, None);
    assert_eq!(next_frame::<A>(&mut client).await, None, "fused");
}

async fn a_close_without_code_and_without_our_doing_is_answered_too<A: Adapter>() {
    let (mut client, server) = pair::<A>(|peer| {
        peer.raw(&frame(CLOSE, b""))?;
        peer.read_to_close()?;
        peer.fin()
    })
    .await;
    assert_eq!(next_frame::<A>(&mut client).await, Some(Ok(Frame::Close(None))));
    assert_eq!(next_frame::<A>(&mut client).await, None);
    assert_eq!(server.frames(1), [(CLOSE, vec![])]);
}

/// §5.5.1: the server has promised so. A second Close is nothing either.
async fn nothing_comes_out_after_a_close<A: Adapter>() {
    for after in [frame(TEXT, b"late"), frame(CLOSE, b"\x03\xe9"), vec![0xff; 20]] {
        let (mut client, _server) = pair::<A>(move |peer| {
            peer.raw(&[frame(CLOSE, b"\x03\xe8"), after.clone()].concat())?;
            peer.fin()
        })
        .await;
        assert_eq!(next_frame::<A>(&mut client).await, Some(Ok(normal())));
        assert_eq!(next_frame::<A>(&mut client).await, None);
    }
}

async fn our_close_is_answered_and_reading_goes_on_until_then<A: Adapter>() {
    let (mut client, server) = pair::<A>(|peer| {
        peer.read_to_close()?;
        peer.raw(&frame(TEXT, b"late"))?;
        peer.raw(&frame(CLOSE, b"\x03\xe8"))?;
        peer.fin()
    })
    .await;
    within(client.send(normal())).await.unwrap();
    assert_eq!(within(client.send(Frame::from("no"))).await.unwrap_err().kind(), "io");
    assert_eq!(within(client.send(Frame::Close(None))).await, Ok(()), "a second one is not sent");
    assert_eq!(next_frame::<A>(&mut client).await, Some(Ok(Frame::from("late"))));
    assert_eq!(next_frame::<A>(&mut client).await, Some(Ok(normal())));
    assert_eq!(next_frame::<A>(&mut client).await, None);
    drop(client);
    within(server.saw(1, Fact::Gone)).await;
    assert_eq!(server.frames(1), [(CLOSE, b"\x03\xe8".to_vec())], "nothing followed our Close");
}

async fn a_close_reason_that_does_not_fit_is_cut<A: Adapter>() {
    let (mut client, server) = pair::<A>(tidegate_tests::server::Peer::serve).await;
    let reason = "x".repeat(200);
    within(client.send(Frame::Close(Some(CloseFrame { code: 1000, reason })))).await.unwrap();
    let frames = within(server.saw_frames(1, 1)).await;
    assert_eq!((frames[0].0, frames[0].1.len()), (CLOSE, 125));
}

async fn a_reset_after_close_is_only_the_end<A: Adapter>() {
    let (mut client, server) = pair::<A>(|peer| {
        peer.close(1000)?;
        peer.wait("reset")?;
        peer.reset()
    })
    .await;
    assert_eq!(next_frame::<A>(&mut client).await, Some(Ok(normal())));
    server.open("reset");
    assert_eq!(next_frame::<A>(&mut client).await, None);
    assert_eq!(within(client.flush()).await, Ok(()), "nobody waits for the answer");
}

async fn an_end_in_place_of_an_answer_to_our_close_is_a_failure<A: Adapter>() {
    let (mut client, server) = pair::<A>(|peer| {
        peer.read_to_close()?;
        peer.fin()
    })
    .await;
    within(client.send(Frame::Close(None))).await.unwrap();
    assert_eq!(within(server.saw_frames(1, 1)).await, [(CLOSE, vec![])]);
    assert_eq!(next_frame::<A>(&mut client).await, Some(Err(broken_off())));
}

/// Between two frames as well, and in the header in each of its forms. What came whole before it comes out; a half frame is
/// nothing.
async fn an_end_or_a_reset_before_each_byte_of_a_frame<A: Adapter>() {
    let long = [&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0][..], b"x"].concat();
    for torn in [frame(TEXT, b"half"), frame(BINARY, &[7; 130])[..6].to_vec(), long] {
        for (cut, reset) in (0..torn.len()).flat_map(|cut| [(cut, false), (cut, true)]) {
            let half = torn[..cut].to_vec();
            let (mut client, server) = pair::<A>(move |peer| {
                peer.text("whole")?;
                peer.raw(&half)?;
                peer.wait("end")?;
                if reset { peer.reset() } else { peer.fin() }
            })
            .await;
            assert_eq!(next_frame::<A>(&mut client).await, Some(Ok(Frame::from("whole"))));
            server.open("end");
            let failure = next_frame::<A>(&mut client).await.unwrap().unwrap_err();
            assert_eq!(failure.kind(), "io", "{torn:?} cut at {cut}");
            assert!(reset || failure == broken_off(), "{failure}");
            assert_eq!(next_frame::<A>(&mut client).await, None);
        }
    }
}

/// The next marker of an end, and the items before it.
pub(super) async fn interruption<S: Source<Item: Shown>>(
    feed: &mut Feed<S>,
) -> (Vec<String>, Option<Failure>) {
    let mut before = Vec::new();
    loop {
        match within(feed.recv()).await.unwrap().unwrap() {
            Delivery::Interrupted { failure, .. } => return (before, failure),
            delivery @ (Delivery::Live { .. } | Delivery::Item(_) | Delivery::Dropped { .. }) => {
                before.push(line(&delivery));
            }
            Delivery::Opened { .. } => {}
        }
    }
}

/// It is answered in kind, and another connection follows.
async fn a_feed_tells_code_and_reason_of_a_close<M: Mode>() {
    let close = |code, reason: &str| Some(CloseFrame { code, reason: reason.to_owned() });
    let table = [
        (&b"\x03\xe8"[..], close(1000, "")),
        (b"\x0f\xa0maintenance \xc3\xbc", close(4000, "maintenance ü")),
        (b"", None),
    ];
    let payloads = table.each_ref().map(|(payload, _)| *payload);
    let server = Server::start(move |number, peer| {
        peer.upgrade()?;
        peer.text("x")?;
        let Some(payload) = payloads.get(number - 1) else { return peer.serve() };
        peer.raw(&frame(CLOSE, payload))?;
        peer.read_to_close()?;
        peer.fin()
    });
    let mut feed = M::start(M::to(&server).config(quick().close_timeout(WAIT)));
    for (id, (_, told)) in (1..).zip(table) {
        let (before, failure) = interruption(&mut feed).await;
        assert_eq!(before, [format!("live {id}"), "x".to_owned()]);
        assert_eq!(failure, Some(Failure::Connection(ConnectionFailure::Closed(told))));
    }
    take_to(&mut feed, "live 4").await;
    for (id, payload) in (1..).zip(payloads) {
        within(server.saw(id, Fact::Gone)).await;
        // The code alone (RFC 6455 §5.5.1).
        assert_eq!(server.frames(id), [(CLOSE, payload[..payload.len().min(2)].to_vec())]);
    }
}

/// §5.4 lets a Close come between two pieces: the message will never be whole, and nothing of it is delivered.
async fn a_close_within_a_message<M: Mode>() {
    let server = Server::start(|number, peer| {
        peer.upgrade()?;
        if number == 1 {
            peer.raw(&[TEXT, 4, b'h', b'a', b'l', b'f'])?;
            peer.close(1001)?;
            // The client may have gone by then.
            let _ = peer.raw(&frame(0, b"other half"));
            return peer.fin();
        }
        // Nor is it still there when the next connection has such a piece.
        peer.raw(&[TEXT, 2, b'n', b'e'])?;
        peer.raw(&frame(0, b"xt"))?;
        peer.serve()
    });
    let mut feed = M::start(M::to(&server).config(quick()));
    assert_eq!(take(&mut feed, 4).await, ["live 1", "interrupted 1: closed", "live 2", "next"]);
    assert_eq!(server.saw_close(1).await, Some(1001));
}

/// Whichever comes first, there is one Close from each side, and it is a shutdown.
async fn both_sides_say_goodbye<M: Mode>() {
    let server = Server::start(|_, peer| {
        peer.upgrade()?;
        peer.read_frames(1)?;
        peer.close(1001)?;
        peer.read_to_close()?;
        peer.fin()
    });
    for number in 1..=20 {
        let mut feed = M::start(M::to(&server).config(quick().close_timeout(3 * WAIT)));
        let handle = feed.handle();
        next(&mut feed).await;
        drive(&mut feed, handle.send("now")).await.0.unwrap();
        if number % 2 == 0 {
            // Ours is later than theirs, or just before it.
            drive(&mut feed, server.saw_frames(number, 1)).await;
        }
        handle.shutdown();
        assert_eq!(end(&mut feed).await, None);
        within(server.saw(number, Fact::Gone)).await;
        let frames = server.frames(number);
        assert_eq!(frames[0], (TEXT, b"now".to_vec()));
        let closes = [1000, 1001].map(|code: u16| (CLOSE, code.to_be_bytes().to_vec()));
        assert!(frames.len() == 2 && closes.contains(&frames[1]), "{frames:?}");
    }
    assert_eq!(server.accepted(), 20);
}

/// S1, S2: the server's last frames must not hold its answer up; the consumer is done with the feed.
async fn what_comes_after_our_close_is_taken_but_not_delivered<M: Mode>() {
    let server = Server::start(|_, peer| {
        peer.upgrade()?;
        peer.text("before")?;
        peer.read_to_close()?;
        for _ in 0..5000 {
            peer.text("after")?;
        }
        peer.close(1000)?;
        peer.fin()
    });
    let mut feed = M::start(M::to(&server).config(quick().buffer(4).close_timeout(3 * WAIT)));
    assert_eq!(take(&mut feed, 2).await, ["live 1", "before"]);
    feed.handle().shutdown();
    assert_eq!(next(&mut feed).await, "interrupted 1: by us");
    assert_eq!(end(&mut feed).await, None);
    within(server.saw(1, Fact::Gone)).await;
    assert_eq!(feed.handle().stats().messages, 1);
}

/// S1, S3: a server that goes without an answer has gone all the same, and `close_timeout` is not waited for.
async fn an_end_or_a_reset_in_place_of_an_answer<M: Mode>() {
    let server = Server::start(|number, peer| {
        peer.upgrade()?;
        peer.read_to_close()?;
        match number {
            1 => peer.fin(),
            2 => peer.reset(),
            // Half of an answer.
            3 => {
                peer.raw(&frame(CLOSE, b"\x03\xe8")[..3])?;
                peer.fin()
            }
            _ => {
                peer.raw(&[0xff; 16])?;
                peer.listen()
            }
        }
    });
    for number in 1..=4 {
        let mut feed = M::start(M::to(&server).config(quick().close_timeout(3 * WAIT)));
        next(&mut feed).await;
        feed.handle().shutdown();
        assert_eq!(end(&mut feed).await, None);
        assert_eq!(server.frames(number), [(CLOSE, b"\x03\xe8".to_vec())]);
        no_task_is_left::<M>().await;
    }
    assert_eq!(server.accepted(), 4);
}
