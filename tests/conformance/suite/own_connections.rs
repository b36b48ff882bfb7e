//! Connections that the application opens: of tungstenite's messages, and of bytes.

use std::io;
use std::sync::{Arc, Mutex};

use async_tungstenite::client_async;
use tidegate::{CloseFrame, ConnectFailure, ConnectionFailure, Failure, FeedBuilder, Notice, StopReason};
use tidegate_tests::pki::Authority;
use tidegate_tests::prelude::*;
use tidegate_tests::server::{BINARY, CLOSE, PING, PONG, Server, frame};

use super::closing::interruption;
use super::tls::{good, trusting};

cases! {
    both: [
        tungstenite_reconnects,
        tungstenite_answers_pings,
        tungstenite_tells_code_and_reason_of_a_close,
        tungstenite_closes_a_peer_that_breaks_the_protocol,
        tungstenite_tells_of_a_refusal,
        tungstenite_need_not_connect,
        streams_are_opened_for_each_request,
        tls_follows_the_url,
    ],
}

/// A feed over WebSockets of async-tungstenite. The first `failing` attempts fail.
fn over_tungstenite<M: Mode>(
    builder: FeedBuilder<Rt<M>>,
    server: &Server,
    mut failing: u32,
) -> FeedBuilder<impl Runnable + use<M>> {
    let address = server.address();
    builder.config(quick()).over_tungstenite(move |request| {
        let fails = failing > 0;
        failing = failing.saturating_sub(1);
        async move {
            if fails {
                return Err(io::Error::other("no tunnel").into());
            }
            let stream = M::Adapter::tcp(address).await?;
            Ok(client_async(request, stream).await?.0)
        }
    })
}

/// Why attempts failed so far.
fn failures(notices: &Notices) -> Vec<Failure> {
    let failure = |seen: Seen| {
        let Notice::Failure { failure, .. } = seen.notice else { return None };
        Some(failure)
    };
    notices.all().into_iter().filter_map(failure).collect()
}

/// B1, C2: as any other, with the headers of the builder.
async fn tungstenite_reconnects<M: Mode>() {
    let server = Server::start(|number, peer| {
        peer.upgrade()?;
        peer.read()?;
        peer.text("text")?;
        peer.raw(&frame(BINARY, b"123"))?;
        if number == 1 { peer.fin() } else { peer.serve() }
    });
    let builder = over_tungstenite::<M>(M::to(&server), &server, 0);
    let builder = builder.host("feed.test").header("X-Key", "k").on_upgrade(|_| Ok(["subscribe"]));
    let mut feed = M::start(builder);
    let lines = ["live 1", "text", "3 bytes", "interrupted 1: io", "live 2", "text", "3 bytes"];
    assert_eq!(take(&mut feed, 7).await, lines);
    assert_eq!([1, 2].map(|number| server.texts(number)), [["subscribe"], ["subscribe"]]);
    for (name, value) in [("Host", "feed.test"), ("X-Key", "k")] {
        assert_eq!(server.headers(name), vec![Some(value.to_owned()); 2]);
    }
    feed.handle().shutdown();
    assert_eq!(end(&mut feed).await, None);
    assert_eq!(within(server.saw_close(2)).await, Some(1000));
}

/// O2: each of them, though nothing is sent.
async fn tungstenite_answers_pings<M: Mode>() {
    let server = Server::start(|_, peer| {
        peer.upgrade()?;
        peer.raw(&[frame(PING, b"a"), frame(PING, b"b")].concat())?;
        peer.read_frames(2)?;
        peer.text("answered")?;
        peer.serve()
    });
    let mut feed = M::start(over_tungstenite::<M>(M::to(&server), &server, 0));
    assert_eq!(take(&mut feed, 2).await, ["live 1", "answered"]);
    assert_eq!(server.frames(1), [(PONG, b"a".to_vec()), (PONG, b"b".to_vec())]);
}

async fn tungstenite_tells_code_and_reason_of_a_close<M: Mode>() {
    let server = Server::start(|_, peer| {
        peer.upgrade()?;
        peer.text("x")?;
        peer.raw(&frame(CLOSE, b"\x0f\xa0maintenance"))?;
        peer.read_to_close()?;
        peer.fin()
    });
    let mut feed = M::start(over_tungstenite::<M>(M::to(&server), &server, 0));
    let close = CloseFrame { code: 4000, reason: "maintenance".to_owned() };
    let (before, failure) = interruption(&mut feed).await;
    assert_eq!(before, ["live 1", "x"]);
    assert_eq!(failure, Some(Failure::Connection(ConnectionFailure::Closed(Some(close)))));
    assert_eq!(within(server.saw_close(1)).await, Some(4000));
    assert_eq!(next(&mut feed).await, "live 2");
}

