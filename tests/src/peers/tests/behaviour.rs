//! What the WebSocket servers do at each path.

use std::net::TcpStream;

use futures_util::{SinkExt, StreamExt};
use http::{HeaderName, HeaderValue};
use tidegate::tokio::core::{ConnectFailure, ConnectionFailure, Failure, Frame, Message};
use tidegate::tokio::{ConnectRequest, Connector, TlsOptions, WebSocket, connect_once};

use super::{
    Authority, Leaf, Missing, Peer, ServerTls, WAIT, WebSocketServer, local, or_skip, servers, upgrade,
};
use crate::peers::nginx_in_front_of;

async fn open(url: &str, headers: &[(&str, &str)], connector: &Connector) -> Result<WebSocket, Failure> {
    let mut request = ConnectRequest::new(url).unwrap();
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        request = request.with_header(name, HeaderValue::from_str(value).unwrap());
    }
    connect_once(request, connector, WAIT).await
}

async fn connect(peer: &Peer, path: &str) -> WebSocket {
    open(&peer.url(path), &[], &Connector::default()).await.unwrap()
}

async fn next(client: &mut WebSocket) -> Option<Result<Frame, Failure>> {
    tokio::time::timeout(WAIT, client.next()).await.expect("the server says nothing")
}

/// The next text; pings and pongs are left out.
async fn text(client: &mut WebSocket) -> String {
    loop {
        match next(client).await {
            Some(Ok(Frame::Message(Message::Text(text)))) => {
                return String::from_utf8(text.to_vec()).unwrap();
            }
            Some(Ok(Frame::Ping(_) | Frame::Pong(_))) => client.flush().await.unwrap(),
            other => panic!("{other:?}"),
        }
    }
}

async fn json(client: &mut WebSocket) -> serde_json::Value {
    serde_json::from_str(&text(client).await).unwrap()
}

async fn assert_echoes(client: &mut WebSocket) {
    let long = "ä".repeat(100_000);
    for frame in [Frame::from("hello"), Frame::from(vec![0, 255]), Frame::from(long)] {
        client.send(frame.clone()).await.unwrap();
        assert_eq!(next(client).await, Some(Ok(frame)));
    }
}

async fn assert_closes(client: &mut WebSocket, expected: u16) {
    let Some(Ok(Frame::Close(Some(close)))) = next(client).await else { panic!("no Close with a code") };
    assert_eq!(close.code, expected);
}

#[tokio::test]
async fn echo_and_deflate() {
    for peer in servers() {
        assert_echoes(&mut connect(&peer, "/echo").await).await;
        let mut client = connect(&peer, "/deflate").await;
        assert_eq!(json(&mut client).await["deflate"], false, "{peer:?}");
        assert_echoes(&mut client).await;

        let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
        let answer = upgrade(&mut TcpStream::connect(peer.address()).unwrap(), "/deflate", offer);
        assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
        assert!(answer.contains("permessage-deflate"), "{peer:?} has it on: {answer}");
    }
}

