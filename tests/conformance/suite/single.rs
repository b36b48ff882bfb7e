//! Single connections, without a feed around them: `connect_once`.

use std::time::Instant;

use futures_util::{SinkExt, StreamExt};
use tidegate::{CloseFrame, ConnectFailure, ConnectRequest, Failure, Frame, Message};
use tidegate_tests::Connector;
use tidegate_tests::prelude::*;
use tidegate_tests::server::{BINARY, Fact, PING, Server, TEXT, frame};

cases! {
    single: [frames_go_both_ways, one_deadline_over_all_of_it],
}

/// O2, C5: pings are answered, Close too, and then the stream ends.
async fn frames_go_both_ways<A: Adapter>() {
    let server = Server::start(|_, peer| {
        peer.upgrade()?;
        peer.read_frames(2)?;
        peer.text("hello")?;
        peer.raw(&frame(PING, b"are you there"))?;
        peer.read()?;
        peer.close(1001)?;
        peer.read_to_close()
    });
    let request = ConnectRequest::new(server.url()).unwrap();
    let mut connection = within(A::connect_once(request, Connector::default(), WAIT)).await.unwrap();
    within(connection.send(Frame::from("first"))).await.unwrap();
    within(connection.send(Frame::Message(Message::Binary("second".into())))).await.unwrap();
    let mut frames = Vec::new();
    while let Some(frame) = within(connection.next()).await {
        frames.push(frame.unwrap());
    }
    let close = Frame::Close(Some(CloseFrame::new(1001)));
    assert_eq!(frames, [Frame::from("hello"), Frame::Ping("are you there".into()), close]);
    assert_eq!(within(server.saw_close(1)).await, Some(1001));
    let sent = server.entries().into_iter().filter_map(|entry| match entry.fact {
        Fact::Frame(opcode, payload) => Some((opcode, payload)),
        Fact::Accepted | Fact::Request(_) | Fact::Gone | Fact::Note(_) => None,
    });
    let expected = [(TEXT, b"first".to_vec()), (BINARY, b"second".to_vec())];
    assert!(sent.take(2).eq(expected));
}

/// C3: a server that takes the request and never answers it.
async fn one_deadline_over_all_of_it<A: Adapter>() {
    let server = Server::start(|_, peer| {
        peer.request()?;
        peer.be_silent()
    });
    let request = ConnectRequest::new(server.url()).unwrap();
    let before = Instant::now();
    let failure = within(A::connect_once(request, Connector::default(), ms(150))).await.unwrap_err();
    assert_eq!(failure, Failure::Connect(ConnectFailure::Timeout));
    assert!(before.elapsed() >= ms(150));
    within(server.saw(1, Fact::Gone)).await;
}
