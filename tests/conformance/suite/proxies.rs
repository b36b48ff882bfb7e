//! Through a proxy: HTTP CONNECT and SOCKS5, from end to end.

use std::io;
use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tidegate::rustls::ServerConfig;
use tidegate::rustls::crypto::ring;
use tidegate::{
    Config, ConnectFailure, ConnectRequest, Failure, FeedBuilder, Frame, Proxy, ProxyProblem, RetryPolicy,
    StopReason, TlsProblem,
};
use tidegate_tests::needs::{MICROSOCKS, TINYPROXY, WEBSOCKETS};
use tidegate_tests::peers;
use tidegate_tests::pki::{Authority, Leaf};
use tidegate_tests::prelude::*;
use tidegate_tests::server::{Fact, Peer, Server, frame, switching};
use tidegate_tests::{Connector, TlsOptions};

cases! {
    both: [
        through_tinyproxy needs [TINYPROXY],
        through_microsocks needs [MICROSOCKS],
        to_a_server_of_another_author needs [TINYPROXY, MICROSOCKS, WEBSOCKETS],
        the_name_is_looked_up_where_the_scheme_says needs [MICROSOCKS],
        the_certificate_is_the_hosts_not_the_proxys needs [TINYPROXY],
        another_place_stands_for_that_of_the_url needs [TINYPROXY],
        credentials_that_tinyproxy_refuses needs [TINYPROXY],
        credentials_that_microsocks_refuses needs [MICROSOCKS],
        a_proxy_that_is_not_there,
        a_proxy_that_never_answers,
        a_tunnel_that_the_proxy_does_not_open,
        a_port_that_tinyproxy_forbids needs [TINYPROXY],
        no_proxy_at_all,
    ],
    single: [an_answer_that_drips, what_comes_right_behind_the_answer],
}

/// Right ones for a proxy that wants some.
const RIGHT: Option<(&str, &str)> = Some(("reader", "hunter2"));
const WRONG: Option<(&str, &str)> = Some(("reader", "hunter3"));
/// In all passwords.
const SECRET: &str = "hunter";

/// What `localhost` stands for here, first of all.
fn localhost() -> IpAddr {
    ("localhost", 0).to_socket_addrs().unwrap().next().unwrap().ip()
}

/// Says hello, and ends the first connection.
fn greet(number: usize, peer: &mut Peer) -> io::Result<()> {
    peer.upgrade()?;
    peer.text("hello")?;
    if number == 1 { peer.fin() } else { peer.serve() }
}

/// A server for which somebody has issued a certificate.
struct Secured {
    server: Server,
    authority: Authority,
}

impl Secured {
    fn start<const N: usize>(names: [&str; N]) -> Self {
        let authority = Authority::new();
        let identity = authority.issue(Leaf::server(names));
        let key = identity.key_der.try_into().unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![identity.der.into()], key)
            .unwrap();
        let config = Arc::new(config);
        let server = Server::start_at(localhost(), move |number, peer| {
            peer.secure(&config)?;
            greet(number, peer)
        });
        Self { server, authority }
    }

    fn trusting(&self) -> TlsOptions {
        TlsOptions::default().ca_pem(self.authority.pem())
    }
}

/// Live, cut off, and live again: each time through the proxy.
async fn reconnects<M: Mode>(proxy: &peers::Proxy, before: usize, builder: FeedBuilder<Rt<M>>) {
    let mut feed = M::start(builder.config(quick()));
    let expected = ["live 1", "hello", "interrupted 1: io", "live 2", "hello"];
    assert_eq!(take(&mut feed, 5).await, expected);
    proxy.wait_for_tunnels(before + 2);
    feed.handle().shutdown();
    assert_eq!(end(&mut feed).await, None);
    assert_eq!(proxy.tunnels(), before + 2);
}

/// A plain feed and one over TLS from end to end, through this proxy, which counts its tunnels.
async fn goes_through<M: Mode>(proxy: &peers::Proxy, url: &str, before: usize) {
    let server = Server::start_at(localhost(), greet);
    let plain = format!("ws://localhost:{}/feed", server.address().port());
    reconnects::<M>(proxy, before, M::feed(&plain).proxy(url)).await;
    let Secured { server, authority } = Secured::start(["localhost"]);
    let tls = TlsOptions::default().ca_pem(authority.pem());
    let secure = M::feed(&server.secure_url("localhost")).proxy(url).tls(tls);
    reconnects::<M>(proxy, before + 2, secure).await;
}