#[tokio::test]
async fn feed() {
    for peer in servers() {
        let mut client = connect(&peer, "/feed?count=3000&size=2000").await;
        for number in 0..3000 {
            let text = text(&mut client).await;
            assert_eq!(text.len(), 2000, "{peer:?}");
            assert!(text.starts_with(&format!("{{\"n\":{number},")), "{peer:?}: {text}");
        }
        client.send(Frame::Ping("open".into())).await.unwrap();
        assert_eq!(next(&mut client).await, Some(Ok(Frame::Pong("open".into()))), "it stays open");
        client.send(Frame::Close(None)).await.unwrap();
        assert!(matches!(next(&mut client).await, Some(Ok(Frame::Close(_)))));
        assert_eq!(text(&mut connect(&peer, "/feed").await).await, r#"{"n":0}"#);
    }
}

#[tokio::test]
async fn close_and_drop() {
    for peer in servers() {
        for (path, code) in [("/close?code=1012&reason=restart", 1012), ("/close", 1000)] {
            let mut client = connect(&peer, path).await;
            assert_eq!(text(&mut client).await, r#"{"n":0}"#);
            assert_closes(&mut client, code).await;
        }
        let mut client = connect(&peer, "/drop").await;
        assert_eq!(text(&mut client).await, r#"{"n":0}"#);
        let Some(Err(Failure::Connection(ConnectionFailure::Io { detail }))) = next(&mut client).await else {
            panic!("{peer:?}: no error")
        };
        assert!(detail.contains("reset"), "{peer:?}: {detail}");
    }
}

#[tokio::test]
async fn ping() {
    for peer in servers() {
        let mut client = connect(&peer, "/ping").await;
        for number in 0..3 {
            assert_eq!(next(&mut client).await, Some(Ok(Frame::Ping(format!("ping {number}").into()))));
            client.flush().await.unwrap();
        }
        assert_eq!(text(&mut client).await, "pong ok");
        client.send(Frame::Ping("mine".into())).await.unwrap();
        assert_eq!(next(&mut client).await, Some(Ok(Frame::Pong("mine".into()))), "{peer:?}");
    }
}

#[tokio::test]
async fn subscribe() {
    for peer in servers() {
        let mut client = connect(&peer, "/subscribe?count=2").await;
        for channel in ["trades", "book"] {
            client.send(Frame::from(format!("subscribe {channel}"))).await.unwrap();
            assert_eq!(text(&mut client).await, format!("subscribed {channel}"));
            for number in 0..2 {
                assert_eq!(json(&mut client).await, serde_json::json!({ "n": number, "channel": channel }));
            }
        }
        client.send(Frame::from("hello")).await.unwrap();
        assert_closes(&mut client, 1008).await;
    }
}

#[tokio::test]
async fn refusals() {
    for peer in servers() {
        let plain = Connector::default();
        let refused = open(&peer.url("/refuse?status=429&retry_after=7"), &[], &plain).await.unwrap_err();
        let Failure::Connect(ConnectFailure::Rejected { status, retry_after, .. }) = refused else {
            panic!("{refused}")
        };
        assert_eq!((status, retry_after.map(|after| after.as_secs())), (429, Some(7)), "{peer:?}");

        let mut stream = TcpStream::connect(peer.address()).unwrap();
        let answer = upgrade(&mut stream, "/redirect?to=ws%3A%2F%2Fother.test%2Fecho&status=308", "");
        assert!(answer.starts_with("HTTP/1.1 308"), "{peer:?}: {answer}");
        let location =
            answer.lines().find_map(|line| line.to_lowercase().strip_prefix("location: ").map(str::to_owned));
        assert_eq!(location.as_deref(), Some("ws://other.test/echo"), "{peer:?}");

        let answer = upgrade(&mut TcpStream::connect(peer.address()).unwrap(), "/nowhere", "");
        assert!(answer.starts_with("HTTP/1.1 404"), "{peer:?}: {answer}");
        let answer = upgrade(&mut TcpStream::connect(peer.address()).unwrap(), "/refuse", "");
        assert!(answer.starts_with("HTTP/1.1 503"), "{peer:?}: {answer}");
        assert!(!answer.to_lowercase().contains("retry-after"), "{peer:?}: {answer}");
    }
}

#[tokio::test]
async fn headers_and_subprotocol() {
    let headers = [("authorization", "Bearer token"), ("origin", "https://app.test"), ("x-test", "yes")];
    let offer = "Sec-WebSocket-Protocol: v1.feed, v2.feed\r\n";
    for peer in servers() {
        let mut client = open(&peer.url("/headers"), &headers, &Connector::default()).await.unwrap();
        let expected = serde_json::json!({
            "Authorization": "Bearer token", "Origin": "https://app.test", "X-Test": "yes",
            "Host": peer.address().to_string(),
        });
        assert_eq!(json(&mut client).await, expected, "{peer:?}");
        let absent = json(&mut connect(&peer, "/headers").await).await;
        assert!(absent["Authorization"].is_null() && absent["X-Test"].is_null(), "{peer:?}: {absent}");

        assert!(json(&mut connect(&peer, "/subprotocol").await).await["subprotocol"].is_null(), "{peer:?}");
        for (path, chosen) in [("/subprotocol", true), ("/echo", false)] {
            let answer = upgrade(&mut TcpStream::connect(peer.address()).unwrap(), path, offer);
            let answer = answer.to_lowercase();
            assert!(answer.starts_with("http/1.1 101"), "{peer:?}: {answer}");
            assert_eq!(answer.contains("sec-websocket-protocol: v2.feed"), chosen, "{peer:?}: {answer}");
        }
    }
}

/// What nginx hands on to, where it is needed.
fn tls_peers(tls: &ServerTls) -> Vec<(Peer, Option<Peer>)> {
    let direct = WebSocketServer::ALL.into_iter().map(|server| Ok((server.start_tls(tls)?, None)));
    let behind = WebSocketServer::ALL.into_iter().map(|server| {
        let upstream = server.start()?;
        Ok((nginx_in_front_of(&upstream, tls)?, Some(upstream)))
    });
    direct.chain(behind).filter_map(|started: Result<_, Missing>| or_skip(started)).collect()
}

#[tokio::test]
async fn tls() {
    let authority = Authority::new();
    let trusting = Connector::default().tls(TlsOptions::default().ca_pem(authority.pem())).unwrap();
    for (peer, _upstream) in tls_peers(&local(&authority)) {
        for host in ["127.0.0.1", "localhost"] {
            let url = peer.url_by_name(host, "/echo");
            assert_echoes(&mut open(&url, &[], &trusting).await.unwrap()).await;
        }
        let untrusted = open(&peer.url("/echo"), &[], &Connector::default()).await.unwrap_err();
        assert!(untrusted.kind() == "tls_unknown_issuer", "{peer:?}: {untrusted}");

        let mut client = open(&peer.url("/drop"), &[], &trusting).await.unwrap();
        assert_eq!(text(&mut client).await, r#"{"n":0}"#);
        assert!(
            matches!(next(&mut client).await, Some(Err(Failure::Connection(ConnectionFailure::Io { .. })))),
            "{peer:?}"
        );
    }
}

#[tokio::test]
async fn tls_with_client_certificates() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let options = || TlsOptions::default().ca_pem(authority.pem());
    let identity = clients.issue(Leaf::client("reader"));
    let with = Connector::default()
        .tls(options().client_certificate_pem(identity.chain_pem, identity.key_pem))
        .unwrap();
    let without = Connector::default().tls(options()).unwrap();
    for (peer, _upstream) in tls_peers(&local(&authority).require_clients_of(&clients)) {
        assert_echoes(&mut open(&peer.url("/echo"), &[], &with).await.unwrap()).await;
        let failure = open(&peer.url("/echo"), &[], &without).await.unwrap_err();
        let expected =
            if peer.name() == "nginx" { &["rejected"][..] } else { &["tls_client_certificate", "io"] };
        assert!(expected.contains(&failure.kind()), "{peer:?}: {failure}");
    }
}

#[tokio::test]
async fn bad_certificates() {
    let authority = Authority::new();
    let trusting = Connector::default().tls(TlsOptions::default().ca_pem(authority.pem())).unwrap();
    let table = [
        (Leaf::localhost().expired(), "certificate expired"),
        (Leaf::localhost().not_yet_valid(), "certificate is not valid before"),
        (Leaf::server(["other.test"]), "certificate is not for 127.0.0.1, but for other.test"),
    ];
    for (leaf, problem) in table {
        let tls = ServerTls::new(authority.issue(leaf));
        let Some(peer) = or_skip(WebSocketServer::Websockets.start_tls(&tls)) else { return };
        let failure = open(&peer.url("/echo"), &[], &trusting).await.unwrap_err();
        assert!(failure.to_string().contains(problem), "{failure}");
    }
}
