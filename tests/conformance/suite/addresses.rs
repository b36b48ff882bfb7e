//! From a host to one of its addresses: which is tried when, and what is told of those that fail (RFC 8305).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use http::HeaderValue;
use http::header::AUTHORIZATION;
use socket2::{Domain, Socket, Type};
use tidegate::{
    Attempt, Config, ConfigBuilder, ConnectFailure, ConnectRequest, Failure, RetryPolicy, StopReason,
};
use tidegate_tests::Connector;
use tidegate_tests::needs::{IPV6, LOOPBACK_NET};
use tidegate_tests::once::request;
use tidegate_tests::prelude::*;
use tidegate_tests::server::{Fact, Peer, Server};

cases! {
    both: [
        a_dead_address_has_a_head_start_only needs [LOOPBACK_NET],
        only_dead_addresses needs [LOOPBACK_NET],
        the_local_address_is_the_one_asked_for needs [LOOPBACK_NET],
        each_attempt_looks_its_host_up needs [LOOPBACK_NET],
        a_name_without_addresses,
        a_name_that_cannot_be_looked_up,
    ],
    single: [
        a_refusal_starts_the_next_at_once needs [LOOPBACK_NET],
        every_refusal_is_told needs [LOOPBACK_NET],
        families_take_turns needs [IPV6, LOOPBACK_NET],
        only_addresses_of_the_family_that_is_bound_to needs [IPV6, LOOPBACK_NET],
        an_ipv6_address_in_the_url needs [IPV6],
        another_place_stands_for_that_of_the_url,
    ],
}

/// What an address is given before the next is tried beside it.
const HEAD_START: Duration = ms(250);