async fn through_tinyproxy<M: Mode>() {
    for credentials in [None, RIGHT] {
        let proxy = peers::Proxy::http(credentials).unwrap();
        goes_through::<M>(&proxy, &proxy.url(credentials), 0).await;
    }
}

async fn through_microsocks<M: Mode>() {
    for credentials in [None, RIGHT] {
        let proxy = peers::Proxy::socks5(credentials).unwrap();
        goes_through::<M>(&proxy, &proxy.url(credentials), 0).await;
        goes_through::<M>(&proxy, &proxy.url(credentials).replace("socks5:", "socks5h:"), 4).await;
    }
}

/// Over TLS, and more than fits into any buffer on the way.
async fn to_a_server_of_another_author<M: Mode>() {
    let authority = Authority::new();
    let tls = peers::ServerTls::new(authority.issue(Leaf::server(["127.0.0.1"])));
    let server = peers::WebSocketServer::Websockets.start_tls(&tls).unwrap();
    for proxy in [peers::Proxy::http(RIGHT).unwrap(), peers::Proxy::socks5(RIGHT).unwrap()] {
        let builder = M::feed(&server.url("/feed?count=200&size=100000")).proxy(proxy.url(RIGHT).as_str());
        let tls = TlsOptions::default().ca_pem(authority.pem());
        let mut feed = M::start(builder.config(quick()).tls(tls));
        let seen = take(&mut feed, 201).await;
        let in_order = |(number, text): (usize, &String)| {
            text.len() == 100_000 && text.starts_with(&format!("{{\"n\":{number},"))
        };
        assert!(seen[1..].iter().enumerate().all(in_order));
        proxy.wait_for_tunnels(1);
    }
}

/// `socks5` looks it up here, where the application may have addresses of its own; with `socks5h` the proxy is told the
/// name.
async fn the_name_is_looked_up_where_the_scheme_says<M: Mode>() {
    let proxy = peers::Proxy::socks5(None).unwrap();
    let server = Server::start(greet);
    let port = server.address().port();
    let connector = || Connector::default().resolve("feed.test", [Ipv4Addr::LOCALHOST.into()]);
    let here = M::feed_with(connector(), &format!("ws://feed.test:{port}/feed"));
    reconnects::<M>(&proxy, 0, here.proxy(proxy.url(None).as_str())).await;
    assert!(proxy.log().iter().any(|line| line.ends_with(&format!("connected to 127.0.0.1:{port}"))));

    let server = Server::start_at(localhost(), greet);
    let port = server.address().port();
    let there = M::feed(&format!("ws://localhost:{port}/feed"));
    reconnects::<M>(&proxy, 2, there.proxy(proxy.url(None).replace("socks5", "socks5h").as_str())).await;
    assert!(proxy.log().iter().any(|line| line.ends_with(&format!("connected to localhost:{port}"))));
}

/// The certificate would do for the address of the proxy.
async fn the_certificate_is_the_hosts_not_the_proxys<M: Mode>() {
    let proxy = peers::Proxy::http(None).unwrap();
    let secured = Secured::start(["127.0.0.1"]);
    let builder = M::feed(&secured.server.secure_url("localhost")).tls(secured.trusting());
    let mut feed = M::start(builder.proxy(proxy.url(None).as_str()));
    let reason = end(&mut feed).await.unwrap();
    let Some(Failure::Connect(ConnectFailure::Tls { problem: TlsProblem::WrongHost, .. })) = reason.failure()
    else {
        panic!("{reason}");
    };
    proxy.wait_for_tunnels(1);
}

/// The proxy is asked for that place, and the certificate is still that of the URL's host.
async fn another_place_stands_for_that_of_the_url<M: Mode>() {
    let proxy = peers::Proxy::http(None).unwrap();
    let secured = Secured::start(["feed.test"]);
    let place = ("localhost", secured.server.address().port());
    let connector = Connector::default()
        .proxy(Proxy::new(&proxy.url(None)).unwrap())
        .connect_to(("feed.test", 443), place)
        .tls(secured.trusting())
        .unwrap();
    reconnects::<M>(&proxy, 0, M::feed_with(connector, "wss://feed.test/feed")).await;
    assert_eq!(secured.server.headers("host"), vec![Some("feed.test".to_owned()); 2]);
}

