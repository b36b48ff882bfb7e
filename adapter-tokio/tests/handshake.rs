//! The way to a connection: name lookup, TCP, the HTTP upgrade, and all that a server may answer to it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use std::time::{Duration, SystemTime};

use common::{WAIT, connect, frame, header, listen, request, switching, within};
use futures_util::StreamExt;
use tidegate_tokio::core::{Failure, Frame};
use tidegate_tokio::{ConnectRequest, Connector, connect_once};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What the client makes of this answer. The server then stays, silent, until the client has gone.
async fn answered(answer: impl AsyncFnOnce(&str) -> Vec<u8>) -> Failure {
    let (listener, url) = listen().await;
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let bytes = answer(&request(&mut stream).await).await;
        // The client may refuse before it has read everything.
        let _ = stream.write_all(&bytes).await;
        let _ = stream.read(&mut [0]).await;
    };
    let (client, ()) = within(async { tokio::join!(async { connect(&url).await.map(drop) }, server) }).await;
    client.unwrap_err()
}

fn upgrade_failure(detail: &str) -> Failure {
    Failure::Upgrade { detail: detail.to_owned() }
}

#[tokio::test]
async fn the_request_carries_path_query_host_and_headers() {
    let (listener, url) = listen().await;
    let target = ConnectRequest::new(format!("{url}?token=1&x"))
        .unwrap()
        .with_header("authorization".parse().unwrap(), "Bearer abc".parse().unwrap())
        .with_header("x-many".parse().unwrap(), "1".parse().unwrap())
        .with_header("x-many".parse().unwrap(), "2".parse().unwrap());
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let request = request(&mut stream).await;
        stream.write_all(switching(&request, "").as_bytes()).await.unwrap();
        request
    };
    let connector = Connector::default();
    let (client, request) =
        within(async { tokio::join!(connect_once(target, &connector, WAIT), server) }).await;
    client.unwrap();
    assert!(request.starts_with("GET /feed?token=1&x HTTP/1.1\r\n"), "{request}");
    assert_eq!(header(&request, "host"), Some(listener.local_addr().unwrap().to_string().as_str()));
    assert_eq!(header(&request, "authorization"), Some("Bearer abc"));
    assert_eq!(header(&request, "sec-websocket-version"), Some("13"));
    assert_eq!(header(&request, "sec-websocket-extensions"), None);
    assert_eq!(request.matches("X-Many: ").count(), 2);
}

/// Tungstenite alone takes more than 64 small reads for an attack.
#[tokio::test]
async fn an_answer_that_comes_byte_by_byte() {
    let (listener, url) = listen().await;
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let answer = switching(&request(&mut stream).await, "X-Padding: 0123456789\r\n");
        for byte in [answer.as_bytes(), &frame(common::TEXT, b"first")].concat() {
            stream.write_u8(byte).await.unwrap();
            // Lets the client read this byte before the next is written.
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
        stream
    };
    let (client, _server) = within(async { tokio::join!(connect(&url), server) }).await;
    assert_eq!(within(client.unwrap().next()).await, Some(Ok(Frame::Text("first".into()))));
}

#[tokio::test]
async fn a_refusal_tells_status_and_retry_after() {
    let table: [(&str, u16, Option<u64>); 6] = [
        ("401 Unauthorized\r\nWWW-Authenticate: Bearer", 401, None),
        ("429 Too Many Requests\r\nRetry-After: 7", 429, Some(7)),
        ("503 Service Unavailable\r\nretry-after: 120", 503, Some(120)),
        ("503 Service Unavailable\r\nRetry-After: whenever", 503, None),
        ("503 Service Unavailable\r\nRetry-After: Wed, 21 Oct 2015 07:28:00 GMT", 503, Some(0)),
        ("200 OK", 200, None),
    ];
    for (head, status, seconds) in table {
        let failure =
            answered(async |_| format!("HTTP/1.1 {head}\r\nContent-Length: 6\r\n\r\nsecret").into_bytes())
                .await;
        assert_eq!(failure, Failure::Rejected { status, retry_after: seconds.map(Duration::from_secs) });
    }
}

#[tokio::test]
async fn retry_after_as_a_date_to_come_is_a_span_from_now() {
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(3600));
    let answer = format!("HTTP/1.1 503 Service Unavailable\r\nRetry-After: {date}\r\n\r\n");
    let failure = answered(async |_| answer.into_bytes()).await;
    let Failure::Rejected { status: 503, retry_after: Some(after) } = failure else { panic!("{failure}") };
    assert!(after > Duration::from_secs(3500) && after <= Duration::from_secs(3600), "{after:?}");
}

#[tokio::test]
async fn what_is_not_http_is_refused_at_once() {
    let failure = answered(async |_| b"SSH-2.0-OpenSSH_9.6\r\n".to_vec()).await;
    assert_eq!(failure, upgrade_failure("what came back is not HTTP/1.1"));
}

