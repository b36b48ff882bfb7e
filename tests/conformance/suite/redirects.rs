//! Answers that lead elsewhere (RFC 9110 §15.4): which are followed, how far, and what goes along. Which URLs they lead to
//! in detail is in the driver's own tests.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::time::Instant;
use std::{iter, thread};

use http::header::{AUTHORIZATION, COOKIE, ORIGIN, SEC_WEBSOCKET_PROTOCOL, USER_AGENT};
use http::{HeaderName, HeaderValue};
use tidegate::rustls::crypto::ring;
use tidegate::rustls::pki_types::PrivatePkcs8KeyDer;
use tidegate::rustls::{ServerConfig, ServerConnection, StreamOwned};
use tidegate::{CloseFrame, ConnectFailure, ConnectRequest, Failure, Frame, Message};
use tidegate_tests::once::{connect, next as next_frame, request};
use tidegate_tests::pki::{Authority, Identity, Leaf};
use tidegate_tests::prelude::*;
use tidegate_tests::server::{CLOSE, Fact, Server, frame, switching};
use tidegate_tests::{Connector, TlsOptions};

cases! {
    single: [
        each_kind_is_followed,
        from_host_to_host,
        five_are_followed_and_no_more,
        answers_that_lead_nowhere,
        never_from_wss_to_ws,
        another_origin_is_named_and_not_followed,
        credentials_stay_with_their_origin,
        a_secret_of_the_new_url_is_hidden_too,
        where_it_was_refused_is_told,
        one_deadline_over_the_whole_chain,
        a_redirect_whose_body_never_ends,
    ],
    both: [every_attempt_starts_at_the_first_url],
}

/// What a server answers: the end of a status line and header lines, or an upgrade.
type Route = Option<String>;

/// Answers by path. Who is upgraded is told the path.
fn routed(route: impl Fn(&str) -> Route + Send + Sync + 'static) -> Server {
    Server::start(move |_, peer| {
        let request = peer.request()?;
        let path = request.split(' ').nth(1).unwrap();
        if let Some(head) = route(path) {
            peer.raw(format!("HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n").as_bytes())?;
            return peer.listen();
        }
        peer.raw(switching(&request).as_bytes())?;
        peer.text(path)?;
        peer.serve()
    })
}

/// To that place, as `302`.
fn found(location: impl std::fmt::Display) -> Route {
    Some(format!("302 Found\r\nLocation: {location}"))
}

/// The paths that were asked for so far.
fn paths(server: &Server) -> Vec<String> {
    let path = |entry: tidegate_tests::server::Entry| match entry.fact {
        Fact::Request(head) => head.split(' ').nth(1).map(str::to_owned),
        Fact::Accepted | Fact::Frame(..) | Fact::Gone | Fact::Note(_) => None,
    };
    server.entries().into_iter().filter_map(path).collect()
}

/// Where a connection to `/feed` of this server comes to in the end.
async fn arrives<A: Adapter>(server: &Server) -> Result<String, Failure> {
    let mut connection = connect::<A>(&server.url()).await?;
    arrived::<A>(&mut connection).await
}

async fn arrived<A: Adapter>(connection: &mut A::Transport) -> Result<String, Failure> {
    match next_frame::<A>(connection).await {
        Some(Ok(Frame::Message(Message::Text(path)))) => Ok(String::from_utf8(path.to_vec()).unwrap()),
        other => panic!("{other:?}"),
    }
}

/// These names are this machine.
fn naming(names: &[&str]) -> Connector {
    let here = || iter::once(Ipv4Addr::LOCALHOST.into());
    let connector = Connector::default().no_proxy().follow_to_other_origins(true);
    names.iter().fold(connector, |connector, name| connector.resolve(name, here()))
}