/// How a feed with one retry ends: its reason, and after how many attempts. It shows no password anywhere.
async fn ending<M: Mode>(url: &str, proxy: &str, timeout: Duration) -> (StopReason, usize) {
    let notices = Notices::default();
    let retry = RetryPolicy::fixed(ms(5)).max_retries(1);
    let config = Config::builder().retry(retry).connect_timeout(timeout);
    let proxy = Proxy::new(proxy).unwrap();
    let connector = Connector::default().proxy(proxy.clone());
    let mut output = shown(&(&proxy, &connector)) + &proxy.to_string();
    let builder = M::feed_with(connector, url).config(config).on_notice(notices.watch());
    let mut feed = M::start(builder);
    let reason = end(&mut feed).await.unwrap();
    output += &shown(&(&feed, &reason, notices.all()));
    output += &reason.to_string();
    assert!(!output.contains(SECRET), "{output}");
    (reason, notices.times("connecting").len())
}

#[track_caller]
fn assert_ends(
    (reason, attempts): &(StopReason, usize),
    problem: ProxyProblem,
    (kind, expected): (&str, usize),
) {
    let Some(Failure::Connect(ConnectFailure::Proxy { problem: found, .. })) = reason.failure() else {
        panic!("{reason}")
    };
    assert_eq!((*found, reason.kind(), *attempts), (problem, kind, expected), "{reason}");
}

const FATAL: (&str, usize) = ("fatal", 1);
const RETRIED: (&str, usize) = ("retries_exhausted", 2);

/// R6.
async fn refuses_credentials<M: Mode>(proxy: peers::Proxy) {
    let server = Server::start(greet);
    for (credentials, words) in [(WRONG, "refuses these credentials"), (None, "requires credentials")] {
        let ended = ending::<M>(&server.url(), &proxy.url(credentials), WAIT).await;
        assert_ends(&ended, ProxyProblem::Credentials, FATAL);
        assert!(ended.0.to_string().contains(words), "{}", ended.0);
    }
    assert_eq!((server.accepted(), proxy.tunnels()), (0, 0));
}

async fn credentials_that_tinyproxy_refuses<M: Mode>() {
    refuses_credentials::<M>(peers::Proxy::http(RIGHT).unwrap()).await;
}

async fn credentials_that_microsocks_refuses<M: Mode>() {
    refuses_credentials::<M>(peers::Proxy::socks5(RIGHT).unwrap()).await;
}

/// The URLs of a proxy at this address, with credentials, in each protocol.
fn proxy_urls(address: &str) -> [String; 3] {
    ["http", "socks5", "socks5h"].map(|scheme| format!("{scheme}://reader:hunter2@{address}"))
}

