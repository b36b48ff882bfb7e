//! The HTTP upgrade: what is asked for, and all that a server may answer to it (RFC 6455 §4, RFC 9110).

use std::time::{Duration, Instant};

use http::header::{AUTHORIZATION, HOST, SEC_WEBSOCKET_PROTOCOL};
use http::{HeaderName, HeaderValue};
use tidegate::{
    ConnectFailure, ConnectRequest, ConnectionFailure, Context, Failure, Fault, Frame, FrameHandler, Message,
    Upgrade,
};
use tidegate_tests::Connector;
use tidegate_tests::once::{connect, next, request};
use tidegate_tests::prelude::*;
use tidegate_tests::server::{Fact, Server, TEXT, frame, header, switching};

cases! {
    both: [a_handler_sees_what_the_server_answered],
    single: [
        the_request_carries_path_query_host_and_headers,
        another_host_is_asked_for,
        a_header_of_the_handshake_is_refused_before_anything_is_sent,
        answers_in_other_words,
        answers_that_are_no_upgrade,
        what_is_not_http,
        a_port_that_speaks_tls,
        an_extension_nobody_offered_is_named,
        choices_that_were_not_offered,
        interim_answers_are_skipped,
        interim_answers_without_end,
        a_refusal_tells_status_and_retry_after,
        a_refusal_in_http_1_0_is_as_good_as_any,
        a_refusal_shows_what_the_server_said,
        a_refusal_repeats_no_secret,
        a_refusal_whose_body_never_ends,
        a_refusal_before_the_request_is_read,
        a_head_without_end_is_refused,
        a_server_that_closes_without_an_answer,
    ],
}

/// What the client makes of this answer to its request. The server then stays, silent, until the client has gone.
async fn answer_to<A: Adapter>(
    asked: ConnectRequest,
    answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static,
) -> Result<A::Transport, Failure> {
    let server = answering(answer);
    let asked = ConnectRequest::new(server.url()).map(|to| {
        let headers = asked.headers().iter();
        headers.fold(to, |to, (name, value)| to.with_header(name.clone(), value.clone()))
    });
    let answered = request::<A>(asked.unwrap(), Connector::default()).await;
    if answered.is_err() {
        within(server.saw(1, Fact::Gone)).await;
    }
    answered
}

async fn answered<A: Adapter>(
    answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static,
) -> Result<A::Transport, Failure> {
    answer_to::<A>(plain(), answer).await
}

