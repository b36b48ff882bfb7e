//! What networks do to a connection, through a proxy that does it: within a connection nothing is lost, doubled or out of
//! order, every gap is told of, and the feed comes back (C3, C5, D2, L1-L3, R1-R3).

mod audit;
mod mixed;

use std::time::{Duration, Instant};

use audit::{bytes_before, follow, numbered};
use futures_util::future::join_all;
use tidegate::{Config, ConfigBuilder, Jitter, RetryPolicy};
use tidegate_tests::fault_proxy::{Direction, End, FaultProxy, Toxic};
use tidegate_tests::prelude::*;
use tidegate_tests::server::Server;

cases! {
    both: [
        late_and_at_odd_times,
        a_narrow_link,
        one_byte_at_a_time,
        an_end_that_comes_late,
        a_link_that_swallows_everything,
        a_short_stall_loses_nothing,
        a_long_stall_is_noticed,
        an_end_within_a_frame,
        a_reset_within_a_frame,
        an_upgrade_that_breaks_off,
        refused_for_a_while,
        lost_on_the_way_to_the_server,
        lost_on_the_way_to_us,
        all_connections_are_cut_at_once,
        one_fault_after_another,
    ],
}

/// Far longer than a busy machine keeps a timer waiting.
const LATE: Duration = ms(2_000);

/// A connection that hangs in the making costs little.
fn impatient() -> ConfigBuilder {
    quick().connect_timeout(ms(400))
}

/// Delays that differ change neither order nor number.
async fn late_and_at_odd_times<M: Mode>() {
    let (server, notices) = (numbered(), Notices::default());
    let proxy = FaultProxy::start(server.address());
    for direction in [Direction::Upstream, Direction::Downstream] {
        proxy.set(direction, Toxic::Latency { delay: ms(30), jitter: ms(30) });
    }
    let config = quick().ping_interval(ms(50)).pong_timeout(WAIT);
    let mut feed = follow::<M>(&proxy, "a", config, &notices);
    feed.items(60).await;
    for direction in [Direction::Upstream, Direction::Downstream] {
        proxy.set(direction, Toxic::Latency { delay: ms(100), jitter: ms(0) });
    }
    let pongs = notices.times("pong").len();
    // The first of them may have been on its way before.
    feed.during(notices.until("pong", pongs + 3)).await;
    assert!(feed.handle().stats().round_trip.unwrap() >= ms(200));
    assert_eq!(server.accepted(), 1);
}

/// L1: slow is not silent.
async fn a_narrow_link<M: Mode>() {
    let (server, notices) = (numbered(), Notices::default());
    let proxy = FaultProxy::start(server.address());
    // Less than the server sends.
    proxy.set(Direction::Downstream, Toxic::Bandwidth { bytes_per_second: 5_000 });
    let mut feed = follow::<M>(&proxy, "a", quick().idle_timeout(ms(1000)), &notices);
    let before = Instant::now();
    feed.items(100).await;
    assert!(before.elapsed() >= ms(1100), "{:?}", before.elapsed());
    assert_eq!(server.accepted(), 1);
}

/// The upgrade, items, pings and pongs.
async fn one_byte_at_a_time<M: Mode>() {
    let (server, notices) = (numbered(), Notices::default());
    let proxy = FaultProxy::start(server.address());
    for direction in [Direction::Upstream, Direction::Downstream] {
        proxy.set(direction, Toxic::Slicer { size: 1, delay: ms(0) });
    }
    let config = quick().ping_interval(ms(20)).pong_timeout(WAIT);
    let mut feed = follow::<M>(&proxy, "a", config, &notices);
    feed.items(20).await;
    feed.during(notices.until("pong", 2)).await;
    assert_eq!(server.accepted(), 1);
}

/// C5, S1: the end of the stream comes long after the last of the data.
async fn an_end_that_comes_late<M: Mode>() {
    let server = Server::start(|number, peer| {
        peer.upgrade()?;
        peer.text("one")?;
        peer.text("two")?;
        if number == 1 { peer.fin() } else { peer.serve() }
    });
    let (proxy, notices) = (FaultProxy::start(server.address()), Notices::default());
    proxy.set(Direction::Downstream, Toxic::SlowClose { delay: ms(300) });
    let builder = M::feed(&proxy.url("/feed")).config(quick().close_timeout(ms(200)));
    let mut feed = M::start(builder.on_notice(notices.watch()));
    let expected = ["live 1", "one", "two", "interrupted 1: io", "live 2", "one", "two"];
    assert_eq!(take(&mut feed, 7).await, expected);
    let open = notices.times("disconnected")[0].saturating_since(notices.times("success")[0]);
    assert!(open >= ms(250), "{open:?}");
    // The server answers Close at once, and TCP's end takes for ever.
    proxy.set(Direction::Downstream, Toxic::SlowClose { delay: 2 * WAIT });
    let before = Instant::now();
    feed.handle().shutdown();
    assert_eq!(end(&mut feed).await, None);
    assert!(before.elapsed() < ms(200) + LATE, "{:?}", before.elapsed());
    assert_eq!(server.saw_close(2).await, Some(1000));
}

