//! Consumers that are slower than their server (D1-D5).

use tidegate::driver::Source;
use tidegate::{Delivery, Feed, Message, Overflow};
use tidegate_tests::prelude::*;
use tidegate_tests::server::{BINARY, Fact, Server, TEXT, frame};

cases! {
    both: [
        a_slow_consumer_stalls_the_server_and_loses_nothing,
        the_oldest_are_dropped_and_counted,
        the_newest_are_dropped_and_counted,
        an_overflow_can_disconnect,
        taking_many_at_once,
    ],
    spawned: [reading_stops_at_the_bound_in_bytes],
}

/// After the first delivery, sends `count` numbered frames and says so.
fn numbered(count: u32, size: usize) -> Server {
    Server::start(move |_, peer| {
        peer.upgrade()?;
        peer.wait("flood")?;
        peer.flood((0..count).map(|number| {
            let mut payload = number.to_be_bytes().to_vec();
            payload.resize(size, 0);
            frame(BINARY, &payload)
        }))?;
        peer.serve()
    })
}

/// Which of those frames it is.
fn number(item: &Message) -> u32 {
    u32::from_be_bytes(*item.payload().first_chunk().unwrap())
}

/// What came: the numbers of the items, and how many are announced as dropped.
#[derive(Default)]
struct Got {
    items: Vec<u32>,
    dropped: u64,
}

impl Got {
    /// Takes until `count` are accounted for.
    async fn all<S: Source<Item = Message>>(feed: &mut Feed<S>, count: u64) -> Self {
        let mut got = Self::default();
        while got.items.len() as u64 + got.dropped < count {
            match within(feed.recv()).await.unwrap().unwrap() {
                Delivery::Item(item) => {
                    got.items.push(number(&item));
                }
                Delivery::Dropped { count } => {
                    assert!(count > 0);
                    got.dropped += count;
                }
                other @ (Delivery::Live { .. } | Delivery::Interrupted { .. }) => {
                    panic!("{other:?} after {:?}", got.items.last());
                }
            }
        }
        assert_eq!(got.items.len() as u64 + got.dropped, count);
        assert!(got.items.is_sorted_by(|one, next| one < next), "out of order, or twice");
        got
    }
}

/// D1-D4: the socket is not read, the server's sends stall, and then all of it comes.
async fn a_slow_consumer_stalls_the_server_and_loses_nothing<M: Mode>() {
    const COUNT: u32 = 1000;
    let server = numbered(COUNT, 32 << 10);
    let notices = Notices::default();
    let mut feed = M::start(M::to(&server).config(narrow(Overflow::Pause)).on_notice(notices.watch()));
    let handle = feed.handle();
    next(&mut feed).await;
    server.open("flood");
    within(server.saw(1, Fact::Note("stalled"))).await;
    if M::SPAWNED {
        within(notices.until("paused 1", 1)).await;
        let stats = handle.stats();
        assert!(stats.queued <= 4 && stats.delivered <= 2 + 2, "{stats:?}");
    }
    let got = Got::all(&mut feed, COUNT.into()).await;
    assert!(got.items.into_iter().eq(0..COUNT));
    assert_eq!((handle.stats().dropped, handle.stats().stale_events), (0, 0));
    assert_eq!(notices.times("dropped").len(), 0);
    let (paused, resumed) = (notices.times("paused").len(), notices.times("resumed").len());
    assert_eq!(paused, resumed);
    // A consumer that drives the feed itself stops reading by not polling: one poll reads less than the queue holds.
    assert!(paused >= 1 || !M::SPAWNED, "never paused");
}

