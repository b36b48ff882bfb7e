//! What the driver is promised of a transport (see `tidegate_driver::Transport`), over real sockets.

mod common;

use std::future::poll_fn;
use std::time::Duration;

use common::{BINARY, CLOSE, PING, PONG, TEXT, frame, listen, pair, read_frame, request, switching, within};
use futures_util::{SinkExt, StreamExt};
use tidegate_tokio::core::{CloseFrame, Failure, Frame};
use tidegate_tokio::{Connector, Limits, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn next(client: &mut Transport) -> Option<Result<Frame, Failure>> {
    within(client.next()).await
}

fn broken_off() -> Failure {
    Failure::Io { detail: "the peer closed the connection without a closing handshake".to_owned() }
}

#[tokio::test]
async fn messages_go_both_ways() {
    let (mut client, mut server) = pair().await;
    server.write_all(&frame(TEXT, "grüße".as_bytes())).await.unwrap();
    server.write_all(&frame(BINARY, &[0, 255])).await.unwrap();
    assert_eq!(next(&mut client).await, Some(Ok(Frame::Text("grüße".into()))));
    assert_eq!(next(&mut client).await, Some(Ok(Frame::Binary(vec![0, 255].into()))));

    client.feed(Frame::Text("grüße".into())).await.unwrap();
    let large = vec![7; 300_000];
    client.feed(Frame::Binary(large.clone().into())).await.unwrap();
    client.feed(Frame::Text("".into())).await.unwrap();
    let (flushed, received) = within(async {
        tokio::join!(client.flush(), async {
            [read_frame(&mut server).await, read_frame(&mut server).await, read_frame(&mut server).await]
        })
    })
    .await;
    assert_eq!(flushed, Ok(()));
    assert_eq!(received, [(TEXT, "grüße".into()), (BINARY, large), (TEXT, vec![])]);
}

#[tokio::test]
async fn fragments_come_out_joined() {
    let (mut client, mut server) = pair().await;
    // The second cut goes through a character; a ping may come in between (RFC 6455 §5.4).
    let parts = [&[0x01, 2, b'a', 0xc3][..], &frame(PING, b"p"), &[0x80, 2, 0xa4, b'b']].concat();
    server.write_all(&parts).await.unwrap();
    assert_eq!(next(&mut client).await, Some(Ok(Frame::Ping("p".into()))));
    assert_eq!(next(&mut client).await, Some(Ok(Frame::Text("aäb".into()))));
}

/// O2: the answer goes out with a flush alone, without another read.
#[tokio::test]
async fn a_ping_comes_out_and_is_answered_by_the_next_flush() {
    let (mut client, mut server) = pair().await;
    server.write_all(&frame(PING, b"are you there")).await.unwrap();
    assert_eq!(next(&mut client).await, Some(Ok(Frame::Ping("are you there".into()))));
    client.flush().await.unwrap();
    assert_eq!(within(read_frame(&mut server)).await, (PONG, b"are you there".to_vec()));
}

/// O2: or with another read.
#[tokio::test]
async fn a_ping_is_answered_by_the_next_read() {
    let (mut client, mut server) = pair().await;
    server.write_all(&frame(PING, b"1")).await.unwrap();
    assert_eq!(next(&mut client).await, Some(Ok(Frame::Ping("1".into()))));
    tokio::select! {
        item = client.next() => panic!("nothing was sent, but {item:?} came"),
        answer = within(read_frame(&mut server)) => assert_eq!(answer, (PONG, b"1".to_vec())),
    }
}

#[tokio::test]
async fn a_pong_of_our_own_does_not_displace_an_answer() {
    let (mut client, mut server) = pair().await;
    poll_fn(|cx| client.poll_ready_unpin(cx)).await.unwrap();
    server.write_all(&frame(PING, b"theirs")).await.unwrap();
    assert_eq!(next(&mut client).await, Some(Ok(Frame::Ping("theirs".into()))));
    client.start_send_unpin(Frame::Pong("ours".into())).unwrap();
    client.flush().await.unwrap();
    let mut pongs = [within(read_frame(&mut server)).await, within(read_frame(&mut server)).await];
    pongs.sort();
    assert_eq!(pongs, [(PONG, b"ours".to_vec()), (PONG, b"theirs".to_vec())]);
}

#[tokio::test]
async fn our_ping_goes_out_and_its_pong_comes_out() {
    let (mut client, mut server) = pair().await;
    client.send(Frame::Ping("x".into())).await.unwrap();
    assert_eq!(within(read_frame(&mut server)).await, (PING, b"x".to_vec()));
    server.write_all(&frame(PONG, b"x")).await.unwrap();
    assert_eq!(next(&mut client).await, Some(Ok(Frame::Pong("x".into()))));
}

#[tokio::test]
async fn a_close_of_the_peer_comes_out_is_answered_and_ends_the_stream() {
    let (mut client, mut server) = pair().await;
    server.write_all(&frame(CLOSE, b"\x03\xe9going away")).await.unwrap();
    let close = CloseFrame { code: 1001, reason: "going away".to_owned() };
    assert_eq!(next(&mut client).await, Some(Ok(Frame::Close(Some(close)))));

    // As the driver does it: Close in turn, which is only a flush of the answer that tungstenite has queued.
    client.send(Frame::Close(Some(CloseFrame::new(1000)))).await.unwrap();
    assert_eq!(within(read_frame(&mut server)).await, (CLOSE, b"\x03\xe9going away".to_vec()));
    let refused = client.send(Frame::Text("too late".into())).await.unwrap_err();
    assert_eq!(refused.kind(), "io");
    client.flush().await.unwrap();

    drop(server);
    assert_eq!(next(&mut client).await, None);
    assert_eq!(next(&mut client).await, None, "fused");
}

#[tokio::test]
async fn a_close_without_code_and_without_our_doing_is_answered_too() {
    let (mut client, mut server) = pair().await;
    server.write_all(&frame(CLOSE, b"")).await.unwrap();
    assert_eq!(next(&mut client).await, Some(Ok(Frame::Close(None))));
    let server_side = async {
        let answer = read_frame(&mut server).await;
        drop(server);
        answer
    };
    let (end, answer) = within(async { tokio::join!(client.next(), server_side) }).await;
    assert_eq!((end, answer), (None, (CLOSE, vec![])));
}

#[tokio::test]
async fn our_close_is_answered_and_reading_goes_on_until_then() {
    let (mut client, mut server) = pair().await;
    client.send(Frame::Close(Some(CloseFrame::new(CloseFrame::NORMAL)))).await.unwrap();
    assert_eq!(within(read_frame(&mut server)).await, (CLOSE, b"\x03\xe8".to_vec()));
    assert_eq!(client.send(Frame::Text("no".into())).await.unwrap_err().kind(), "io");
    assert_eq!(client.send(Frame::Close(None)).await, Ok(()), "a second one is not sent");

    server.write_all(&frame(TEXT, b"late")).await.unwrap();
    server.write_all(&frame(CLOSE, b"\x03\xe8")).await.unwrap();
    assert_eq!(next(&mut client).await, Some(Ok(Frame::Text("late".into()))));
    assert_eq!(next(&mut client).await, Some(Ok(Frame::Close(Some(CloseFrame::new(1000))))));
    server.shutdown().await.unwrap();
    assert_eq!(next(&mut client).await, None);
    drop(client);
    assert_eq!(within(server.read(&mut [0; 16])).await.unwrap(), 0, "nothing followed our Close");
}

#[tokio::test]
async fn a_close_reason_that_does_not_fit_is_cut() {
    let (mut client, mut server) = pair().await;
    let reason = "x".repeat(200);
    client.send(Frame::Close(Some(CloseFrame { code: 1000, reason }))).await.unwrap();
    let (opcode, payload) = within(read_frame(&mut server)).await;
    assert_eq!((opcode, payload.len()), (CLOSE, 125));
}

#[tokio::test]
async fn a_reset_after_close_is_only_the_end() {
    let (mut client, mut server) = pair().await;
    server.write_all(&frame(CLOSE, b"\x03\xe8")).await.unwrap();
    assert_eq!(next(&mut client).await, Some(Ok(Frame::Close(Some(CloseFrame::new(1000))))));
    server.set_zero_linger().unwrap();
    drop(server);
    assert_eq!(next(&mut client).await, None);
    assert_eq!(client.flush().await, Ok(()), "nobody waits for the answer");
}

#[tokio::test]
async fn an_end_without_close_is_a_failure_and_then_the_stream_is_over() {
    let (mut client, server) = pair().await;
    drop(server);
    assert_eq!(next(&mut client).await, Some(Err(broken_off())));
    assert_eq!(next(&mut client).await, None);
}

#[tokio::test]
async fn an_end_in_place_of_an_answer_to_our_close_is_a_failure() {
    let (mut client, mut server) = pair().await;
    client.send(Frame::Close(None)).await.unwrap();
    assert_eq!(within(read_frame(&mut server)).await, (CLOSE, vec![]));
    drop(server);
    assert_eq!(next(&mut client).await, Some(Err(broken_off())));
}

#[tokio::test]
async fn a_reset_is_a_failure() {
    let (mut client, server) = pair().await;
    server.set_zero_linger().unwrap();
    drop(server);
    let failure = next(&mut client).await.unwrap().unwrap_err();
    assert_eq!(failure.kind(), "io");
    assert_eq!(next(&mut client).await, None);
}

#[tokio::test]
async fn frames_that_came_with_the_answer_to_the_upgrade_all_arrive() {
    let (listener, url) = listen().await;
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let answer = switching(&request(&mut stream).await, "").into_bytes();
        let large = [&[0x82, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70][..], &[9; 70_000]].concat();
        let all = [answer, frame(TEXT, b"1"), large, frame(TEXT, b"3")].concat();
        stream.write_all(&all).await.unwrap();
        stream
    };
    let (client, _server) = within(async { tokio::join!(common::connect(&url), server) }).await;
    let mut client = client.unwrap();
    assert_eq!(next(&mut client).await, Some(Ok(Frame::Text("1".into()))));
    assert_eq!(next(&mut client).await, Some(Ok(Frame::Binary(vec![9; 70_000].into()))));
    assert_eq!(next(&mut client).await, Some(Ok(Frame::Text("3".into()))));
}

