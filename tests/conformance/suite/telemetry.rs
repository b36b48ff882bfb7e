//! What a feed reports of itself (T1, T2).

use tidegate::{Config, Overflow, RetryPolicy};
use tidegate_tests::prelude::*;
use tidegate_tests::server::{Server, frame};

cases! {
    both: [
        every_connection_is_reported_once,
        figures,
    ],
}

/// T1, T2: a refusal, an end while Live, silence, a failed bootstrap, and the end.
async fn every_connection_is_reported_once<M: Mode>() {
    let server = Server::start(|number, peer| match number {
        1 => peer.refuse("503 Service Unavailable", ""),
        2 => {
            peer.upgrade()?;
            peer.text("x")?;
            peer.fin()
        }
        3 => {
            peer.upgrade()?;
            peer.text("x")?;
            peer.be_silent()
        }
        _ => peer.refuse("403 Forbidden", ""),
    });
    let notices = Notices::default();
    let config = Config::builder().retry(RetryPolicy::fixed(ms(5)).max_retries(9)).idle_timeout(ms(200));
    let mut feed = M::start(M::to(&server).config(config).on_notice(notices.watch()));
    end(&mut feed).await.unwrap();
    let expected = [
        "connecting 1",
        "failure 1: rejected",
        "retry 1",
        "connecting 2",
        "success 2",
        "status true",
        "status false",
        "disconnected 2: io",
        "retry 2",
        "connecting 3",
        "success 3",
        "status true",
        "status false",
        "timeout 3: idle_timeout",
        "retry 3",
        "connecting 4",
        "failure 4: rejected",
        "stopped: fatal",
    ];
    assert_eq!(notices.lines(), expected);
    let times = notices.times("");
    assert!(times.is_sorted(), "{times:?}");
}

async fn figures<M: Mode>() {
    let server = Server::start(|_, peer| {
        peer.upgrade()?;
        peer.flood((0..100).map(|number| frame(1, number.to_string().as_bytes())))?;
        peer.fin()
    });
    let mut feed = M::start(M::to(&server).config(narrow(Overflow::Pause)));
    let handle = feed.handle();
    take_to(&mut feed, "interrupted 2: io").await;
    let stats = handle.stats();
    assert!(stats.attempts >= 2 && stats.connections >= 2, "{stats:?}");
    assert!(stats.messages >= 200 && stats.items == stats.messages, "{stats:?}");
    assert_eq!(stats.items, stats.delivered + stats.queued, "{stats:?}");
    assert_eq!((stats.dropped, stats.stale_events), (0, 0), "{stats:?}");
}
