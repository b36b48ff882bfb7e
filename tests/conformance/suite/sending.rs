//! What applications send (O1-O3).

use tidegate::{ConnectionId, Message, SendError};
use tidegate_tests::prelude::*;
use tidegate_tests::server::{BINARY, Fact, PING, PONG, Server, frame};

cases! {
    both: [
        only_while_live_and_only_on_this_connection,
        a_full_queue_gives_the_message_back,
    ],
    spawned: [pings_are_answered_while_the_consumer_sleeps],
}

/// O1.
async fn only_while_live_and_only_on_this_connection<M: Mode>() {
    let server = Server::start(|number, peer| {
        if number == 2 {
            peer.wait("again")?;
        }
        peer.upgrade()?;
        peer.read()?;
        peer.text("got it")?;
        peer.fin()
    });
    let mut feed = M::start(M::to(&server).config(quick()));
    let handle = feed.handle();
    assert_eq!(handle.send("early").await, Err(SendError::NotLive("early".into())));
    assert_eq!(next(&mut feed).await, "live 1");
    let (sent, seen) = drive(&mut feed, handle.send("one")).await;
    assert_eq!(sent.map(ConnectionId::get), Ok(1));
    let more = take(&mut feed, 2 - seen.len()).await;
    assert_eq!([seen, more].concat(), ["got it", "interrupted 1: io"]);
    let refused = handle.send("between").await.unwrap_err();
    assert_eq!(refused.to_string(), "the message was not sent: the feed is not live");
    assert_eq!(refused.into_message().as_text(), Some("between"));
    server.open("again");
    assert_eq!(next(&mut feed).await, "live 2");
    let (sent, _) = drive(&mut feed, handle.send("two")).await;
    assert_eq!(sent.map(ConnectionId::get), Ok(2));
    drive(&mut feed, server.saw(2, Fact::Gone)).await;
    assert_eq!((server.texts(1), server.texts(2)), (vec!["one".to_owned()], vec!["two".to_owned()]));
    handle.shutdown();
    assert_eq!(end(&mut feed).await, None);
    assert_eq!(handle.send("late").await, Err(SendError::NotLive("late".into())));
}

/// O3: never a silent drop, and what was accepted arrives in order.
async fn a_full_queue_gives_the_message_back<M: Mode>() {
    const SIZE: usize = 1 << 20;
    let server = Server::start(|_, peer| {
        peer.upgrade()?;
        peer.wait("read")?;
        peer.be_silent()
    });
    let mut feed = M::start(M::to(&server).config(quick().send_buffer(2)));
    let handle = feed.handle();
    next(&mut feed).await;
    let mut accepted = 0_u8;
    let refused = loop {
        let message = Message::from(vec![accepted; SIZE]);
        match drive(&mut feed, async { handle.try_send(message) }).await.0 {
            Ok(()) => accepted += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused, SendError::Full(Message::from(vec![accepted; SIZE])));
    assert!((2..100).contains(&accepted), "{accepted}");
    server.open("read");
    let all = server.until(|entries| {
        let frames = entries.iter().filter_map(|entry| {
            let Fact::Frame(BINARY, payload) = &entry.fact else { return None };
            Some((payload[0], payload.len()))
        });
        let frames: Vec<_> = frames.collect();
        (frames.len() == usize::from(accepted)).then_some(frames)
    });
    let (all, _) = drive(&mut feed, all).await;
    assert!(all.into_iter().eq((0..accepted).map(|number| (number, SIZE))));
    // There is room again as soon as the feed knows that all is flushed.
    let (sent, _) = drive(&mut feed, handle.send("room")).await;
    assert!(sent.is_ok());
}

/// O2: nobody polls the stream meanwhile, and more comes than was asked for.
async fn pings_are_answered_while_the_consumer_sleeps<M: Mode>() {
    let server = Server::start(|_, peer| {
        peer.upgrade()?;
        for number in 0..200_u8 {
            peer.text("item")?;
            peer.raw(&frame(PING, &[number]))?;
            if peer.read()? != (PONG, vec![number]) {
                return Ok(());
            }
        }
        peer.note("all answered");
        peer.serve()
    });
    let mut feed = M::start(M::to(&server).config(quick()));
    within(server.saw(1, Fact::Note("all answered"))).await;
    assert_eq!(take(&mut feed, 201).await[1..], ["item"; 200]);
}
