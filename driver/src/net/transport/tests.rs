//! A transport over a stream in memory.

mod reading;

use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, Join, duplex};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

use super::*;

/// A connection whose sending side takes `room` bytes before it blocks, and whose write buffer takes 1 KiB.
async fn pair(
    room: usize,
) -> (WebSocket<Compat<Join<DuplexStream, DuplexStream>>>, DuplexStream, DuplexStream) {
    let (inbound, to_client) = duplex(1 << 20);
    let (outbound, from_client) = duplex(room);
    let stream = tokio::io::join(inbound, outbound).compat();
    let framing = Framing { read_buffer_size: 1024, max_write_buffer_size: 1024, limits: Limits::default() };
    let socket = Socket::Plain(Prefixed::new(Bytes::new(), stream));
    (
        WebSocket::new(
            Prefixed::new(Bytes::new(), socket),
            framing,
            Connected::default(),
            Secrets::default(),
        ),
        to_client,
        from_client,
    )
}

fn ping(number: u32) -> Vec<u8> {
    [&[0x89, 4][..], &number.to_be_bytes()].concat()
}

/// Reads one masked pong of four bytes.
async fn pong(stream: &mut DuplexStream) -> u32 {
    let mut frame = [0; 10];
    stream.read_exact(&mut frame).await.unwrap();
    assert_eq!(frame[..2], [0x8a, 0x84]);
    u32::from_be_bytes(std::array::from_fn(|at| frame[6 + at] ^ frame[2 + at]))
}

/// O2: a pong that could not be written goes out once there is room, though only the reading side is polled.
#[tokio::test]
async fn a_blocked_pong_wakes_the_reader_when_there_is_room() {
    let (mut transport, mut to_client, mut from_client) = pair(4).await;
    to_client.write_all(&ping(7)).await.unwrap();
    let reader = tokio::spawn(async move { while transport.next().await.is_some() {} });
    let answer = tokio::time::timeout(std::time::Duration::from_secs(10), pong(&mut from_client)).await;
    assert_eq!(answer.unwrap(), 7);
    reader.abort();
}

/// O2: though they come with one read of the socket, and before what is sent behind them.
#[tokio::test]
async fn every_ping_is_answered_where_there_is_room() {
    let (mut transport, mut to_client, mut from_client) = pair(1024).await;
    to_client.write_all(&[ping(1), ping(2), ping(3)].concat()).await.unwrap();
    for _ in 1..=3 {
        assert!(matches!(transport.next().await, Some(Ok(Frame::Ping(_)))));
    }
    transport.send(Frame::Message(Message::Binary(Bytes::new()))).await.unwrap();
    for number in 1..=3 {
        assert_eq!(pong(&mut from_client).await, number);
    }
}

#[tokio::test]
async fn pongs_that_cannot_be_written_do_not_pile_up_and_the_newest_is_kept() {
    const PINGS: u32 = 10_000;
    let (mut transport, mut to_client, mut from_client) = pair(64).await;
    for number in 1..=PINGS {
        to_client.write_all(&ping(number)).await.unwrap();
        assert!(matches!(transport.next().await, Some(Ok(Frame::Ping(_)))));
    }
    assert!(transport.flush().now_or_never().is_none(), "it blocks");
    let mut pongs = 0;
    let drain = async {
        loop {
            pongs += 1;
            if pong(&mut from_client).await == PINGS {
                break;
            }
        }
    };
    let (flushed, ()) = futures_util::future::join(transport.flush(), drain).await;
    assert_eq!(flushed, Ok(()));
    // Six are in the pipe; then there is the one that is being written, and the newest.
    assert!(pongs <= 8, "{pongs} were kept");
}

#[tokio::test]
async fn pongs_that_wait_take_no_room_from_a_frame() {
    let (mut transport, mut to_client, mut from_client) = pair(64).await;
    for number in 1..=1000 {
        to_client.write_all(&ping(number)).await.unwrap();
        assert!(matches!(transport.next().await, Some(Ok(Frame::Ping(_)))));
    }
    let mut received = Vec::new();
    let (sent, _) = futures_util::future::join(
        async {
            let sent = transport.send(Frame::from(vec![0; 900])).await;
            drop(transport);
            sent
        },
        from_client.read_to_end(&mut received),
    )
    .await;
    assert_eq!(sent, Ok(()));
    assert!(received.len() > 900);
}

/// D2: a server says why it closes, and goes.
#[tokio::test]
async fn what_has_arrived_comes_out_though_the_pong_cannot_be_written() {
    let (mut transport, mut to_client, from_client) = pair(64).await;
    let last = [&ping(7)[..], b"\x81\x01a\x81\x01b", b"\x88\x05\x03\xf0why"].concat();
    to_client.write_all(&last).await.unwrap();
    drop(from_client);
    drop(to_client);
    let frames: Vec<_> = transport.by_ref().map(Result::unwrap).collect().await;
    let close = CloseFrame { code: 1008, reason: "why".to_owned() };
    let text = |text: &'static [u8]| Frame::Message(Message::Text(Bytes::from_static(text)));
    assert_eq!(frames[1..], [text(b"a"), text(b"b"), Frame::Close(Some(close))]);
}