const FIRST: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const SECOND: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3));
const THIRD: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 4));
const SIXTH: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// Sockets bound to these addresses, all with one port: a URL has no more. Connections to them are refused.
fn bound<const N: usize>(addresses: [IpAddr; N]) -> [Socket; N] {
    let bind = |address: IpAddr, port| {
        let address = SocketAddr::new(address, port);
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.bind(&address.into())?;
        io::Result::Ok(socket)
    };
    // A port that is free at the first may be taken at another.
    for _ in 0..100 {
        let first = bind(addresses[0], 0).unwrap();
        let port = port(&first);
        let rest = addresses[1..].iter().map(|address| bind(*address, port));
        let all: io::Result<Vec<_>> = [Ok(first)].into_iter().chain(rest).collect();
        match all {
            Ok(all) => return all.try_into().unwrap(),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("no port is free at each of {addresses:?}");
}

fn port(socket: &Socket) -> u16 {
    socket.local_addr().unwrap().as_socket().unwrap().port()
}

/// A server in place of a refusal.
fn serve(socket: Socket) -> Server {
    socket.listen(64).unwrap();
    Server::listening_on(socket.into(), greet)
}

/// Says where the client is.
fn greet(_: usize, peer: &mut Peer) -> io::Result<()> {
    peer.upgrade()?;
    peer.text(&peer.client()?.ip().to_string())?;
    peer.serve()
}

/// Answers nothing at all, as an address to which packets get lost: its queue of connections is full.
struct BlackHole {
    _listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl BlackHole {
    fn new(socket: Socket) -> Self {
        socket.listen(0).unwrap();
        let listener = TcpListener::from(socket);
        let address = listener.local_addr().unwrap();
        let (mut queue, mut lost) = (Vec::new(), 0);
        // A connection that there is room for is made at once; twice, in case that all here is slow.
        while lost < 2 {
            match TcpStream::connect_timeout(&address, ms(100)) {
                Ok(stream) => queue.push(stream),
                Err(_) => lost += 1,
            }
        }
        Self { _listener: listener, _queue: queue }
    }
}

/// `feed.test` has these addresses.
fn resolving<const N: usize>(addresses: [IpAddr; N]) -> Connector {
    Connector::default().resolve("feed.test", addresses)
}

fn url(port: u16) -> String {
    format!("ws://feed.test:{port}/feed")
}

async fn connect<A: Adapter>(port: u16, connector: Connector) -> Result<A::Transport, Failure> {
    let request = ConnectRequest::new(url(port)).unwrap();
    within(A::connect_once(request, connector, WAIT)).await
}

/// With one retry.
fn twice() -> ConfigBuilder {
    Config::builder().retry(RetryPolicy::fixed(ms(5)).max_retries(1))
}

async fn a_dead_address_has_a_head_start_only<M: Mode>() {
    let [dead, alive] = bound([FIRST, SECOND]);
    let port = port(&alive);
    let (_dead, alive) = (BlackHole::new(dead), serve(alive));
    let before = Instant::now();
    let builder = M::feed_with(resolving([FIRST, SECOND]), &url(port)).config(twice());
    let mut feed = M::start(builder);
    assert_eq!(take(&mut feed, 2).await, ["live 1", "127.0.0.1"]);
    let reached = alive.entries()[0].at - before;
    assert!(reached >= HEAD_START && reached < WAIT / 2, "{reached:?}");
    assert_eq!(alive.accepted(), 1);
}

/// C3: one deadline over all of them, past the last one's head start.
async fn only_dead_addresses<M: Mode>() {
    const TIMEOUT: Duration = ms(600);
    let sockets = bound([FIRST, SECOND]);
    let port = port(&sockets[0]);
    let _dead = sockets.map(BlackHole::new);
    let notices = Notices::default();
    let config = Config::builder().connect_timeout(TIMEOUT).retry(RetryPolicy::fixed(ms(5)).max_retries(2));
    let builder = M::feed_with(resolving([FIRST, SECOND]), &url(port)).config(config);
    let mut feed = M::start(builder.on_notice(notices.watch()));
    assert_eq!(
        end(&mut feed).await,
        Some(StopReason::RetriesExhausted { last: Failure::Connect(ConnectFailure::Timeout) })
    );
    let (begun, failed) = (notices.times("connecting"), notices.times("failure"));
    let took = begun.iter().zip(&failed).map(|(begun, failed)| failed.saturating_since(*begun));
    assert_best(&took.collect::<Vec<_>>(), TIMEOUT, ms(100));
}

/// All on one machine, so only one side can tell.
async fn the_local_address_is_the_one_asked_for<M: Mode>() {
    let server = Server::start(greet);
    for local in [FIRST, SECOND] {
        let connector = Connector::default().bind_address(local);
        let mut feed = M::start(M::feed_with(connector, &server.url()).config(twice()));
        assert_eq!(take(&mut feed, 2).await, ["live 1".to_owned(), local.to_string()]);
    }
}

/// C4: host and headers may be others on each attempt, and the addresses with the host.
async fn each_attempt_looks_its_host_up<M: Mode>() {
    let [first, second] = bound([FIRST, SECOND]);
    let port = port(&first);
    let refuse = |socket: Socket| {
        socket.listen(64).unwrap();
        Server::listening_on(socket.into(), |_, peer| peer.refuse("503 Service Unavailable", ""))
    };
    let (first, second) = (refuse(first), refuse(second));
    let connector = Connector::default().resolve("one.test", [FIRST]).resolve("two.test", [SECOND]);
    let resolver = move |attempt: Attempt| {
        let host = if attempt.id.get() == 1 { "one" } else { "two" };
        let request = ConnectRequest::new(format!("ws://{host}.test:{port}/feed")).map_err(Into::into);
        let token = HeaderValue::from_static(host);
        std::future::ready(request.map(|request| request.with_header(AUTHORIZATION, token)))
    };
    let mut feed = M::start(M::feed_with(connector, &url(port)).config(twice()).resolver(resolver));
    let last = Failure::rejected(503, None);
    assert_eq!(end(&mut feed).await.map(stop_without_words), Some(StopReason::RetriesExhausted { last }));
    for (server, host) in [(first, "one"), (second, "two")] {
        assert_eq!(server.headers("host"), [Some(format!("{host}.test:{port}"))]);
        assert_eq!(server.headers("authorization"), [Some(host.to_owned())]);
    }
}

/// The failure of each of two attempts.
async fn lookup_failure<M: Mode>(url: &str, connector: Connector) -> String {
    let notices = Notices::default();
    let builder = M::feed_with(connector, url).config(twice()).on_notice(notices.watch());
    let mut feed = M::start(builder);
    let reason = end(&mut feed).await.unwrap();
    let expected = [
        "connecting 1",
        "failure 1: lookup",
        "retry 1",
        "connecting 2",
        "failure 2: lookup",
        "stopped: retries_exhausted",
    ];
    assert_eq!(notices.lines(), expected);
    reason.to_string()
}

async fn a_name_without_addresses<M: Mode>() {
    let text = lookup_failure::<M>("ws://feed.test/feed", resolving([])).await;
    assert!(text.contains("the name has no addresses"), "{text}");
}

/// No label of a name is longer than 63 bytes, so no server need be asked (RFC 1035 §2.3.4).
async fn a_name_that_cannot_be_looked_up<M: Mode>() {
    let url = format!("ws://{}.test/feed?token=hunter2", "x".repeat(64));
    let text = lookup_failure::<M>(&url, Connector::default()).await;
    assert!(text.contains("the host's name could not be looked up") && !text.contains("hunter2"), "{text}");
}

/// Time can always pass, so that the best of several counts.
async fn a_refusal_starts_the_next_at_once<A: Adapter>() {
    let [_first, _second, alive] = bound([FIRST, SECOND, THIRD]);
    let port = port(&alive);
    let alive = serve(alive);
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let before = Instant::now();
        drop(connect::<A>(port, resolving([FIRST, SECOND, THIRD])).await.unwrap());
        best = best.min(before.elapsed());
    }
    assert!(best < HEAD_START, "{best:?}");
    assert_eq!(alive.accepted(), 5);
}

async fn every_refusal_is_told<A: Adapter>() {
    let refusing = bound([FIRST, SECOND, THIRD]);
    let port = port(&refusing[0]);
    let failure = connect::<A>(port, resolving([SECOND, FIRST, THIRD])).await.err().unwrap();
    assert_eq!(addresses_in(&failure), [SECOND, FIRST, THIRD].map(|ip| SocketAddr::new(ip, port)));
}

/// Of a failure to connect: the addresses that refused, in that order.
fn addresses_in(failure: &Failure) -> Vec<SocketAddr> {
    let Failure::Connect(ConnectFailure::Tcp { detail }) = failure else { panic!("{failure}") };
    let parts = detail.split("; ").map(|part| {
        assert!(part.contains("refused"), "{part}");
        part.split_once(": ").unwrap().0.parse().unwrap()
    });
    parts.collect()
}

/// RFC 8305 §4: beginning with that of the first address.
async fn families_take_turns<A: Adapter>() {
    let [first, second, sixth] = bound([FIRST, SECOND, SIXTH]);
    let port = port(&first);
    let failure = connect::<A>(port, resolving([FIRST, SECOND, SIXTH])).await.err().unwrap();
    assert_eq!(addresses_in(&failure), [FIRST, SIXTH, SECOND].map(|ip| SocketAddr::new(ip, port)));
    let failure = connect::<A>(port, resolving([SIXTH, FIRST, SECOND])).await.err().unwrap();
    assert_eq!(addresses_in(&failure), [SIXTH, FIRST, SECOND].map(|ip| SocketAddr::new(ip, port)));

    // The first still refuses: that of the other family is next, and then nobody else is asked.
    let (second, sixth) = (serve(second), serve(sixth));
    drop(connect::<A>(port, resolving([FIRST, SECOND, SIXTH])).await.unwrap());
    within(sixth.until(|entries| entries.iter().find(|entry| entry.fact == Fact::Accepted).cloned())).await;
    assert_eq!((second.accepted(), sixth.accepted()), (0, 1));
}

async fn only_addresses_of_the_family_that_is_bound_to<A: Adapter>() {
    let [alive, other] = bound([FIRST, SIXTH]);
    let port = port(&alive);
    let (alive, other) = (serve(alive), serve(other));
    let bound_to = |local| resolving([SIXTH, FIRST]).bind_address(local);
    drop(connect::<A>(port, bound_to(SECOND)).await.unwrap());
    assert_eq!((alive.accepted(), other.accepted()), (1, 0));
    let connector = resolving([FIRST]).bind_address(SIXTH);
    let failure = connect::<A>(port, connector).await.err().unwrap();
    assert_eq!(failure.kind(), "tcp");
    assert!(failure.to_string().contains("no address of the family"), "{failure}");
    assert_eq!((alive.accepted(), other.accepted()), (1, 0));
}

/// In brackets there, in `Host` too, and no name to look up.
async fn an_ipv6_address_in_the_url<A: Adapter>() {
    let server = Server::start_at(SIXTH, greet);
    let request = ConnectRequest::new(server.url()).unwrap();
    assert_eq!(request.host(), "::1");
    let connector = Connector::default().bind_address(SIXTH);
    drop(within(A::connect_once(request, connector, WAIT)).await.unwrap());
    assert_eq!(server.headers("host"), [Some(format!("[::1]:{}", server.address().port()))]);
}

/// The request is still about the URL's host, and no other host or port is meant.
async fn another_place_stands_for_that_of_the_url<A: Adapter>() {
    let [there, here] = [(), ()].map(|()| {
        Server::start(|_, peer| {
            peer.upgrade()?;
            peer.listen()
        })
    });
    let connector = Connector::default()
        .no_proxy()
        .connect_to(("Feed.test", 9), ("there.test", there.port()))
        .connect_to(("127.0.0.1", 9), ("there.test", there.port()))
        .resolve("there.test", [Ipv4Addr::LOCALHOST.into()]);
    let asked = ConnectRequest::new("ws://feed.test:9/feed").unwrap();
    drop(request::<A>(asked, connector.clone()).await.unwrap());
    drop(request::<A>(ConnectRequest::new(here.url()).unwrap(), connector).await.unwrap());
    assert_eq!(there.headers("host"), [Some("feed.test:9".to_owned())]);
    assert_eq!(here.headers("host"), [Some(format!("127.0.0.1:{}", here.port()))]);
}