async fn a_proxy_that_is_not_there<M: Mode>() {
    let server = Server::start(greet);
    // Nobody else can listen there while it is bound.
    let nobody = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    nobody.bind(&std::net::SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    let address = nobody.local_addr().unwrap().as_socket().unwrap().to_string();
    for url in proxy_urls(&address) {
        let ended = ending::<M>(&server.url(), &url, WAIT).await;
        assert_ends(&ended, ProxyProblem::Unreachable, RETRIED);
        assert!(ended.0.to_string().contains(&address), "{}", ended.0);
    }
    assert_eq!(server.accepted(), 0);
}

/// C3.
async fn a_proxy_that_never_answers<M: Mode>() {
    let proxy = Server::start(|_, peer| peer.listen());
    for (attempts, url) in (1..).zip(proxy_urls(&proxy.address().to_string())) {
        let (reason, tried) = ending::<M>("ws://127.0.0.1:9/feed", &url, ms(150)).await;
        assert_eq!(reason, StopReason::RetriesExhausted { last: Failure::Connect(ConnectFailure::Timeout) });
        assert_eq!((tried, proxy.accepted()), (2, 2 * attempts));
        within(proxy.saw(2 * attempts, Fact::Gone)).await;
    }
}

/// Answers every SOCKS5 request with this code (RFC 1928 §6), once it knows the user.
fn socks5_reply(peer: &mut Peer, code: u8) -> io::Result<()> {
    let count = peer.bytes(2)?[1];
    peer.bytes(count.into())?;
    peer.raw(&[5, 2])?;
    let user = peer.bytes(2)?[1];
    peer.bytes(user.into())?;
    let password = peer.bytes(1)?[0];
    peer.bytes(password.into())?;
    peer.raw(&[1, 0])?;
    // To an IPv4 address.
    assert_eq!(peer.bytes(10)?[..4], [5, 1, 0, 1]);
    peer.raw(&[5, code, 0, 1, 0, 0, 0, 0, 0, 0])?;
    peer.drain()
}

/// The failures of a feed when each proxy answers that it does not open the tunnel.
async fn refused<M: Mode>(status: &'static str, code: u8, problem: ProxyProblem, ends: (&str, usize)) {
    let http = Server::start(move |_, peer| peer.refuse(status, ""));
    let socks = Server::start(move |_, peer| socks5_reply(peer, code));
    let [http_url, ..] = proxy_urls(&http.address().to_string());
    let [_, socks5, socks5h] = proxy_urls(&socks.address().to_string());
    for url in [http_url, socks5, socks5h] {
        assert_ends(&ending::<M>("ws://127.0.0.1:9/feed", &url, WAIT).await, problem, ends);
    }
    assert_eq!((http.accepted(), socks.accepted()), (ends.1, 2 * ends.1));
}

/// R6.
async fn a_tunnel_that_the_proxy_does_not_open<M: Mode>() {
    refused::<M>("403 Forbidden", 2, ProxyProblem::Forbidden, FATAL).await;
    refused::<M>("502 Bad Gateway", 5, ProxyProblem::Failed, RETRIED).await;
}

/// R6.
async fn a_port_that_tinyproxy_forbids<M: Mode>() {
    let (allowed, forbidden) = (Server::start(greet), Server::start(greet));
    let proxy = peers::Proxy::http_only_to(allowed.address().port()).unwrap();
    reconnects::<M>(&proxy, 0, M::to(&allowed).proxy(proxy.url(None).as_str())).await;
    let ended = ending::<M>(&forbidden.url(), &proxy.url(None), WAIT).await;
    assert_ends(&ended, ProxyProblem::Forbidden, FATAL);
    assert_eq!(forbidden.accepted(), 0);
}

/// The last word counts.
async fn no_proxy_at_all<M: Mode>() {
    let server = Server::start(greet);
    let proxy = Server::start(|_, peer| peer.drain());
    let url = format!("http://{}", proxy.address());
    let mut feed = M::start(M::to(&server).config(quick()).proxy(url.as_str()).no_proxy());
    assert_eq!(take(&mut feed, 2).await, ["live 1", "hello"]);
    assert_eq!(proxy.accepted(), 0);
}

async fn connect<A: Adapter>(proxy: &Server, scheme: &str) -> Result<A::Transport, Failure> {
    let request = ConnectRequest::new("ws://feed.test/feed").unwrap();
    let proxy = Proxy::new(&format!("{scheme}://{}", proxy.address())).unwrap();
    within(A::connect_once(request, Connector::default().proxy(proxy), WAIT)).await
}

/// The answers to CONNECT and to the upgrade come byte by byte, with the first frame in the same stream.
async fn an_answer_that_drips<A: Adapter>() {
    let proxy = Server::start(|_, peer| {
        let request = peer.request()?;
        assert!(request.starts_with("CONNECT feed.test:80 HTTP/1.1\r\n"), "{request}");
        peer.drip(b"HTTP/1.1 200 Connection established\r\nVia: 1.1 proxy\r\n\r\n", ms(1))?;
        let answer = switching(&peer.request()?);
        peer.drip(&[answer.as_bytes(), &frame(1, b"hello")].concat(), ms(1))?;
        peer.serve()
    });
    let mut connection = connect::<A>(&proxy, "http").await.unwrap();
    assert_eq!(within(connection.next()).await, Some(Ok(Frame::from("hello"))));
}

/// A server may speak before it is asked: what it says must not get lost in the proxy's answer.
async fn what_comes_right_behind_the_answer<A: Adapter>() {
    let refusal = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n";
    let http = Server::start(move |_, peer| {
        peer.request()?;
        peer.raw(&[b"HTTP/1.1 200 OK\r\n\r\n", &refusal[..]].concat())?;
        peer.drain()
    });
    let socks = Server::start(move |_, peer| {
        peer.bytes(3)?;
        peer.raw(&[5, 0])?;
        // To a name.
        let len = peer.bytes(5)?[4];
        assert_eq!(peer.bytes(len.into())?, b"feed.test");
        peer.bytes(2)?;
        peer.raw(&[&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0], &refusal[..]].concat())?;
        peer.drain()
    });
    for (proxy, scheme) in [(http, "http"), (socks, "socks5h")] {
        let failure = connect::<A>(&proxy, scheme).await.unwrap_err();
        let expected = Failure::rejected(503, Some(Duration::from_secs(7)));
        assert_eq!(without_words(failure), expected, "{scheme}");
    }
}
