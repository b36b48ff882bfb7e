//! A thousand feeds at once, in one process.

use futures_util::future::join_all;
use tidegate_tests::needs::Need;
use tidegate_tests::prelude::*;
use tidegate_tests::server::Server;

use crate::leaks::{Open, settled};

cases! {
    both: [a_thousand_feeds_at_once needs [FILES]],
}

const FEEDS: usize = 1000;

/// Both ends of each connection are in this process.
static FILES: Need = Need::new("4096 open files", || match rlimit::increase_nofile_limit(4096) {
    Ok(limit) if limit >= 4096 => Ok(limit.to_string()),
    Ok(limit) => Err(format!("no more than {limit}")),
    Err(error) => Err(error.to_string()),
});

/// Each gets what is meant for it, all are Live at the same time, and nothing is left of them.
async fn a_thousand_feeds_at_once<M: Mode>() {
    let server = Server::start(|_, peer| {
        peer.upgrade()?;
        let (_, name) = peer.read()?;
        peer.text(&format!("for {}", String::from_utf8(name).unwrap()))?;
        peer.serve()
    });
    at_once::<M>(&server, 4).await;
    settled::<M>(&server).await;
    let before = Open::now();
    at_once::<M>(&server, FEEDS).await;
    settled::<M>(&server).await;
    assert_eq!(server.accepted(), 4 + FEEDS);
    if let Some(before) = before {
        before.back().await;
    }
}

async fn at_once<M: Mode>(server: &Server, count: usize) {
    let earlier = server.accepted();
    let live = join_all((0..count).map(|number| {
        // A backlog that overflows makes the clients ask again, seconds later.
        let config = quick().connect_timeout(3 * WAIT).close_timeout(3 * WAIT);
        let feed = M::to(server).config(config).on_upgrade(move |_| Ok([format!("feed-{number}")]));
        let mut feed = M::start(feed);
        async move {
            assert_eq!(take(&mut feed, 2).await, ["live 1".to_owned(), format!("for feed-{number}")]);
            feed
        }
    }));
    let feeds = live.await;
    assert_eq!(server.accepted() - earlier, count);
    assert!(feeds.iter().all(|feed| feed.handle().phase() == tidegate::Phase::Live));
    let ended = join_all(feeds.into_iter().map(async |mut feed| {
        feed.handle().shutdown();
        end(&mut feed).await
    }));
    assert!(ended.await.iter().all(Option::is_none));
}