/// L1, C3: neither data nor an end. Attempts through it fail too, until it lets something through.
async fn a_link_that_swallows_everything<M: Mode>() {
    let (server, notices) = (numbered(), Notices::default());
    let proxy = FaultProxy::start(server.address());
    let mut feed = follow::<M>(&proxy, "a", impatient().idle_timeout(ms(500)), &notices);
    feed.items(20).await;
    let before = Instant::now();
    proxy.half_open();
    assert_eq!(feed.interruption().await.1, "idle_timeout");
    // Up to one item may have come before.
    assert!(before.elapsed() >= ms(400), "{:?}", before.elapsed());
    feed.during(notices.until("failure", 2)).await;
    let failures = notices.lines().into_iter().filter(|line| line.starts_with("failure"));
    assert!(
        failures.clone().all(|line| line.ends_with(": connect_timeout")),
        "{:?}",
        failures.collect::<Vec<_>>()
    );
    assert_eq!(feed.connections(), 1);
    proxy.clear();
    feed.recover(20).await;
}

/// L1: shorter than the timeout, it is nothing.
async fn a_short_stall_loses_nothing<M: Mode>() {
    let (server, notices) = (numbered(), Notices::default());
    let proxy = FaultProxy::start(server.address());
    let config = quick().idle_timeout(WAIT / 2).ping_interval(ms(50)).pong_timeout(WAIT / 2);
    let mut feed = follow::<M>(&proxy, "a", config, &notices);
    for _ in 0..3 {
        feed.items(20).await;
        proxy.set(Direction::Upstream, Toxic::Stall);
        proxy.set(Direction::Downstream, Toxic::Stall);
        feed.during(sleep(ms(200))).await;
        proxy.clear();
    }
    // More than were on their way.
    feed.items(200).await;
    assert_eq!(server.accepted(), 1);
}

/// L3: longer than the timeout, it is an end. What was held up of the old connection never comes.
async fn a_long_stall_is_noticed<M: Mode>() {
    let (server, notices) = (numbered(), Notices::default());
    let proxy = FaultProxy::start(server.address());
    let config = impatient().ping_interval(ms(50)).pong_timeout(ms(500));
    let mut feed = follow::<M>(&proxy, "a", config, &notices);
    feed.items(20).await;
    proxy.set(Direction::Downstream, Toxic::Stall);
    assert_eq!(feed.interruption().await.1, "pong_timeout");
    proxy.clear();
    feed.recover(20).await;
}

/// D2: whole items before it are delivered, a part of one is not.
async fn an_end_within_a_frame<M: Mode>() {
    for cut in [1, 2, 31, 61] {
        let (server, notices) = (numbered(), Notices::default());
        let proxy = FaultProxy::start(server.address());
        let bytes = bytes_before(2) + cut;
        proxy.set(Direction::Downstream, Toxic::LimitData { bytes, end: End::Close });
        let mut feed = follow::<M>(&proxy, "a", quick(), &notices);
        for _ in 0..3 {
            assert_eq!(feed.interruption().await, (2, "io".to_owned()));
        }
        proxy.clear();
        feed.recover(10).await;
    }
}

/// D2: a reset takes along what has not been read, and nothing else.
async fn a_reset_within_a_frame<M: Mode>() {
    for cut in [1, 31, 61] {
        let (server, notices) = (numbered(), Notices::default());
        let proxy = FaultProxy::start(server.address());
        let bytes = bytes_before(2) + cut;
        proxy.set(Direction::Downstream, Toxic::LimitData { bytes, end: End::Reset });
        let mut feed = follow::<M>(&proxy, "a", quick(), &notices);
        for _ in 0..3 {
            let (items, kind) = feed.interruption().await;
            assert!(items <= 2 && kind == "io", "{items} {kind}");
        }
        proxy.clear();
        feed.recover(10).await;
    }
}

/// R1: within the request, within the answer, with a FIN and with a reset.
async fn an_upgrade_that_breaks_off<M: Mode>() {
    let (request, answer) = (Direction::Upstream, Direction::Downstream);
    let all = bytes_before(0);
    for (direction, bytes) in [(request, 1), (request, 80), (answer, 1), (answer, 60), (answer, all - 1)] {
        for end in [End::Close, End::Reset] {
            let (server, notices) = (numbered(), Notices::default());
            let proxy = FaultProxy::start(server.address());
            proxy.set(direction, Toxic::LimitData { bytes, end });
            let mut feed = follow::<M>(&proxy, "a", quick(), &notices);
            feed.during(notices.until("failure", 3)).await;
            proxy.clear();
            feed.recover(10).await;
            let failures: Vec<_> =
                notices.lines().into_iter().filter(|line| line.starts_with("failure")).collect();
            assert!(failures.iter().all(|line| line.ends_with(": io")), "{failures:?}");
            assert_eq!(feed.connections(), 1);
        }
    }
}