async fn each_kind_is_followed<A: Adapter>() {
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        for (location, arrived) in
            [("/there?token=a%20b&x", "/there?token=a%20b&x"), ("there", "/there"), ("?only", "/feed?only")]
        {
            let server =
                routed(move |path| (path == "/feed").then(|| format!("{status}\r\nLocation: {location}")));
            assert_eq!(arrives::<A>(&server).await.as_deref(), Ok(arrived), "{status}");
            assert_eq!(paths(&server), ["/feed", arrived]);
            // A connection of its own, and the one before is gone.
            within(server.saw(1, Fact::Gone)).await;
        }
    }
}

/// The new host's name is the one in `Host`, and the query of the first URL stays behind.
async fn from_host_to_host<A: Adapter>() {
    for scheme in ["ws", "http", "HTTP"] {
        let there = routed(|_| None);
        let to = format!("{scheme}://b.test:{}/there?of=there", there.port());
        let here = routed(move |_| found(&to));
        let asked = ConnectRequest::new(format!("ws://a.test:{}/feed?token=secret", here.port())).unwrap();
        let mut connection = request::<A>(asked, naming(&["a.test", "b.test"])).await.unwrap();
        assert_eq!(arrived::<A>(&mut connection).await.as_deref(), Ok("/there?of=there"));
        let host = |name: &str, server: &Server| vec![Some(format!("{name}:{}", server.port()))];
        assert_eq!(here.headers("host"), host("a.test", &here));
        assert_eq!(there.headers("host"), host("b.test", &there));
    }
}

/// `/feed` leads to `/1`, and so on up to `/{length}`.
fn chain(length: u32) -> Server {
    routed(move |path| {
        let at: u32 = path[1..].parse().unwrap_or(0);
        (at < length).then(|| format!("307 Temporary Redirect\r\nLocation: /{}", at + 1))
    })
}

async fn five_are_followed_and_no_more<A: Adapter>() {
    let five = chain(5);
    assert_eq!(arrives::<A>(&five).await.as_deref(), Ok("/5"));
    assert_eq!(paths(&five), ["/feed", "/1", "/2", "/3", "/4", "/5"]);
    let six = chain(6);
    let detail = "the server redirected more than 5 times".to_owned();
    assert_eq!(arrives::<A>(&six).await, Err(Failure::Connect(ConnectFailure::Upgrade { detail })));
    assert_eq!(paths(&six).len(), 6);
    within(six.all_gone()).await;
}

/// They are refusals, with their status: they ask for a choice or another method, or do not say where to.
async fn answers_that_lead_nowhere<A: Adapter>() {
    let elsewhere = "\r\nLocation: /there";
    for (status, location) in [
        (300, elsewhere),
        (303, elsewhere),
        (304, elsewhere),
        (305, elsewhere),
        (200, elsewhere),
        (503, elsewhere),
        (301, ""),
        (302, ""),
        (307, ""),
        (308, ""),
    ] {
        let server = routed(move |_| Some(format!("{status} Whatever{location}")));
        assert_eq!(arrives::<A>(&server).await.map_err(without_words), Err(Failure::rejected(status, None)));
        assert_eq!(server.accepted(), 1);
        within(server.all_gone()).await;
    }
}

/// Redirects the one connection that comes, over TLS; its port.
fn redirecting_over_tls(identity: &Identity, location: String) -> u16 {
    let key = PrivatePkcs8KeyDer::from(identity.key_der.clone());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![identity.der.clone().into()], key.into())
        .unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let tls = ServerConnection::new(Arc::new(config)).unwrap();
        let mut stream = StreamOwned::new(tls, stream);
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        stream.write_all(format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\n\r\n").as_bytes()).unwrap();
        // Until the client has gone.
        let _ = stream.read(&mut byte);
    });
    port
}

