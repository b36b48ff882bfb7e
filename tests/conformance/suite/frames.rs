//! What the driver is promised of a transport (`tidegate::driver::Transport`): messages, pings and limits. How it ends
//! is in `closing.rs`.

use std::future::poll_fn;
use std::pin::pin;

use futures_util::future::{Either, join, select};
use futures_util::{SinkExt, StreamExt};
use tidegate::{ConnectRequest, ConnectionFailure, Failure, Frame, Message};
use tidegate_tests::once::{connect, next, pair, request};
use tidegate_tests::prelude::{Adapter, cases, ms, timeout, within};
use tidegate_tests::server::{BINARY, Fact, PING, PONG, Server, TEXT, frame, switching};
use tidegate_tests::{Connector, Limits};

cases! {
    single: [
        messages_go_both_ways,
        fragments_come_out_joined,
        lengths_at_the_borders_of_their_encodings,
        a_ping_comes_out_and_is_answered_by_the_next_flush,
        a_ping_is_answered_by_the_next_read,
        a_pong_of_our_own_does_not_displace_an_answer,
        our_ping_goes_out_and_its_pong_comes_out,
        frames_that_came_with_the_answer_to_the_upgrade_all_arrive,
        the_limits_are_those_of_the_connector,
        sending_waits_for_a_slow_peer,
    ],
}

async fn messages_go_both_ways<A: Adapter>() {
    let (mut client, server) = pair::<A>(|peer| {
        peer.raw(&frame(TEXT, "grüße".as_bytes()))?;
        peer.raw(&frame(BINARY, &[0, 255]))?;
        peer.be_silent()
    })
    .await;
    assert_eq!(next::<A>(&mut client).await, Some(Ok(Frame::from("grüße"))));
    assert_eq!(next::<A>(&mut client).await, Some(Ok(Frame::from(vec![0, 255]))));

    client.feed(Frame::from("grüße")).await.unwrap();
    let large = vec![7; 300_000];
    client.feed(Frame::from(large.clone())).await.unwrap();
    client.feed(Frame::from("")).await.unwrap();
    assert_eq!(within(client.flush()).await, Ok(()));
    let received = within(server.saw_frames(1, 3)).await;
    assert_eq!(received, [(TEXT, "grüße".into()), (BINARY, large), (TEXT, vec![])]);
}

async fn fragments_come_out_joined<A: Adapter>() {
    // The second cut goes through a character; a ping may come in between (RFC 6455 §5.4).
    let parts = [&[0x01, 2, b'a', 0xc3][..], &frame(PING, b"p"), &[0x80, 2, 0xa4, b'b']].concat();
    // Fragments may be empty, the first and the last too.
    let empty = [0x02, 0, 0x00, 0, 0x00, 1, b'x', 0x80, 0];
    let (mut client, _server) = pair::<A>(move |peer| {
        peer.raw(&parts)?;
        peer.raw(&empty)?;
        peer.be_silent()
    })
    .await;
    assert_eq!(next::<A>(&mut client).await, Some(Ok(Frame::Ping("p".into()))));
    assert_eq!(next::<A>(&mut client).await, Some(Ok(Frame::from("aäb"))));
    assert_eq!(next::<A>(&mut client).await, Some(Ok(Frame::Message(Message::Binary("x".into())))));
}

/// In both directions, sent whole and in two pieces that part the header.
async fn lengths_at_the_borders_of_their_encodings<A: Adapter>() {
    const LENGTHS: [usize; 7] = [0, 1, 125, 126, 127, 65_535, 65_536];
    let (mut client, server) = pair::<A>(|peer| {
        for len in LENGTHS {
            let bytes = frame(BINARY, &vec![7; len]);
            peer.raw(&bytes)?;
            peer.raw(&bytes[..1])?;
            peer.raw(&bytes[1..])?;
        }
        peer.be_silent()
    })
    .await;
    for len in LENGTHS {
        for _ in 0..2 {
            assert_eq!(next::<A>(&mut client).await, Some(Ok(Frame::from(vec![7; len]))));
        }
        within(client.send(Frame::from(vec![8; len]))).await.unwrap();
    }
    let sent = within(server.saw_frames(1, LENGTHS.len())).await;
    assert!(sent.into_iter().eq(LENGTHS.map(|len| (BINARY, vec![8; len]))));
}

/// O2: the answer goes out with a flush alone, without another read.
async fn a_ping_comes_out_and_is_answered_by_the_next_flush<A: Adapter>() {
    let (mut client, server) = pair::<A>(|peer| {
        peer.raw(&frame(PING, b"are you there"))?;
        peer.be_silent()
    })
    .await;
    assert_eq!(next::<A>(&mut client).await, Some(Ok(Frame::Ping("are you there".into()))));
    client.flush().await.unwrap();
    assert_eq!(within(server.saw_frames(1, 1)).await, [(PONG, b"are you there".to_vec())]);
}

