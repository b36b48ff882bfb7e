//! Links that lose packets, and links that are gone: what no proxy can do, since it answers TCP (C3, C5, L1-L3, S1).

use std::thread;
use std::time::{Duration, Instant};

use tidegate::driver::Source;
use tidegate::{
    Config, ConfigBuilder, ConnectFailure, Failure, Feed, Message, Notice, RetryPolicy, StopReason,
};
use tidegate_tests::needs::NETNS;
use tidegate_tests::netns::{Namespace, Way};
use tidegate_tests::prelude::*;
use tidegate_tests::server::{Entry, Fact, PING, Server, frame};

cases! {
    both: [
        a_half_open_connection_is_idle needs [NETNS],
        a_half_open_connection_answers_no_ping needs [NETNS],
        nobody_answers_a_syn needs [NETNS],
        a_link_that_is_cut_while_connecting needs [NETNS],
        a_fifth_of_all_packets_is_lost needs [NETNS],
        a_close_over_a_dead_link needs [NETNS],
        a_shutdown_over_a_dead_link needs [NETNS],
    ],
}

/// How often the server pings.
const EVERY: Duration = ms(40);

/// Far longer than a busy machine keeps a timer waiting.
const LATE: Duration = ms(2_000);

/// Attempts over a dead link cost little.
fn impatient() -> ConfigBuilder {
    quick().connect_timeout(ms(400))
}

/// A namespace and a server in it that is never silent; on its first connection there is one item, on the others another.
struct Beyond {
    // Dropped first: what would be said to clients at the end is not worth waiting for.
    link: Namespace,
    server: Server,
}

impl Beyond {
    fn new() -> Self {
        let link = Namespace::new().unwrap();
        let server = Server::listening_on(link.listen().unwrap(), |number, peer| {
            peer.upgrade()?;
            peer.text(if number == 1 { "before" } else { "after" })?;
            loop {
                peer.note("ping");
                peer.raw(&frame(PING, b""))?;
                peer.serve_for(EVERY)?;
            }
        });
        Self { link, server }
    }

    /// A feed of it, once it is Live and has been so for a while.
    async fn live<M: Mode>(
        &self,
        config: ConfigBuilder,
        notices: &Notices,
    ) -> Feed<impl Source<Item = Message> + use<M>> {
        let mut feed = M::start(M::to(&self.server).config(config).on_notice(notices.watch()));
        assert_eq!(take(&mut feed, 2).await, ["live 1", "before"]);
        let pings = self.server.until(|entries| (pings(entries).len() >= 5).then_some(()));
        assert!(drive(&mut feed, pings).await.1.is_empty());
        feed
    }

    /// When it pinged on its first connection.
    fn pings(&self) -> Vec<Instant> {
        pings(&self.server.entries())
    }

    /// Attempts fail while the link is dead, and one succeeds once it is not.
    async fn recovers<S: Source<Item = Message>>(&self, feed: &mut Feed<S>, notices: &Notices) {
        let failed = notices.times("failure").len();
        let ((), seen) = drive(feed, notices.until("failure", failed + 2)).await;
        assert!(seen.is_empty(), "{seen:?}");
        self.link.lose_none().unwrap();
        let live = next(feed).await;
        assert!(live.starts_with("live "), "{live}");
        assert_eq!(next(feed).await, "after");
        let failures = notices.lines().into_iter().filter(|line| line.starts_with("failure"));
        let others: Vec<_> = failures.filter(|line| !line.ends_with(": connect_timeout")).collect();
        assert!(others.is_empty(), "{others:?}");
    }
}

fn pings(entries: &[Entry]) -> Vec<Instant> {
    let ping = |entry: &&Entry| entry.peer == 1 && entry.fact == Fact::Note("ping");
    entries.iter().filter(ping).map(|entry| entry.at).collect()
}

/// When the feed gave its first connection up.
fn given_up(notices: &Notices) -> Instant {
    let end = |notice: &Notice| matches!(notice, Notice::Timeout { .. } | Notice::Disconnected { .. });
    notices.all().iter().find(|seen| end(&seen.notice)).unwrap().at
}

/// L1, L2, C3: all packets are lost. What was heard last is what the server sent last before.
async fn a_half_open_connection_is_idle<M: Mode>() {
    let (beyond, notices) = (Beyond::new(), Notices::default());
    let idle = ms(600);
    let mut feed = beyond.live::<M>(impatient().idle_timeout(idle), &notices).await;
    let sent = beyond.pings();
    beyond.link.lose(Way::Both, 100).unwrap();
    let lost = Instant::now();
    assert_eq!(next(&mut feed).await, "interrupted 1: idle_timeout");
    // The last but one was written before the last was noted.
    let heard = sent[sent.len() - 2];
    let end = given_up(&notices);
    assert!(end >= heard + idle, "too early: {:?}", end - heard);
    assert!(end <= lost + idle + LATE, "too late: {:?}", end - lost);
    beyond.recovers(&mut feed, &notices).await;
}

/// L3.
async fn a_half_open_connection_answers_no_ping<M: Mode>() {
    let (beyond, notices) = (Beyond::new(), Notices::default());
    let config = impatient().ping_interval(ms(50)).pong_timeout(ms(600));
    let mut feed = beyond.live::<M>(config, &notices).await;
    let before = Instant::now();
    beyond.link.lose(Way::Both, 100).unwrap();
    let lost = Instant::now();
    assert_eq!(next(&mut feed).await, "interrupted 1: pong_timeout");
    let end = given_up(&notices);
    // The ping may have been on its way.
    assert!(end >= before + ms(500), "too early: {:?}", end - before);
    assert!(end <= lost + ms(650) + LATE, "too late: {:?}", end - lost);
    beyond.recovers(&mut feed, &notices).await;
}