/// Nor if it began with `ws`: once under TLS, it stays so.
async fn never_from_wss_to_ws<A: Adapter>() {
    let authority = Authority::new();
    let identity = authority.issue(Leaf::localhost());
    let plain = routed(|_| None);
    let detail = "the server redirected from wss to ws, which would give up TLS".to_owned();
    for (first_plain, scheme) in [(false, "ws"), (false, "http"), (true, "ws")] {
        let port = redirecting_over_tls(&identity, format!("{scheme}://localhost:{}/", plain.port()));
        let secure = format!("wss://localhost:{port}/");
        let to = secure.clone();
        let first = routed(move |_| found(&to));
        let url = if first_plain { first.url() } else { secure };
        let connector = naming(&["localhost"]).tls(TlsOptions::default().ca_pem(authority.pem())).unwrap();
        let failure = request::<A>(ConnectRequest::new(url).unwrap(), connector).await.unwrap_err();
        assert_eq!(failure, Failure::Connect(ConnectFailure::Upgrade { detail: detail.clone() }));
        assert_eq!(first.accepted(), usize::from(first_plain));
    }
    assert_eq!(plain.accepted(), 0);
}

/// R6: what is sent after the upgrade goes where the connection leads, and may hold credentials as headers do.
async fn another_origin_is_named_and_not_followed<A: Adapter>() {
    let there = routed(|_| None);
    let to = there.url().replace("/feed", "/hunter2-token/there?token=hunter2");
    let here = routed(move |_| found(&to));
    let asked = ConnectRequest::new(here.url()).unwrap();
    let asked = asked.with_header(AUTHORIZATION, HeaderValue::from_static("Bearer hunter2-token"));
    let failure = request::<A>(asked, Connector::default()).await.unwrap_err();
    let to = format!("ws://127.0.0.1:{}/***/there", there.port());
    assert_eq!(failure, Failure::Connect(ConnectFailure::Redirected { to }));
    assert_eq!((here.accepted(), there.accepted()), (1, 0));
}

/// T3: in the reason of a Close as well.
async fn a_secret_of_the_new_url_is_hidden_too<A: Adapter>() {
    let server = Server::start(|number, peer| {
        let request = peer.request()?;
        if number == 1 {
            peer.raw(b"HTTP/1.1 302 Found\r\nLocation: /there?token=hunter2\r\nContent-Length: 0\r\n\r\n")?;
            return peer.listen();
        }
        peer.raw(switching(&request).as_bytes())?;
        peer.raw(&frame(CLOSE, b"\x0f\xa1hunter2 has expired"))?;
        peer.listen()
    });
    let mut transport = connect::<A>(&server.url()).await.unwrap();
    let closed = next_frame::<A>(&mut transport).await.unwrap().unwrap();
    assert_eq!(closed, Frame::Close(Some(CloseFrame { code: 4001, reason: "*** has expired".to_owned() })));
}

/// At which URL, and none of its query.
async fn where_it_was_refused_is_told<A: Adapter>() {
    let there = routed(|path| (path == "/there?k=hunter2").then(|| "403 No".to_owned()));
    let to = there.url().replace("/feed", "/there?k=hunter2");
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let here = routed(move |path| match path {
        "/feed" => found("/on?k=hunter2"),
        "/on?k=hunter2" => found(&to),
        _ => found(format!("ws://{closed}/gone?k=hunter2")),
    });
    let refused = request::<A>(ConnectRequest::new(here.url()).unwrap(), naming(&[])).await.unwrap_err();
    let at = format!("(redirected to ws://127.0.0.1:{}/there)", there.port());
    assert_eq!(refused.to_string(), format!("the server refused the upgrade with HTTP 403 No {at}"));
    let asked = ConnectRequest::new(here.url()).unwrap().with_path("/closed").unwrap();
    let failure = request::<A>(asked, naming(&[])).await.unwrap_err();
    assert_eq!(failure.kind(), "tcp");
    assert!(failure.to_string().ends_with(&format!("(redirected to ws://{closed}/gone)")), "{failure}");
}