#[tokio::test]
async fn violations_of_the_protocol() {
    let table: [(&str, &[u8]); 9] = [
        ("a frame of 1 TiB", &[0x82, 127, 0, 0, 1, 0, 0, 0, 0, 0]),
        ("a frame of 2^63-1 bytes", &[0x82, 127, 0x7f, 255, 255, 255, 255, 255, 255, 255]),
        ("text that is not UTF-8", &[0x81, 2, 0xc3, 0x28]),
        ("a masked frame", &[0x81, 0x81, 1, 2, 3, 4, 5]),
        ("a reserved bit", &[0xc1, 1, b'x']),
        ("a reserved opcode", &[0x83, 1, b'x']),
        ("a ping of 126 bytes", &[[0x89, 126, 0, 126].as_slice(), &[b'x'; 126]].concat()),
        ("a continuation of nothing", &[0x80, 1, b'x']),
        ("a close of one byte", &[0x88, 1, 3]),
    ];
    for (what, bytes) in table {
        let (mut client, mut server) = pair().await;
        server.write_all(bytes).await.unwrap();
        let failure = next(&mut client).await.unwrap().unwrap_err();
        assert_eq!(failure.kind(), "protocol", "{what}: {failure}");
        assert_eq!(next(&mut client).await, None, "{what}");
    }
}