/// C3, R2: each attempt costs the connect timeout, and the server never knows.
async fn nobody_answers_a_syn<M: Mode>() {
    let (beyond, notices) = (Beyond::new(), Notices::default());
    beyond.link.lose(Way::Both, 100).unwrap();
    let config = Config::builder().connect_timeout(ms(200)).retry(RetryPolicy::fixed(ms(50)).max_retries(2));
    let mut feed = M::start(M::to(&beyond.server).config(config).on_notice(notices.watch()));
    assert_eq!(
        end(&mut feed).await,
        Some(StopReason::RetriesExhausted { last: Failure::Connect(ConnectFailure::Timeout) })
    );
    assert_best(&spans(&notices.times("connecting")), ms(250), LATE);
    assert!(beyond.link.lost().unwrap() > 0);
    assert_eq!(beyond.server.accepted(), 0);
}

/// C3: TCP is there and the request is out when the cable is pulled.
async fn a_link_that_is_cut_while_connecting<M: Mode>() {
    let link = Namespace::new().unwrap();
    let server = Server::listening_on(link.listen().unwrap(), |number, peer| {
        if number == 1 {
            peer.request()?;
            peer.note("asked");
            return peer.be_silent();
        }
        peer.upgrade()?;
        peer.text("after")?;
        peer.serve()
    });
    let notices = Notices::default();
    let config = quick().connect_timeout(ms(600));
    let mut feed = M::start(M::to(&server).config(config).on_notice(notices.watch()));
    drive(&mut feed, server.saw(1, Fact::Note("asked"))).await;
    link.cut_link().unwrap();
    let (.., seen) = drive(&mut feed, notices.until("failure", 2)).await;
    assert!(seen.is_empty(), "{seen:?}");
    let (dialed, failed) = (notices.times("connecting"), notices.times("failure"));
    assert_eq!(notices.times("failure 1: connect_timeout").len(), 1);
    let waited = failed[0].saturating_since(dialed[0]);
    assert!((ms(600)..=ms(600) + LATE).contains(&waited), "{waited:?}");
    link.restore_link().unwrap();
    let live = next(&mut feed).await;
    assert!(live.starts_with("live "), "{live}");
    assert_eq!(next(&mut feed).await, "after");
}

/// D2: TCP sends again what was lost; the order is that of the server.
async fn a_fifth_of_all_packets_is_lost<M: Mode>() {
    const ITEMS: usize = 50;
    let link = Namespace::new().unwrap();
    let server = Server::listening_on(link.listen().unwrap(), |_, peer| {
        peer.upgrade()?;
        for item in 0..ITEMS {
            peer.text(&item.to_string())?;
            thread::sleep(ms(5));
        }
        peer.serve()
    });
    link.lose(Way::Both, 20).unwrap();
    // Packets that are lost several times in a row are sent again after seconds.
    let config = quick().connect_timeout(6 * WAIT).ping_interval(ms(50)).pong_timeout(6 * WAIT);
    let mut feed = M::start(M::to(&server).config(config));
    let all = async {
        let mut seen = Vec::new();
        while seen.len() < ITEMS + 2 {
            seen.push(line(&feed.recv().await.unwrap().unwrap()));
        }
        seen
    };
    let seen = timeout(5 * WAIT, all).await.expect("all of it arrives");
    let items = (0..ITEMS).map(|item| item.to_string());
    assert_eq!(
        seen,
        ["opened 1", "live 1"].map(ToOwned::to_owned).into_iter().chain(items).collect::<Vec<_>>()
    );
    assert!(link.lost().unwrap() > 0);
}

/// C5: the server has said Close, and our answer does not reach it.
async fn a_close_over_a_dead_link<M: Mode>() {
    let link = Namespace::new().unwrap();
    let server = Server::listening_on(link.listen().unwrap(), |number, peer| {
        peer.upgrade()?;
        if number == 1 {
            peer.wait("lost")?;
            peer.close(1001)?;
            return peer.be_silent();
        }
        peer.text("after")?;
        peer.serve()
    });
    let notices = Notices::default();
    let config = impatient().close_timeout(ms(300));
    let mut feed = M::start(M::to(&server).config(config).on_notice(notices.watch()));
    assert_eq!(next(&mut feed).await, "live 1");
    link.lose(Way::In, 100).unwrap();
    server.open("lost");
    let opened = Instant::now();
    assert_eq!(next(&mut feed).await, "interrupted 1: closed");
    // C1: the next attempt begins when the socket is gone.
    drive(&mut feed, notices.until("connecting 2", 1)).await;
    let dialed = notices.all().last().unwrap().at;
    assert!(dialed <= opened + ms(300) + LATE, "{:?}", dialed - opened);
    link.lose_none().unwrap();
    let live = next(&mut feed).await;
    assert!(live.starts_with("live "), "{live}");
    assert_eq!(next(&mut feed).await, "after");
}

/// S1: the goodbye does not arrive.
async fn a_shutdown_over_a_dead_link<M: Mode>() {
    let (beyond, notices) = (Beyond::new(), Notices::default());
    let mut feed = beyond.live::<M>(impatient().close_timeout(ms(300)), &notices).await;
    beyond.link.lose(Way::Both, 100).unwrap();
    let before = Instant::now();
    feed.handle().shutdown();
    assert_eq!(end(&mut feed).await, None);
    let took = before.elapsed();
    assert!((ms(300)..=ms(300) + LATE).contains(&took), "{took:?}");
    assert_eq!(notices.times("disconnected 1: shutdown").len(), 1);
    assert_eq!(notices.lines().last().unwrap(), "stopped: shutdown");
}