/// R1, R3, R7: with ever longer delays, none of them cut short.
async fn refused_for_a_while<M: Mode>() {
    let (server, notices) = (numbered(), Notices::default());
    let proxy = FaultProxy::start(server.address());
    let policy = RetryPolicy::exponential(ms(10), ms(80)).jitter(Jitter::None).unlimited();
    let mut feed = follow::<M>(&proxy, "a", Config::builder().retry(policy), &notices);
    feed.items(10).await;
    proxy.refuse();
    proxy.cut(End::Reset);
    assert_eq!(feed.interruption().await.1, "io");
    feed.during(notices.until("retry", 6)).await;
    proxy.clear();
    feed.recover(10).await;
    let (retries, failures) = (notices.retries(), notices.times("failure"));
    let delays: Vec<_> = retries.iter().take(6).map(|(_, delay)| *delay).collect();
    assert_eq!(delays, [10, 20, 40, 80, 80, 80].map(ms));
    assert_eq!(failures.len() + 1, retries.len());
    let refused = notices.lines().into_iter().filter(|line| line.starts_with("failure"));
    let others: Vec<_> = refused.filter(|line| !line.ends_with(": tcp")).collect();
    assert!(others.is_empty(), "{others:?}");
    // The first connection, and the first attempt after it.
    let dialed = &notices.times("connecting")[2..];
    for ((failed, delay), next) in failures.iter().zip(&delays[1..]).zip(dialed) {
        assert!(next.saturating_since(*failed) >= *delay);
    }
}

/// L1, L3: items still come, so that nothing is idle; that pings get lost shows it.
async fn lost_on_the_way_to_the_server<M: Mode>() {
    let (server, notices) = (numbered(), Notices::default());
    let proxy = FaultProxy::start(server.address());
    let mut idle = follow::<M>(&proxy, "idle", impatient().idle_timeout(ms(700)), &notices);
    let config = impatient().ping_interval(ms(50)).pong_timeout(ms(500));
    let mut pinging = follow::<M>(&proxy, "pinging", config, &notices);
    idle.items(10).await;
    pinging.items(10).await;
    proxy.set(Direction::Upstream, Toxic::Timeout);
    assert_eq!(pinging.interruption().await.1, "pong_timeout");
    // For longer than it would be silent.
    let before = Instant::now();
    while before.elapsed() < ms(900) {
        idle.items(20).await;
    }
    proxy.clear();
    pinging.recover(10).await;
    idle.items(10).await;
}

/// L1, L3: either notices.
async fn lost_on_the_way_to_us<M: Mode>() {
    let clocks = [
        (impatient().idle_timeout(ms(400)), "idle_timeout"),
        (impatient().ping_interval(ms(50)).pong_timeout(ms(400)), "pong_timeout"),
    ];
    for (config, kind) in clocks {
        let (server, notices) = (numbered(), Notices::default());
        let proxy = FaultProxy::start(server.address());
        let mut feed = follow::<M>(&proxy, "a", config, &notices);
        feed.items(10).await;
        proxy.set(Direction::Downstream, Toxic::Timeout);
        assert_eq!(feed.interruption().await.1, kind);
        assert_eq!(notices.times(&format!("timeout 1: {kind}")).len(), 1);
        proxy.clear();
        feed.recover(10).await;
    }
}

/// Each feed is told once, and comes back by itself.
async fn all_connections_are_cut_at_once<M: Mode>() {
    let (server, notices) = (numbered(), Notices::default());
    let proxy = FaultProxy::start(server.address());
    let feed = |number: u32| follow::<M>(&proxy, &format!("feed-{number}"), quick(), &notices);
    let mut feeds: Vec<_> = (0..10).map(feed).collect();
    join_all(feeds.iter_mut().map(|feed| feed.items(5))).await;
    for end in [End::Close, End::Reset, End::Reset, End::Close] {
        proxy.cut(end);
        let ends = join_all(feeds.iter_mut().map(|feed| feed.interruption())).await;
        assert!(ends.iter().all(|(_, kind)| kind == "io"), "{ends:?}");
        join_all(feeds.iter_mut().map(|feed| feed.items(5))).await;
    }
    assert!(feeds.iter().all(|feed| feed.connections() == 5));
}

async fn one_fault_after_another<M: Mode>() {
    mixed::run::<M>().await;
}