fn answering(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Server {
    Server::start(move |_, peer| {
        let request = peer.request()?;
        // The client may refuse before it has read everything.
        let _ = peer.raw(&answer(&request));
        peer.listen()
    })
}

fn plain() -> ConnectRequest {
    ConnectRequest::new("ws://nowhere.test/").unwrap()
}

/// The right answer, with more header lines.
fn switching_with(request: &str, lines: &str) -> Vec<u8> {
    switching(request).replace("\r\n\r\n", &format!("\r\n{lines}\r\n")).into_bytes()
}

fn upgrade_failure(detail: &str) -> Failure {
    Failure::Connect(ConnectFailure::Upgrade { detail: detail.to_owned() })
}

/// Sends what it sees of the answer.
struct Curious;

impl FrameHandler for Curious {
    type Session = ();
    type Item = Message;

    fn on_upgrade(&mut self, upgrade: &mut Upgrade<'_>) -> Result<(), Fault> {
        let connected = upgrade.connected();
        let region = connected.headers.get("x-region").unwrap_or_default();
        let seen = format!("{:?} {}", connected.subprotocol(), String::from_utf8_lossy(region));
        upgrade.send(seen);
        Ok(())
    }

    fn on_message(&mut self, (): &mut (), item: Message, cx: &mut Context<'_, Message>) -> Result<(), Fault> {
        cx.emit(item);
        Ok(())
    }
}

async fn a_handler_sees_what_the_server_answered<M: Mode>() {
    let lines = "Sec-WebSocket-Protocol: v2\r\nX-Region: west\r\n";
    let server = Server::start(move |_, peer| {
        let answer = switching_with(&peer.request()?, lines);
        peer.raw(&answer)?;
        peer.be_silent()
    });
    let builder = M::feed(&server.url()).config(quick()).subprotocol("v1").subprotocol("v2");
    let mut feed = M::start(builder.handler(Curious));
    let seen = server.saw(1, Fact::Frame(TEXT, b"Some(\"v2\") west".to_vec()));
    drive(&mut feed, seen).await;
}

async fn the_request_carries_path_query_host_and_headers<A: Adapter>() {
    let server = Server::start(|_, peer| {
        peer.upgrade()?;
        peer.listen()
    });
    let name = HeaderName::from_static("x-many");
    let target = ConnectRequest::new(format!("{}?token=1&x", server.url()))
        .unwrap()
        .with_header(AUTHORIZATION, HeaderValue::from_static("Bearer abc"))
        .with_header(name.clone(), HeaderValue::from_static("1"))
        .with_header(name, HeaderValue::from_static("2"));
    let connection = request::<A>(target, Connector::default()).await.unwrap();
    let heads = server.until(|entries| {
        entries.iter().find_map(|entry| match &entry.fact {
            Fact::Request(head) => Some(head.clone()),
            Fact::Accepted | Fact::Frame(..) | Fact::Gone | Fact::Note(_) => None,
        })
    });
    let head = within(heads).await;
    assert!(head.starts_with("GET /feed?token=1&x HTTP/1.1\r\n"), "{head}");
    assert_eq!(header(&head, "host"), Some(format!("127.0.0.1:{}", server.port()).as_str()));
    assert_eq!(header(&head, "authorization"), Some("Bearer abc"));
    assert_eq!(header(&head, "upgrade"), Some("websocket"));
    assert_eq!(header(&head, "connection"), Some("Upgrade"));
    assert_eq!(header(&head, "sec-websocket-version"), Some("13"));
    assert_eq!(header(&head, "sec-websocket-key").map(str::len), Some(24));
    assert_eq!(header(&head, "sec-websocket-extensions"), None);
    assert_eq!(head.matches("X-Many: ").count(), 2);
    drop(connection);
    within(server.saw(1, Fact::Gone)).await;
}

async fn another_host_is_asked_for<A: Adapter>() {
    let server = answering(|request| switching(request).into_bytes());
    let asked = ConnectRequest::new(server.url()).unwrap().with_host("bücher.test:8443").unwrap();
    drop(request::<A>(asked, Connector::default()).await.unwrap());
    assert_eq!(server.headers("host"), [Some("xn--bcher-kva.test:8443".to_owned())]);
}

/// R6.
async fn a_header_of_the_handshake_is_refused_before_anything_is_sent<A: Adapter>() {
    let server = answering(|request| switching(request).into_bytes());
    let value = HeaderValue::from_static("other.test");
    let asked = ConnectRequest::new(server.url()).unwrap().with_header(HOST, value);
    let failure = request::<A>(asked, Connector::default()).await.unwrap_err();
    assert_eq!(failure.kind(), "request");
    assert!(failure.to_string().contains("the header host"), "{failure}");
    assert_eq!(server.accepted(), 0);
}

type Edit = fn(String) -> String;

/// Lists, in any case of letters, and more than was asked for (RFC 9110 §5).
async fn answers_in_other_words<A: Adapter>() {
    let table: [(&str, Edit); 11] = [
        ("keep-alive", |answer| answer.replace("Connection: Upgrade", "Connection: keep-alive, Upgrade")),
        ("two lines", |answer| answer.replace("Connection: U", "Connection: keep-alive\r\nConnection: U")),
        ("several tokens", |answer| answer.replace("Upgrade: websocket", "Upgrade: h2c, websocket")),
        ("two upgrades", |answer| answer.replace("Upgrade: w", "Upgrade: h2c\r\nUpgrade: w")),
        ("small values", |answer| answer.replace("Connection: Upgrade", "Connection: upgrade")),
        ("large values", |answer| answer.replace(": websocket", ": WebSocket")),
        ("small names", |answer| {
            let names = ["Upgrade:", "Connection:", "Sec-WebSocket-Accept:"];
            names.iter().fold(answer, |answer, name| answer.replace(name, &name.to_lowercase()))
        }),
        ("large names", |answer| {
            let names = ["Upgrade:", "Connection:", "Sec-WebSocket-Accept:"];
            names.iter().fold(answer, |answer, name| answer.replace(name, &name.to_uppercase()))
        }),
        ("space", |answer| answer.replace("Upgrade: websocket", "Upgrade: \t websocket \t")),
        ("no reason", |answer| answer.replace("101 Switching Protocols", "101 ")),
        ("no extension", |answer| answer.replace("Upgrade: w", "Sec-WebSocket-Extensions:\r\nUpgrade: w")),
    ];
    for (what, edit) in table {
        let answered = answered::<A>(move |request| edit(switching(request)).into_bytes()).await;
        assert!(answered.is_ok(), "{what}: {answered:?}");
    }
}

async fn answers_that_are_no_upgrade<A: Adapter>() {
    let table: [(&str, Edit); 15] = [
        ("accept", |answer| answer.replace("Sec-WebSocket-Accept: ", "Sec-WebSocket-Accept: x")),
        ("another key's accept", |_| switching("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")),
        ("no accept", |answer| answer.replace("Sec-WebSocket-Accept", "X-Accept")),
        ("no upgrade", |answer| answer.replace("Upgrade: websocket\r\n", "")),
        ("another upgrade", |answer| answer.replace(": websocket", ": h2c")),
        ("half an upgrade", |answer| answer.replace(": websocket", ": websocket2")),
        ("no connection", |answer| answer.replace("Connection: Upgrade\r\n", "")),
        ("another connection", |answer| answer.replace("Connection: Upgrade", "Connection: keep-alive")),
        ("bad header", |answer| answer.replace("Upgrade: w", "X\x00: hunter2\r\nUpgrade: w")),
        ("a fold before the first header", |answer| answer.replace("Upgrade: w", " hunter2\r\nUpgrade: w")),
        ("a line without a colon", |answer| answer.replace("Upgrade: w", "hunter2\r\nUpgrade: w")),
        ("bad status", |answer| answer.replace("101", "1x1")),
        ("long status", |answer| answer.replace("101", "1010")),
        ("no status", |answer| answer.replace("101 Switching Protocols", "")),
        ("HTTP/1.0", |answer| answer.replace("HTTP/1.1", "HTTP/1.0")),
    ];
    for (what, edit) in table {
        let answered = answered::<A>(move |request| edit(switching(request)).into_bytes()).await;
        let failure = answered.expect_err(what);
        assert_eq!(failure.kind(), "upgrade", "{what}: {failure}");
        assert!(!failure.to_string().contains("hunter2"), "{what}: {failure}");
    }
}

/// The server takes the request for a broken record, and says so with an alert.
async fn a_port_that_speaks_tls<A: Adapter>() {
    for version in [1, 3] {
        let alert = move |_: &str| vec![21, 3, version, 0, 2, 2, 70];
        let failure = answered::<A>(alert).await.unwrap_err();
        let expected = "the port speaks TLS: begin the URL with wss:// instead of ws://";
        assert_eq!(failure, upgrade_failure(expected));
    }
}

async fn what_is_not_http<A: Adapter>() {
    let table: [&[u8]; 7] = [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/2 101\r\n",
        b"HTTQ",
        // The settings that an HTTP/2 server begins with, and the preface of its client.
        &[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        // As SSL 2 had it, which no alert of TLS begins with.
        &[21, 2, 1, 0, 2, 2, 70],
        &[0xff; 3000],
    ];
    for bytes in table {
        let failure = answered::<A>(|_| bytes.to_vec()).await.unwrap_err();
        assert_eq!(failure, upgrade_failure("the answer is not HTTP/1.1: check host and port"), "{bytes:?}");
    }
}

async fn an_extension_nobody_offered_is_named<A: Adapter>() {
    for lines in [
        "Sec-WebSocket-Extensions: permessage-deflate\r\n",
        "Sec-WebSocket-Extensions:\r\nSec-WebSocket-Extensions: x-hunter2; a=1\r\n",
    ] {
        let failure = answered::<A>(|request| switching_with(request, lines)).await.unwrap_err();
        let expected = "the server uses an extension that was not offered (Sec-WebSocket-Extensions)";
        assert_eq!(failure, upgrade_failure(expected));
    }
}

fn offering(subprotocols: &[&'static str]) -> ConnectRequest {
    subprotocols.iter().fold(plain(), |request, name| {
        request.with_header(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(name))
    })
}

/// Unrequested, another, in other letters, two at once, or none (as browsers have it).
async fn choices_that_were_not_offered<A: Adapter>() {
    const NONE: &str = "the server knows none of the offered subprotocols (Sec-WebSocket-Protocol)";
    const OTHER: &str = "the server chose a subprotocol that was not offered (Sec-WebSocket-Protocol)";
    let table: [(&[&str], &str, &str); 7] = [
        (&[], "Sec-WebSocket-Protocol: v1\r\n", OTHER),
        (&["v1"], "Sec-WebSocket-Protocol: v2\r\n", OTHER),
        (&["v1"], "Sec-WebSocket-Protocol: V1\r\n", OTHER),
        (&["v1"], "Sec-WebSocket-Protocol:\r\n", OTHER),
        (&["v1", "v2"], "Sec-WebSocket-Protocol: v1, v2\r\n", OTHER),
        (&["v1", "v2"], "Sec-WebSocket-Protocol: v1\r\nSec-WebSocket-Protocol: v2\r\n", OTHER),
        (&["v1"], "", NONE),
    ];
    for (offered, lines, expected) in table {
        let answer = move |request: &str| switching_with(request, lines);
        let failure = answer_to::<A>(offering(offered), answer).await.unwrap_err();
        assert_eq!(failure, upgrade_failure(expected), "{offered:?} {lines:?}");
    }
}

/// Answers that announce another (RFC 9110 §15.2): before a 101, a redirect or a refusal.
async fn interim_answers_are_skipped<A: Adapter>() {
    const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n";
    for interim in ["HTTP/1.1 100 Continue\r\n\r\n".to_owned(), HINTS.to_owned(), HINTS.repeat(5)] {
        for pieces in [false, true] {
            let before = interim.clone();
            let server = Server::start(move |_, peer| {
                let answer = before.clone() + &switching(&peer.request()?);
                let bytes = [answer.as_bytes(), &frame(TEXT, b"first")].concat();
                if pieces {
                    peer.drip(&bytes, Duration::from_micros(50))?
                } else {
                    peer.raw(&bytes)?
                }
                peer.listen()
            });
            let mut connection = connect::<A>(&server.url()).await.unwrap();
            assert_eq!(next::<A>(&mut connection).await, Some(Ok(Frame::from("first"))));
        }
        let refusal = move |_: &str| (interim.clone() + "HTTP/1.1 404 Not Found\r\n\r\n").into_bytes();
        let failure = answered::<A>(refusal).await.unwrap_err();
        assert_eq!(failure.to_string(), "the server refused the upgrade with HTTP 404 Not Found");
    }
}

/// Each is well below the bound of a head, and a client that waited for the last would wait for ever.
async fn interim_answers_without_end<A: Adapter>() {
    let endless = |_: &str| b"HTTP/1.1 102 Processing\r\n\r\n".repeat(1000);
    let failure = answered::<A>(endless).await.unwrap_err();
    assert_eq!(failure, upgrade_failure("more than 5 interim answers (HTTP 1xx) arrived, and no final one"));
}

async fn a_refusal_tells_status_and_retry_after<A: Adapter>() {
    let table: [(&str, u16, Option<u64>); 11] = [
        ("401 Unauthorized\r\nWWW-Authenticate: Bearer", 401, None),
        ("429 Too Many Requests\r\nRetry-After: 7", 429, Some(7)),
        ("503 Service Unavailable\r\nretry-after: 120", 503, Some(120)),
        ("503 Service Unavailable\r\nRetry-After: whenever", 503, None),
        ("503 Service Unavailable\r\nRetry-After: 99999999999999999999", 503, Some(7 * 24 * 60 * 60)),
        ("503 Service Unavailable\r\nRetry-After: Wed, 21 Oct 2015 07:28:00 GMT", 503, Some(0)),
        ("200 OK", 200, None),
        ("204 No Content", 204, None),
        ("426 Upgrade Required\r\nSec-WebSocket-Version: 8", 426, None),
        ("500 Internal Server Error\r\nUpgrade: websocket", 500, None),
        ("599 ", 599, None),
    ];
    for (head, status, seconds) in table {
        let answer = format!("HTTP/1.1 {head}\r\nContent-Length: 6\r\n\r\nsecret").into_bytes();
        let failure = answered::<A>(move |_| answer.clone()).await.unwrap_err();
        let Failure::Connect(ConnectFailure::Rejected { status: found, retry_after, .. }) = &failure else {
            panic!("{failure}")
        };
        assert_eq!((*found, *retry_after), (status, seconds.map(Duration::from_secs)), "{failure}");
    }
}

/// R6: only a 101 needs HTTP/1.1. Python's `http.server`, devices and old proxies refuse in HTTP/1.0.
async fn a_refusal_in_http_1_0_is_as_good_as_any<A: Adapter>() {
    for (head, words) in [
        ("401 Unauthorized", "HTTP 401 Unauthorized: no"),
        ("503 Busy\r\nRetry-After: 7", "HTTP 503 Busy, retry after 7 s: no"),
    ] {
        let server = Server::start(move |_, peer| {
            peer.request()?;
            peer.raw(format!("HTTP/1.0 {head}\r\n\r\nno").as_bytes())?;
            peer.fin()
        });
        let failure = connect::<A>(&server.url()).await.unwrap_err();
        assert_eq!(failure.to_string(), format!("the server refused the upgrade with {words}"));
    }
}

/// T3: status, reason and body, escaped and bounded, as far as they arrive soon.
async fn a_refusal_shows_what_the_server_said<A: Adapter>() {
    let long = "x".repeat(5000);
    let table = [
        ("401 No\x1b[31m entry\r\nContent-Length: 4", "who?ignored", "401 No\\u{1b}[31m entry: who?"),
        (
            "403 No\r\nTransfer-Encoding: chunked",
            "3\r\nsub\r\n7\r\nscribe\n\r\n0\r\n\r\n",
            "403 No: subscribe",
        ),
        ("404 \r\nContent-Type: text/html", "<b>\u{202e}lost</b>", "404: <b>\\u{202e}lost</b>"),
        ("400 No\r\nContent-Encoding: gzip", "\x1f\x08", "400 No"),
        ("429 No\r\nRetry-After: 3", "", "429 No, retry after 3 s"),
        // It is heeded with 429 and 503 alone (R5).
        ("403 No\r\nRetry-After: 3", "", "403 No"),
        ("400 No", &long, &format!("400 No: {}…", "x".repeat(200))),
    ];
    for (head, body, words) in table {
        let answer = format!("HTTP/1.1 {head}\r\n\r\n{body}").into_bytes();
        let failure = answered::<A>(move |_| answer.clone()).await.unwrap_err();
        assert_eq!(failure.to_string(), format!("the server refused the upgrade with HTTP {words}"));
        if body == long {
            let Failure::Connect(ConnectFailure::Rejected { refusal, .. }) = failure else {
                panic!("{failure}")
            };
            assert_eq!(refusal.body().as_raw().len(), 2048);
        }
    }
}

/// T3: neither whole, nor decoded, nor where the body is cut.
async fn a_refusal_repeats_no_secret<A: Adapter>() {
    let server = answering(|request| {
        let token = header(request, "authorization").unwrap();
        let cut = format!("{}{token}", "x".repeat(2040));
        format!("HTTP/1.1 401 No {token}\r\nX-Cause: {token}\r\n\r\nBearer, hunter2-token; k = hunter2 query. {cut}").into_bytes()
    });
    let asked = ConnectRequest::new(format!("{}?k=hunter2%20query", server.url())).unwrap();
    let asked = asked.with_header(AUTHORIZATION, HeaderValue::from_static("Bearer hunter2-token"));
    let failure = request::<A>(asked, Connector::default()).await.unwrap_err();
    let Failure::Connect(ConnectFailure::Rejected { refusal, .. }) = &failure else { panic!("{failure}") };
    assert_eq!(refusal.reason().to_string(), "No ***");
    assert!(refusal.body().to_string().starts_with("Bearer, ***; k = ***. xxx"), "{failure}");
    assert_eq!(refusal.headers().get("x-cause"), Some(b"Bearer hunter2-token".as_slice()), "for programs");
    assert!(!format!("{failure} {failure:?}").contains("hunter2"), "{failure:?}");
}

/// What has arrived of it soon is shown, and the rest is not waited for: the socket is gone, though the server keeps its side
/// open.
async fn a_refusal_whose_body_never_ends<A: Adapter>() {
    for body in ["Content-Length: 1000000", "Transfer-Encoding: chunked", "Connection: keep-alive"] {
        let answer = format!("HTTP/1.1 503 Service Unavailable\r\n{body}\r\n\r\n6\r\nsecret\r\n");
        let before = Instant::now();
        let failure = answered::<A>(move |_| answer.clone().into_bytes()).await.unwrap_err();
        let words = failure.to_string();
        assert!(
            words.starts_with("the server refused the upgrade with HTTP 503 Service Unavailable: "),
            "{words}"
        );
        assert!(words.contains("secret"), "what has arrived is shown: {words}");
        // Connecting may take twice this long.
        assert!(before.elapsed() < tidegate_tests::wait::WAIT);
    }
}

/// As a server under load does it.
async fn a_refusal_before_the_request_is_read<A: Adapter>() {
    let server = Server::start(|_, peer| {
        peer.raw(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n\r\n")?;
        peer.note("refused");
        peer.listen()
    });
    // More than a socket takes at once: what the server says comes while the request is still on its way.
    let many = HeaderValue::try_from("x".repeat(1 << 20)).unwrap();
    for name in ["x-small", "x-large"] {
        let value = if name == "x-large" { many.clone() } else { HeaderValue::from_static("y") };
        let asked = ConnectRequest::new(server.url()).unwrap().with_header(name.parse().unwrap(), value);
        let failure = request::<A>(asked, Connector::default()).await.unwrap_err();
        assert_eq!(failure.retry_after(), Some(ms(1000)), "{failure}");
    }
    within(server.all_gone()).await;
}

async fn a_head_without_end_is_refused<A: Adapter>() {
    let line = "X-Padding: 0123456789012345678901234567890123456789\r\n";
    let failure = answered::<A>(|request| {
        let mut answer = switching_with(request, &line.repeat(2000));
        answer.truncate(answer.len() - 2);
        answer
    });
    let expected = upgrade_failure("the head of the answer is longer than 65536 bytes");
    assert_eq!(failure.await.unwrap_err(), expected);
    // In one line as well, and with an end.
    let failure = answered::<A>(|request| switching_with(request, &format!("X: {}\r\n", "y".repeat(70_000))));
    assert_eq!(failure.await.unwrap_err(), expected);
}

async fn a_server_that_closes_without_an_answer<A: Adapter>() {
    for part in ["", "HTTP/1.1 101 Switching Protocols\r\nUpgr", "HTTP/1.1 100 Continue\r\n\r\n"] {
        let server = Server::start(move |_, peer| {
            peer.request()?;
            peer.raw(part.as_bytes())?;
            peer.fin()
        });
        let detail = "the server closed the connection before it answered the upgrade".to_owned();
        assert_eq!(
            connect::<A>(&server.url()).await.unwrap_err(),
            Failure::Connection(ConnectionFailure::Io { detail }),
            "{part:?}"
        );
        within(server.saw(1, Fact::Gone)).await;
    }
}