/// Within an origin all goes along; to another nothing that may be secret, and what was left behind stays so on the way
/// back.
async fn credentials_stay_with_their_origin<A: Adapter>() {
    const BACK: &str = "/back";
    let key = HeaderName::from_static("x-api-key");
    let mut secret = HeaderValue::from_static("v1.hunter2");
    secret.set_sensitive(true);
    let there = Arc::new(std::sync::Mutex::new(String::new()));
    let elsewhere = Arc::clone(&there);
    let here = routed(move |path| match path {
        "/feed" => found("/same"),
        "/same" => found(elsewhere.lock().unwrap()),
        _ => None,
    });
    let back = format!("ws://a.test:{}{BACK}", here.port());
    let other = routed(move |_| found(&back));
    // The same name and another port are another origin.
    *there.lock().unwrap() = format!("ws://A.test:{}/other", other.port());
    let given = [
        (AUTHORIZATION, HeaderValue::from_static("Bearer hunter2")),
        (COOKIE, HeaderValue::from_static("session=hunter2")),
        (key, HeaderValue::from_static("hunter2")),
        (SEC_WEBSOCKET_PROTOCOL, secret),
        (ORIGIN, HeaderValue::from_static("https://app.test")),
        (USER_AGENT, HeaderValue::from_static("test")),
    ];
    let asked = ConnectRequest::new(format!("ws://a.test:{}/feed", here.port())).unwrap();
    let asked =
        given.iter().fold(asked, |asked, (name, value)| asked.with_header(name.clone(), value.clone()));
    let mut connection = request::<A>(asked, naming(&["a.test"])).await.unwrap();
    assert_eq!(arrived::<A>(&mut connection).await.as_deref(), Ok(BACK));
    assert_eq!(paths(&here), ["/feed", "/same", BACK]);
    for (at, (name, value)) in given.iter().enumerate() {
        let value = Some(value.to_str().unwrap().to_owned());
        let harmless = if at < 4 { None } else { value.clone() };
        assert_eq!(here.headers(name.as_str()), [value.clone(), value, harmless.clone()], "{name}");
        assert_eq!(other.headers(name.as_str()), [harmless], "{name}");
    }
}

/// C3.
async fn one_deadline_over_the_whole_chain<A: Adapter>() {
    let server = Server::start(|_, peer| {
        peer.request()?;
        thread::sleep(ms(100));
        peer.raw(b"HTTP/1.1 302 Found\r\nLocation: /next\r\n\r\n")?;
        peer.listen()
    });
    let asked = ConnectRequest::new(server.url()).unwrap();
    let before = Instant::now();
    let failure = within(A::connect_once(asked, Connector::default(), ms(250))).await.unwrap_err();
    assert_eq!(failure, Failure::Connect(ConnectFailure::Timeout));
    assert!(before.elapsed() >= ms(250));
    // Each takes a hundred milliseconds at least.
    assert!(server.accepted() <= 3, "{}", server.accepted());
    within(server.all_gone()).await;
}

/// Nobody reads it, nor waits for it.
async fn a_redirect_whose_body_never_ends<A: Adapter>() {
    let server = routed(|path| {
        // In place of the length that is added.
        (path == "/feed")
            .then(|| "302 Found\r\nLocation: /there\r\nTransfer-Encoding: chunked\r\nX: y".to_owned())
    });
    assert_eq!(arrives::<A>(&server).await.as_deref(), Ok("/there"));
    within(server.saw(1, Fact::Gone)).await;
}

/// A balancer may have another place to go to by then.
async fn every_attempt_starts_at_the_first_url<M: Mode>() {
    let there = Server::start(|_, peer| {
        peer.upgrade()?;
        peer.text("there")?;
        peer.fin()
    });
    let url = there.url();
    let balancer = routed(move |path| if path == "/feed" { found("/balanced") } else { found(&url) });
    let mut feed = M::start(M::feed_with(naming(&[]), &balancer.url()).config(quick()));
    for id in 1..=3 {
        let expected = [format!("live {id}"), "there".to_owned(), format!("interrupted {id}: io")];
        assert_eq!(take(&mut feed, 3).await, expected);
    }
    let asked = paths(&balancer);
    assert_eq!(asked[..6], ["/feed", "/balanced"].repeat(3));
    drop(feed);
    within(balancer.all_gone()).await;
    within(there.all_gone()).await;
}