/// D3, D4: the bound in bytes holds where the bound in items is far away.
async fn reading_stops_at_the_bound_in_bytes<M: Mode>() {
    let server = numbered(500, 32 << 10);
    let notices = Notices::default();
    let config = quick().min_demand(1).max_demand(2).buffer_bytes(100_000);
    let mut feed = M::start(M::to(&server).config(config).on_notice(notices.watch()));
    let handle = feed.handle();
    next(&mut feed).await;
    server.open("flood");
    within(server.saw(1, Fact::Note("stalled"))).await;
    within(notices.until("paused", 1)).await;
    let stats = handle.stats();
    // Over the bound by the one frame in hand at most, and over half of it, or reading would go on.
    assert!((50_000..100_000 + (32 << 10)).contains(&stats.queued_bytes), "{stats:?}");
    assert!(Got::all(&mut feed, 500).await.items.into_iter().eq(0..500));
}

/// Sends all of it while the consumer sleeps, which is then told of every loss.
async fn dropping<M: Mode>(overflow: Overflow) -> Got {
    const COUNT: u64 = 3000;
    let server = numbered(3000, 8);
    let notices = Notices::default();
    let mut feed = M::start(M::to(&server).config(narrow(overflow)).on_notice(notices.watch()));
    let handle = feed.handle();
    next(&mut feed).await;
    server.open("flood");
    within(server.saw(1, Fact::Note("sent"))).await;
    if M::SPAWNED {
        eventually(|| handle.stats().messages == COUNT).await;
    }
    let got = Got::all(&mut feed, COUNT).await;
    let stats = handle.stats();
    assert_eq!((stats.items, stats.dropped), (COUNT, got.dropped));
    assert!(got.dropped > 0);
    assert!(!notices.times("dropped").is_empty());
    assert!(notices.times("paused").is_empty());
    handle.shutdown();
    assert_eq!(end(&mut feed).await, None);
    got
}

async fn the_oldest_are_dropped_and_counted<M: Mode>() {
    let got = dropping::<M>(Overflow::DropOldest).await;
    assert_eq!(got.items.last(), Some(&2999), "the newest is kept");
}

async fn the_newest_are_dropped_and_counted<M: Mode>() {
    let got = dropping::<M>(Overflow::DropNewest).await;
    assert_eq!(got.items.first(), Some(&0), "the oldest is kept");
}

/// D4: the connection ends, what is queued does not.
async fn an_overflow_can_disconnect<M: Mode>() {
    let server = Server::start(|number, peer| {
        peer.upgrade()?;
        peer.wait("flood")?;
        if number == 1 {
            // In one piece, since the client does not wait for the last of them.
            let frames = (0..200).flat_map(|number: u32| frame(TEXT, number.to_string().as_bytes()));
            peer.raw(&frames.collect::<Vec<_>>())?;
            peer.note("sent");
        }
        peer.be_silent()
    });
    let mut feed = M::start(M::to(&server).config(narrow(Overflow::Disconnect)));
    next(&mut feed).await;
    server.open("flood");
    within(server.saw(1, Fact::Note("sent"))).await;
    let seen = take_to(&mut feed, "live 2").await;
    let (items, marks) = seen.split_at(seen.len() - 2);
    assert!(items.iter().cloned().eq((0..items.len()).map(|number| number.to_string())), "{items:?}");
    assert!((4..200).contains(&items.len()), "{items:?}");
    assert_eq!(marks, ["interrupted 1: overflow", "live 2"]);
}

/// D1, D5: whole batches, never more than asked for.
async fn taking_many_at_once<M: Mode>() {
    const COUNT: usize = 2000;
    let server = numbered(2000, 8);
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
    assert_eq!(into.len(), COUNT);
    assert_eq!(largest, 7);
    assert_eq!(within(feed.recv_many(&mut into, 0)).await, Ok(0));
    feed.handle().shutdown();
    assert_eq!(within(feed.recv_many(&mut into, 7)).await, Ok(1), "the mark of the end");
    assert_eq!(within(feed.recv_many(&mut into, 7)).await, Ok(0));
    let numbers = into[..COUNT].iter().map(|delivery| {
        let Delivery::Item(item) = delivery else { panic!("{delivery:?}") };
        number(item)
    });
    assert!(numbers.eq(0..2000));
}
