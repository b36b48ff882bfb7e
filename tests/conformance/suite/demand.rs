//! Consumers that are slower than their server (D1-D5).

use tidegate_tests::prelude::*;
use tidegate_tests::server::{Fact, Server, TEXT, frame};

cases! {
    both: [a_slow_consumer_stalls_the_server_and_loses_nothing, taking_many_at_once],
}

/// After the first delivery, sends `count` numbers of at least `size` bytes each.
fn flooding(count: usize, size: usize) -> Server {
    Server::start(move |_, peer| {
        peer.upgrade()?;
        peer.wait("flood")?;
        peer.flood((0..count).map(|number| frame(TEXT, format!("{number:<size$}").as_bytes())))?;
        peer.serve()
    })
}

/// D1-D4: the socket is not read, the server's sends stall, and then all of it comes.
async fn a_slow_consumer_stalls_the_server_and_loses_nothing<M: Mode>() {
    const COUNT: usize = 1000;
    let server = flooding(COUNT, 32 << 10);
    let notices = Notices::default();
    let config = quick().buffer(4).min_demand(1).max_demand(2);
    let mut feed = M::start(M::to(&server).config(config).on_notice(notices.watch()));
    let handle = feed.handle();
    next(&mut feed).await;
    server.open("flood");
    within(server.saw(1, Fact::Note("stalled"))).await;
    if M::SPAWNED {
        within(notices.until("paused 1", 1)).await;
        let stats = handle.stats();
        assert!(stats.queued <= 4 && stats.delivered <= 2 + 2, "{stats:?}");
    }
    for number in 0..COUNT {
        assert_eq!(next(&mut feed).await.trim_end(), number.to_string());
    }
    assert_eq!((handle.stats().dropped, handle.stats().stale_events), (0, 0));
    let (paused, resumed) = (notices.times("paused").len(), notices.times("resumed").len());
    assert_eq!(paused, resumed);
    // A consumer that drives the feed itself stops reading by not polling: one poll reads less than the queue holds.
    assert!(paused >= 1 || !M::SPAWNED, "never paused");
}

/// D1, D5: whole batches, never more than asked for.
async fn taking_many_at_once<M: Mode>() {
    const COUNT: usize = 2000;
    let server = flooding(COUNT, 1);
    let mut feed = M::start(M::to(&server).config(quick()));
    next(&mut feed).await;
    server.open("flood");
    let (mut into, mut largest) = (Vec::new(), 0);
    while into.len() < COUNT {
        let before = into.len();
        let taken = within(feed.recv_many(&mut into, 7)).await.unwrap();
        assert!((1..=7).contains(&taken));
        assert_eq!(into.len(), before + taken);
        largest = largest.max(taken);
    }
    assert_eq!((into.len(), largest), (COUNT, 7));
    assert!(into.iter().map(line).eq((0..COUNT).map(|number| number.to_string())));
    assert_eq!(within(feed.recv_many(&mut into, 0)).await, Ok(0));
    feed.handle().shutdown();
    assert_eq!(within(feed.recv_many(&mut into, 7)).await, Ok(1), "the marker of the end");
    assert_eq!(within(feed.recv_many(&mut into, 7)).await, Ok(0));
}