/// 1 TiB would not fit, so this shows that the limit is checked before memory is reserved; it is the option's, too.
#[tokio::test]
async fn the_limits_are_those_of_the_connector() {
    let limits = Limits::default().max_frame_size(10).unwrap().max_message_size(15).unwrap();
    let connector = Connector::default().limits(limits);
    let table: [(&[u8], &str); 2] = [
        (&[0x82, 11], "a frame or message of 11 bytes is over the limit of 10"),
        (b"\x02\x0a0123456789\x80\x060123456", "a frame or message of 16 bytes is over the limit of 15"),
    ];
    for (bytes, expected) in table {
        let (listener, url) = listen().await;
        let (client, mut server) =
            within(async { tokio::join!(common::connect_with(&url, &connector), common::accept(&listener)) })
                .await;
        let mut client = client.unwrap();
        server.write_all(&frame(BINARY, b"0123456789")).await.unwrap();
        assert_eq!(next(&mut client).await, Some(Ok(Frame::Binary("0123456789".into()))));
        server.write_all(bytes).await.unwrap();
        let failure = next(&mut client).await.unwrap().unwrap_err();
        assert_eq!(failure, Failure::Protocol { detail: expected.to_owned() });
    }
}

/// A sender that meets a full socket waits, and goes on when there is room again.
#[tokio::test]
async fn sending_waits_for_a_slow_peer() {
    let (mut client, mut server) = pair().await;
    let payload = vec![1; 1 << 20];
    let sender = tokio::spawn(async move {
        for _ in 0..32 {
            client.send(Frame::Binary(payload.clone().into())).await.unwrap();
        }
        client
    });
    for _ in 0..32 {
        assert_eq!(within(read_frame(&mut server)).await.1.len(), 1 << 20);
    }
    tokio::time::timeout(Duration::from_secs(20), sender).await.unwrap().unwrap();
}