/// The sink is where a failure to write is reported.
#[tokio::test]
async fn a_pong_that_cannot_be_written_is_a_failure_of_the_sink_alone() {
    let (mut transport, mut to_client, from_client) = pair(64).await;
    drop(from_client);
    to_client.write_all(&[&ping(7)[..], b"\x81\x01a"].concat()).await.unwrap();
    assert!(matches!(transport.next().await, Some(Ok(Frame::Ping(_)))));
    assert!(matches!(transport.next().await, Some(Ok(Frame::Message(Message::Text(_))))));
    assert_eq!(transport.flush().await.unwrap_err().kind(), "io");
    to_client.write_all(b"\x81\x01b").await.unwrap();
    assert!(matches!(transport.next().await, Some(Ok(Frame::Message(Message::Text(_))))));
}

/// C6: TCP must not reset before the Close has arrived, which unread bytes would make it do.
#[tokio::test]
async fn after_a_violation_a_close_goes_out_and_the_rest_is_read_to_its_end() {
    let (mut transport, mut to_client, mut from_client) = pair(64).await;
    to_client.write_all(b"\x83\x00 not read as frames \x81\x01a").await.unwrap();
    assert!(matches!(
        transport.next().await,
        Some(Err(Failure::Connection(ConnectionFailure::Protocol { code: 1002, .. })))
    ));
    transport.send(Frame::Close(Some(CloseFrame::new(1002)))).await.unwrap();
    let mut close = [0; 8];
    from_client.read_exact(&mut close).await.unwrap();
    assert_eq!(close[..2], [0x88, 0x82]);
    assert!(transport.next().now_or_never().is_none(), "the peer is still there");
    drop(to_client);
    assert_eq!(transport.next().await, None);
}

#[tokio::test]
async fn a_close_is_answered_with_its_code_by_whoever_reads_on() {
    let (mut transport, mut to_client, mut from_client) = pair(64).await;
    to_client.write_all(b"\x88\x05\x03\xf6why").await.unwrap();
    assert!(matches!(transport.next().await, Some(Ok(Frame::Close(Some(CloseFrame { code: 1014, .. }))))));
    assert!(transport.next().now_or_never().is_none());
    let mut answer = [0; 8];
    from_client.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer[..2], [0x88, 0x82]);
    assert_eq!([answer[6] ^ answer[2], answer[7] ^ answer[3]], 1014_u16.to_be_bytes());
}

#[tokio::test]
async fn bytes_of_a_frame_that_is_not_whole_are_counted() {
    let (mut transport, mut to_client, _from_client) = pair(64).await;
    for read in 1..=3 {
        to_client.write_all(&[0x81, 100, 7][read - 1..read]).await.unwrap();
        assert!(transport.next().now_or_never().is_none());
        assert_eq!(crate::Transport::bytes_read(&transport), read as u64);
    }
}

/// A peer that sends nothing but empty fragments does not keep the thread.
#[tokio::test]
async fn one_poll_reads_a_bounded_number_of_fragments() {
    let (mut transport, mut to_client, _from_client) = pair(64).await;
    let empty = [0x00, 0].repeat(10 * STEPS);
    to_client.write_all(&[&[0x02, 0], &empty[..], &[0x80, 1, 7]].concat()).await.unwrap();
    assert!(transport.next().now_or_never().is_none(), "it yields");
    let message = tokio::time::timeout(std::time::Duration::from_secs(10), transport.next()).await;
    assert_eq!(
        message,
        Ok(Some(Ok(Frame::Message(Message::Binary(Bytes::from_static(&[7])))))),
        "and goes on"
    );
}

/// Also when a pong waits, that cannot be written any more.
#[tokio::test]
async fn nothing_comes_after_the_failure() {
    let (mut transport, mut to_client, from_client) = pair(4).await;
    to_client.write_all(&ping(7)).await.unwrap();
    assert!(matches!(transport.next().await, Some(Ok(Frame::Ping(_)))));
    to_client.write_all(&[0xff]).await.unwrap();
    drop(to_client);
    assert!(matches!(transport.next().await, Some(Err(_))));
    drop(from_client);
    assert_eq!(transport.next().await, None);
}

#[tokio::test]
async fn a_frame_over_the_write_buffer_is_refused() {
    let (mut transport, _to_client, _from_client) = pair(64).await;
    let failure = transport.send(Frame::from(vec![0; 1025])).await.unwrap_err();
    assert_eq!(failure.kind(), "io");
}