/// C6.
async fn tungstenite_closes_a_peer_that_breaks_the_protocol<M: Mode>() {
    const RESERVED: u8 = 3;
    let server = Server::start(|_, peer| {
        peer.upgrade()?;
        peer.raw(&frame(RESERVED, b""))?;
        peer.read_to_close()?;
        peer.be_silent()
    });
    let mut feed = M::start(over_tungstenite::<M>(M::to(&server), &server, 0));
    assert_eq!(take(&mut feed, 2).await, ["live 1", "interrupted 1: protocol"]);
    assert_eq!(within(server.saw_close(1)).await, Some(1002));
}

/// R6, T3.
async fn tungstenite_tells_of_a_refusal<M: Mode>() {
    let server = Server::start(|_, peer| {
        peer.request()?;
        peer.raw(
            b"HTTP/1.1 401 Unauthorized\r\nX-Cause: key\r\nContent-Length: 21\r\n\r\nno such key: hunter22",
        )?;
        peer.fin()
    });
    let builder = M::to(&server).header("X-Key", "hunter22");
    let mut feed = M::start(over_tungstenite::<M>(builder, &server, 0));
    let reason = end(&mut feed).await;
    let Some(StopReason::Fatal {
        failure: Failure::Connect(ConnectFailure::Rejected { status: 401, refusal, .. }),
    }) = reason
    else {
        panic!("{reason:?}");
    };
    assert_eq!(refusal.body().as_raw(), "no such key: ***");
    assert_eq!(refusal.headers().get("x-cause"), Some(b"key".as_slice()));
}

/// R1.
async fn tungstenite_need_not_connect<M: Mode>() {
    let server = Server::start(|_, peer| {
        peer.upgrade()?;
        peer.serve()
    });
    let notices = Notices::default();
    let builder = over_tungstenite::<M>(M::to(&server), &server, 1);
    let mut feed = M::start(builder.on_notice(notices.watch()));
    assert_eq!(next(&mut feed).await, "live 2");
    assert_eq!(
        failures(&notices),
        [Failure::Connect(ConnectFailure::Custom { detail: "no tunnel".to_owned() })]
    );
}

/// C4, R1, T3: with the request that it is for.
async fn streams_are_opened_for_each_request<M: Mode>() {
    let server = Server::start(|number, peer| {
        if number == 1 {
            return peer.refuse("302 Found", "Location: /next\r\n");
        }
        peer.upgrade()?;
        peer.text("there")?;
        peer.serve()
    });
    let paths = Arc::new(Mutex::new(Vec::new()));
    let (address, opened) = (server.address(), Arc::clone(&paths));
    let notices = Notices::default();
    let builder = M::to(&server).config(quick()).header("x-key", "hunter2").on_notice(notices.watch());
    let builder = builder.over(move |request| {
        let mut paths = opened.lock().unwrap();
        paths.push(request.uri().path().to_owned());
        let fails = paths.len() == 1;
        async move {
            if fails {
                Err(io::Error::other("no tunnel for hunter2"))
            } else {
                M::Adapter::tcp(address).await
            }
        }
    });
    let mut feed = M::start(builder);
    assert_eq!(take(&mut feed, 2).await, ["live 2", "there"]);
    assert_eq!(*paths.lock().unwrap(), ["/feed", "/feed", "/next"]);
    assert_eq!(
        failures(&notices),
        [Failure::Connect(ConnectFailure::Custom { detail: "no tunnel for ***".to_owned() })]
    );
}

/// `wss` is TLS over the stream, with the options of the feed and for the host of the URL.
async fn tls_follows_the_url<M: Mode>() {
    let authority = Authority::new();
    let server = good(&authority);
    let address = server.address();
    let feed = |host| {
        let open = move |_| M::Adapter::tcp(address);
        M::start(M::feed(&server.secure_url(host)).over(open).tls(trusting(&authority)))
    };
    assert_eq!(take(&mut feed("localhost"), 2).await, ["live 1", "http/1.1"]);
    let reason = end(&mut feed("other.test")).await.unwrap();
    assert_eq!(reason.failure().map(Failure::kind), Some("tls_wrong_host"));
}