/// O2: or with another read.
async fn a_ping_is_answered_by_the_next_read<A: Adapter>() {
    let (mut client, server) = pair::<A>(|peer| {
        peer.raw(&frame(PING, b"1"))?;
        peer.be_silent()
    })
    .await;
    assert_eq!(next::<A>(&mut client).await, Some(Ok(Frame::Ping("1".into()))));
    let answered = pin!(within(server.saw(1, Fact::Frame(PONG, b"1".to_vec()))));
    match select(client.next(), answered).await {
        Either::Left((item, _)) => panic!("nothing was sent, but {item:?} came"),
        Either::Right(_) => {}
    }
}

async fn a_pong_of_our_own_does_not_displace_an_answer<A: Adapter>() {
    let (mut client, server) = pair::<A>(|peer| {
        peer.raw(&frame(PING, b"theirs"))?;
        peer.be_silent()
    })
    .await;
    poll_fn(|cx| client.poll_ready_unpin(cx)).await.unwrap();
    assert_eq!(next::<A>(&mut client).await, Some(Ok(Frame::Ping("theirs".into()))));
    client.start_send_unpin(Frame::Pong("ours".into())).unwrap();
    client.flush().await.unwrap();
    let mut pongs = within(server.saw_frames(1, 2)).await;
    pongs.sort();
    assert_eq!(pongs, [(PONG, b"ours".to_vec()), (PONG, b"theirs".to_vec())]);
}

async fn our_ping_goes_out_and_its_pong_comes_out<A: Adapter>() {
    let (mut client, server) = pair::<A>(tidegate_tests::server::Peer::serve).await;
    within(client.send(Frame::Ping("x".into()))).await.unwrap();
    assert_eq!(next::<A>(&mut client).await, Some(Ok(Frame::Pong("x".into()))));
    assert_eq!(server.frames(1), [(PING, b"x".to_vec())]);
}

async fn frames_that_came_with_the_answer_to_the_upgrade_all_arrive<A: Adapter>() {
    let server = Server::start(|_, peer| {
        let answer = switching(&peer.request()?).into_bytes();
        let frames = [frame(TEXT, b"1"), frame(BINARY, &[9; 70_000]), frame(TEXT, b"3")];
        peer.raw(&[answer, frames.concat()].concat())?;
        peer.be_silent()
    });
    let mut client = connect::<A>(&server.url()).await.unwrap();
    assert_eq!(next::<A>(&mut client).await, Some(Ok(Frame::from("1"))));
    assert_eq!(next::<A>(&mut client).await, Some(Ok(Frame::from(vec![9; 70_000]))));
    assert_eq!(next::<A>(&mut client).await, Some(Ok(Frame::from("3"))));
}

/// That they hold before memory is reserved is in `violations.rs`.
async fn the_limits_are_those_of_the_connector<A: Adapter>() {
    let limits = Limits::default().max_frame_size(10).unwrap().max_message_size(15).unwrap();
    let connector = Connector::default().limits(limits);
    let table: [(&[u8], &str); 2] = [
        (&[0x82, 11], "11 bytes, over the limit of 10 (max_frame_size, max_message_size)"),
        (
            b"\x02\x0a0123456789\x80\x060123456",
            "16 bytes, over the limit of 15 (max_frame_size, max_message_size)",
        ),
    ];
    for (bytes, expected) in table {
        let server = Server::start(|_, peer| {
            peer.upgrade()?;
            peer.raw(&frame(BINARY, b"0123456789"))?;
            peer.raw(bytes)?;
            peer.be_silent()
        });
        let asked = ConnectRequest::new(server.url()).unwrap();
        let mut client = request::<A>(asked, connector.clone()).await.unwrap();
        assert_eq!(
            next::<A>(&mut client).await,
            Some(Ok(Frame::Message(Message::Binary("0123456789".into()))))
        );
        let failure = next::<A>(&mut client).await.unwrap().unwrap_err();
        assert_eq!(
            failure,
            Failure::Connection(ConnectionFailure::Protocol { code: 1009, detail: expected.to_owned() })
        );
    }
}

/// A sender that meets a full socket waits, and goes on when there is room again.
async fn sending_waits_for_a_slow_peer<A: Adapter>() {
    const SIZE: usize = 1 << 20;
    // Far more than the sockets take, at both ends.
    const COUNT: usize = 16;
    let server = Server::start(|_, peer| {
        peer.upgrade()?;
        peer.wait("read")?;
        for _ in 0..COUNT {
            assert_eq!(peer.read()?.1.len(), SIZE);
        }
        peer.note("all");
        peer.be_silent()
    });
    let mut client = connect::<A>(&server.url()).await.unwrap();
    let sender = async {
        for _ in 0..COUNT {
            client.send(Frame::from(vec![1; SIZE])).await.unwrap();
        }
    };
    let mut sender = pin!(sender);
    assert!(timeout(ms(100), sender.as_mut()).await.is_none(), "all of it went into a socket nobody reads");
    server.open("read");
    within(join(sender, server.saw(1, Fact::Note("all")))).await;
}
