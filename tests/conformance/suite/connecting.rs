//! From the URL to an open connection, and how long that may take (C2-C5).

use std::net::Ipv6Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http::HeaderValue;
use http::header::AUTHORIZATION;
use tidegate::{Attempt, Config, ConnectFailure, ConnectRequest, Failure, RetryPolicy, StopReason};
use tidegate_tests::needs::IPV6;
use tidegate_tests::prelude::*;
use tidegate_tests::server::{Fact, Server, frame, switching};

cases! {
    both: [
        an_upgrade_that_is_never_answered,
        an_upgrade_that_drips,
        an_answer_split_from_its_first_frames,
        every_attempt_asks_the_resolver,
        a_resolver_that_hangs,
        a_resolver_that_moves_the_feed,
        a_server_that_closes_and_keeps_tcp_open,
        a_server_that_answers_close_and_keeps_tcp_open,
        ipv6 needs [IPV6],
    ],
}

/// C2, C3, R2, T2: each attempt costs `connect_timeout`, then the delay; its socket is gone.
async fn timed_out_attempts<M: Mode>(server: Server) {
    let notices = Notices::default();
    let config = Config::builder().connect_timeout(ms(150)).retry(RetryPolicy::fixed(ms(50)).max_retries(2));
    let mut feed = M::start(M::to(&server).config(config).on_notice(notices.watch()));
    assert_eq!(
        end(&mut feed).await,
        Some(StopReason::RetriesExhausted { last: Failure::Connect(ConnectFailure::Timeout) })
    );
    let expected = [
        "connecting 1",
        "failure 1: connect_timeout",
        "retry 1",
        "connecting 2",
        "failure 2: connect_timeout",
        "retry 2",
        "connecting 3",
        "failure 3: connect_timeout",
        "stopped: retries_exhausted",
    ];
    assert_eq!(notices.lines(), expected);
    assert_best(&spans(&notices.times("connecting")), ms(200), ms(100));
    for peer in 1..=3 {
        within(server.saw(peer, Fact::Gone)).await;
    }
    assert_eq!(server.accepted(), 3);
}

async fn an_upgrade_that_is_never_answered<M: Mode>() {
    timed_out_attempts::<M>(Server::start(|_, peer| {
        peer.request()?;
        peer.be_silent()
    }))
    .await;
}

/// C3: it is one deadline over all of it, not one for each byte.
async fn an_upgrade_that_drips<M: Mode>() {
    timed_out_attempts::<M>(Server::start(|_, peer| {
        let request = peer.request()?;
        peer.note("dripping");
        // The client goes in the middle of it.
        let _ = peer.drip(switching(&request).as_bytes(), ms(20));
        peer.be_silent()
    }))
    .await;
}

/// The server's first frames may come with its answer, or the answer in pieces.
async fn an_answer_split_from_its_first_frames<M: Mode>() {
    let server = Server::start(|number, peer| {
        let answer = switching(&peer.request()?);
        let bytes = [answer.as_bytes(), &frame(1, b"first"), &frame(1, b"second")].concat();
        match number {
            1 => peer.raw(&bytes)?,
            2 => peer.drip(&bytes, ms(1))?,
            _ => bytes.chunks(answer.len() + 3).try_for_each(|chunk| peer.raw(chunk))?,
        }
        peer.fin()
    });
    let mut feed = M::start(M::to(&server).config(quick()));
    for id in 1..=3 {
        let expected =
            [format!("live {id}"), "first".into(), "second".into(), format!("interrupted {id}: io")];
        assert_eq!(take(&mut feed, 4).await, expected);
    }
}

/// C4: URL and headers are asked for anew; a resolver that fails has failed that attempt only, and nothing is dialled.
async fn every_attempt_asks_the_resolver<M: Mode>() {
    let server = Server::start(|_, peer| {
        peer.upgrade()?;
        peer.text("hello")?;
        peer.fin()
    });
    let notices = Notices::default();
    let asked = Arc::new(AtomicU32::new(0));
    let resolver = {
        let asked = Arc::clone(&asked);
        move |attempt: Attempt| {
            let number = asked.fetch_add(1, Ordering::Relaxed) + 1;
            assert_eq!(attempt.id.get(), u64::from(number));
            async move {
                if number == 3 {
                    return Err("the vault is sealed");
                }
                let token = HeaderValue::try_from(format!("token-{number}")).unwrap();
                Ok(attempt.request.with_header(AUTHORIZATION, token))
            }
        }
    };
    let mut feed = M::start(M::to(&server).config(quick()).resolver(resolver).on_notice(notices.watch()));
    let mut seen = Vec::new();
    for id in [1, 2, 4] {
        seen.extend(take_to(&mut feed, &format!("interrupted {id}: io")).await);
    }
    let expected = [
        ["live 1", "hello", "interrupted 1: io"],
        ["live 2", "hello", "interrupted 2: io"],
        ["live 4", "hello", "interrupted 4: io"],
    ];
    assert_eq!(seen, expected.concat());
    let tokens: Vec<_> = server.headers("authorization").into_iter().flatten().take(3).collect();
    assert_eq!(tokens, ["token-1", "token-2", "token-4"]);
    assert_eq!(notices.times("failure 3: resolve").len(), 1);
}