#[tokio::test]
async fn answers_that_are_no_upgrade() {
    type Edit = fn(String) -> String;
    let table: [(&str, Edit); 9] = [
        ("accept", |answer| answer.replace("Sec-WebSocket-Accept: ", "Sec-WebSocket-Accept: x")),
        ("no accept", |answer| answer.replace("Sec-WebSocket-Accept", "X-Accept")),
        ("no upgrade", |answer| answer.replace("Upgrade: websocket\r\n", "")),
        ("no connection", |answer| answer.replace("Connection: Upgrade\r\n", "")),
        ("extension", |answer| {
            answer.replace("Upgrade: w", "Sec-WebSocket-Extensions: permessage-deflate\r\nUpgrade: w")
        }),
        ("subprotocol", |answer| answer.replace("Upgrade: w", "Sec-WebSocket-Protocol: v1\r\nUpgrade: w")),
        ("bad header", |answer| answer.replace("Upgrade: w", "X\x00: hunter2\r\nUpgrade: w")),
        ("bad status", |answer| answer.replace("101", "1x1")),
        ("HTTP/1.0", |answer| answer.replace("HTTP/1.1", "HTTP/1.0")),
    ];
    for (what, edit) in table {
        let failure = answered(async |request| edit(switching(request, "")).into_bytes()).await;
        assert_eq!(failure.kind(), "upgrade", "{what}: {failure}");
        assert!(!failure.to_string().contains("hunter2"), "{what}: {failure}");
    }
}

#[tokio::test]
async fn an_extension_nobody_offered_is_named() {
    let failure = answered(async |request| {
        switching(request, "Sec-WebSocket-Extensions: permessage-deflate\r\n").into_bytes()
    })
    .await;
    let expected = "the server uses an extension that was not offered (Sec-WebSocket-Extensions)";
    assert_eq!(failure, upgrade_failure(expected));
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let failure = answered(async |request| {
        let mut answer = switching(request, "").into_bytes();
        answer.truncate(answer.len() - 2);
        for _ in 0..2000 {
            answer.extend_from_slice(b"X-Padding: 0123456789012345678901234567890123456789\r\n");
        }
        answer
    })
    .await;
    assert_eq!(failure, upgrade_failure("the head of the answer is longer than 65536 bytes"));
}

#[tokio::test]
async fn a_server_that_closes_without_an_answer() {
    for part in ["", "HTTP/1.1 101 Switching Protocols\r\nUpgr"] {
        let (listener, url) = listen().await;
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            request(&mut stream).await;
            stream.write_all(part.as_bytes()).await.unwrap();
        };
        let (client, ()) = within(async { tokio::join!(connect(&url), server) }).await;
        let detail = "the server closed the connection before it had answered the upgrade".to_owned();
        assert_eq!(client.unwrap_err(), Failure::Io { detail });
    }
}

/// C3: the reference waits for ever here.
#[tokio::test]
async fn a_server_that_never_answers_is_bounded_by_the_timeout() {
    let (listener, url) = listen().await;
    let target = ConnectRequest::new(url).unwrap();
    let connector = Connector::default();
    let client = connect_once(target, &connector, Duration::from_millis(50));
    assert_eq!(within(client).await.unwrap_err(), Failure::ConnectTimeout);
    drop(listener);
}

#[tokio::test]
async fn nobody_listens() {
    let (listener, url) = listen().await;
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let failure = within(connect(&url)).await.unwrap_err();
    assert_eq!(failure.kind(), "tcp");
    assert!(failure.to_string().contains(&address), "{failure}");
}

#[tokio::test]
async fn a_name_that_is_none() {
    // Too long for a label of DNS: the resolver need not ask anyone.
    let url = format!("ws://{}.test/?token=hunter2", "a".repeat(64));
    let failure = within(connect(&url)).await.unwrap_err();
    assert_eq!(failure.kind(), "lookup");
    assert!(!failure.to_string().contains("hunter2"), "{failure}");
}

#[tokio::test]
async fn a_header_of_the_handshake_is_refused_by_name() {
    let (listener, url) = listen().await;
    let target =
        ConnectRequest::new(url).unwrap().with_header("host".parse().unwrap(), "other.test".parse().unwrap());
    let server = async { listener.accept().await.unwrap() };
    let connector = Connector::default();
    let (client, _server) =
        within(async { tokio::join!(connect_once(target, &connector, WAIT), server) }).await;
    let expected = "it could not be asked for: the header host is the transport's own, remove it";
    assert_eq!(client.unwrap_err(), upgrade_failure(expected));
}

#[tokio::test]
async fn one_of_several_subprotocols_may_be_chosen() {
    let (listener, url) = listen().await;
    let name: http::HeaderName = "sec-websocket-protocol".parse().unwrap();
    let target = ConnectRequest::new(url)
        .unwrap()
        .with_header(name.clone(), "v1".parse().unwrap())
        .with_header(name, "v2".parse().unwrap());
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let answer = switching(&request(&mut stream).await, "Sec-WebSocket-Protocol: v2\r\n");
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream
    };
    let connector = Connector::default();
    let (client, _server) =
        within(async { tokio::join!(connect_once(target, &connector, WAIT), server) }).await;
    client.unwrap();
}