/// C3, C4: the deadline is over the resolver, too.
async fn a_resolver_that_hangs<M: Mode>() {
    let server = Server::start(|_, peer| {
        peer.upgrade()?;
        peer.serve()
    });
    let notices = Notices::default();
    let resolver = |attempt: Attempt| async move {
        if attempt.id.get() == 1 {
            std::future::pending::<()>().await;
        }
        Ok::<_, Failure>(attempt.request)
    };
    let config = quick().connect_timeout(ms(100));
    let mut feed = M::start(M::to(&server).config(config).resolver(resolver).on_notice(notices.watch()));
    next(&mut feed).await;
    let times = notices.times("");
    assert_eq!(notices.lines()[..2], ["connecting 1", "failure 1: connect_timeout"]);
    assert!(times[1].saturating_since(times[0]) >= ms(100));
}

/// C4: it may name another host.
async fn a_resolver_that_moves_the_feed<M: Mode>() {
    let server = |greeting: &'static str| {
        Server::start(move |_, peer| {
            peer.upgrade()?;
            peer.text(greeting)?;
            peer.fin()
        })
    };
    let (here, there) = (server("here"), server("there"));
    let elsewhere = there.url();
    let resolver = move |attempt: Attempt| {
        let request =
            if attempt.id.get() == 1 { Ok(attempt.request) } else { ConnectRequest::new(elsewhere.as_str()) };
        std::future::ready(request)
    };
    let mut feed = M::start(M::to(&here).config(quick()).resolver(resolver));
    assert_eq!(take(&mut feed, 5).await, ["live 1", "here", "interrupted 1: io", "live 2", "there"]);
}

/// C5: the server's Close is answered, and then its socket is given `close_timeout` at most.
async fn a_server_that_closes_and_keeps_tcp_open<M: Mode>() {
    let server = Server::start(|_, peer| {
        peer.upgrade()?;
        peer.text("bye")?;
        peer.close(1001)?;
        peer.be_silent()
    });
    let notices = Notices::default();
    let config = quick().close_timeout(ms(150));
    let mut feed = M::start(M::to(&server).config(config).on_notice(notices.watch()));
    take_to(&mut feed, "live 4").await;
    assert_eq!(server.saw_close(1).await, Some(1001));
    let closing = closing_spans(&notices);
    assert_best(&closing, Duration::ZERO, ms(150 + 100));
    within(server.saw(3, Fact::Gone)).await;
}

/// From the end of each connection to the retry that follows it.
fn closing_spans(notices: &Notices) -> Vec<Duration> {
    let (ended, retried) = (notices.times("disconnected"), notices.times("retry"));
    ended.iter().zip(&retried).map(|(ended, retried)| retried.saturating_since(*ended)).collect()
}

/// C5, S1.
async fn a_server_that_answers_close_and_keeps_tcp_open<M: Mode>() {
    let server = Server::start(|_, peer| {
        peer.upgrade()?;
        peer.read_to_close()?;
        peer.close(1000)?;
        peer.be_silent()
    });
    let notices = Notices::default();
    let config = quick().close_timeout(ms(150));
    let mut feed = M::start(M::to(&server).config(config).on_notice(notices.watch()));
    next(&mut feed).await;
    feed.handle().shutdown();
    assert_eq!(end(&mut feed).await, None);
    let closed = within(server.saw_close(1)).await;
    assert_eq!(closed, Some(1000));
    within(server.saw(1, Fact::Gone)).await;
}

async fn ipv6<M: Mode>() {
    let server = Server::start_at(Ipv6Addr::LOCALHOST.into(), |_, peer| {
        peer.upgrade()?;
        peer.text("x")?;
        peer.serve()
    });
    assert!(server.url().starts_with("ws://[::1]:"), "{}", server.url());
    let mut feed = M::start(M::to(&server).config(quick()));
    assert_eq!(take(&mut feed, 2).await, ["live 1", "x"]);
    let host = server.headers("host")[0].clone();
    assert_eq!(host.map(|host| format!("ws://{host}/feed")), Some(server.url()));
}
