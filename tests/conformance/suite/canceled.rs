//! Whatever is dropped, at each point of a whole session: connecting over a dripping upgrade, the bootstrap, messages, a
//! ping, a Close, the next connection, a shutdown. Nothing hangs, nothing is lost that was not dropped, and what was is
//! gone from the server's side, too. More on single futures is in `canceling.rs`.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::thread;

use futures_util::future::{Either, join, select};
use tidegate::driver::Source;
use tidegate::{ConnectRequest, Feed, FeedBuilder, Message, Phase, StopReason};
use tidegate_tests::Connector;
use tidegate_tests::once::next as next_frame;
use tidegate_tests::prelude::*;
use tidegate_tests::server::{PING, PONG, Peer, Server, TEXT, frame, switching};

cases! {
    both: [
        a_recv_after_any_poll,
        a_feed_after_any_poll,
        a_feed_at_any_step_of_its_server,
        a_handle_after_any_poll,
    ],
    single: [a_connect_once_after_any_poll, a_connection_after_any_poll],
    worlds: [a_runtime_after_any_poll_of_a_spawned_feed, a_runtime_after_any_poll_of_an_inline_feed],
}

/// All that a session delivers.
const WHOLE: [&str; 10] = [
    "opened 1",
    "live 1",
    "1 a",
    "1 b",
    "interrupted 1: closed",
    "opened 2",
    "live 2",
    "2 a",
    "2 b",
    "interrupted 2: by us",
];

/// More polls than any session takes: each that is counted is of use.
const MANY: usize = 2000;

/// Closes its first connection, and keeps the second until the client goes. Slowly, so that there is something to wait for
/// everywhere.
fn server() -> Server {
    Server::start(|number, peer| {
        drip_upgrade(peer)?;
        // The bootstrap.
        peer.read_frames(1)?;
        peer.text(&format!("{number} a"))?;
        peer.raw(&frame(PING, b"p"))?;
        while peer.read()?.0 != PONG {}
        let text = frame(TEXT, format!("{number} b").as_bytes());
        text.chunks(3).try_for_each(|part| slowly(peer, part))?;
        if number == 1 {
            peer.close(1001)?;
            peer.read_to_close()?;
            thread::sleep(ms(1));
            return peer.fin();
        }
        peer.serve()
    })
}

fn drip_upgrade(peer: &mut Peer) -> std::io::Result<()> {
    let answer = switching(&peer.request()?);
    answer.as_bytes().chunks(40).try_for_each(|part| slowly(peer, part))
}

fn slowly(peer: &mut Peer, part: &[u8]) -> std::io::Result<()> {
    thread::sleep(ms(1));
    peer.note("step");
    peer.raw(part)
}

fn feed_of<A: Adapter>(server: &Server) -> FeedBuilder<A::Rt, impl Handler<Item = Message>> {
    let retry = tidegate::RetryPolicy::fixed(ms(2)).unlimited();
    A::feed(&server.url())
        .config(quick().retry(retry).close_timeout(ms(500)))
        .on_upgrade(|_| Ok(["subscribe"]))
}

/// Takes what comes until the end, and shuts the feed down when it has all. To be gone on with if it is dropped.
async fn session<S: Source<Item = Message>>(feed: &mut Feed<S>, seen: &mut Vec<String>) {
    while let Some(delivery) = feed.recv().await {
        seen.push(line(&delivery.unwrap()));
        if seen.last().unwrap() == "2 b" {
            feed.handle().shutdown();
        }
    }
}

/// What `work` comes to within so many polls. It is dropped after the last.
async fn polls<T>(count: usize, work: impl Future<Output = T>) -> Option<T> {
    if count == 0 {
        return None;
    }
    let (mut work, mut left) = (pin!(work), count);
    poll_fn(|cx| {
        left -= 1;
        match work.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Nothing is lost by it.
async fn a_recv_after_any_poll<M: Mode>() {
    for count in 0..MANY {
        let server = server();
        let mut feed = M::start(feed_of::<M::Adapter>(&server));
        let mut seen = Vec::new();
        let done = within(polls(count, session(&mut feed, &mut seen))).await;
        within(session(&mut feed, &mut seen)).await;
        assert_eq!(seen, WHOLE, "after {count} polls");
        no_task_is_left::<M>().await;
        within(server.all_gone()).await;
        if done.is_some() {
            return;
        }
    }
    panic!("the session has no end");
}

/// S4: what is left of it is gone.
async fn dropped<M: Mode, S: Source>(feed: Feed<S>, server: &Server) {
    let handle = feed.handle();
    drop(feed);
    assert_eq!(within(handle.wait_for(|_| false)).await, Phase::Stopped);
    no_task_is_left::<M>().await;
    within(server.all_gone()).await;
    assert!(within(handle.send("late")).await.is_err());
}

async fn a_feed_after_any_poll<M: Mode>() {
    for count in 0..MANY {
        let server = server();
        let mut feed = M::start(feed_of::<M::Adapter>(&server));
        let mut seen = Vec::new();
        let done = within(polls(count, session(&mut feed, &mut seen))).await;
        assert_eq!(seen, WHOLE[..seen.len()], "after {count} polls");
        dropped::<M, _>(feed, &server).await;
        if done.is_some() {
            return;
        }
    }
    panic!("the session has no end");
}

/// A task is at points of its own, which the polls of its stream do not count.
async fn a_feed_at_any_step_of_its_server<M: Mode>() {
    for step in 0..MANY {
        let server = server();
        let mut feed = M::start(feed_of::<M::Adapter>(&server));
        let mut seen = Vec::new();
        let reached = server.until(|entries| (entries.len() >= step).then_some(()));
        let done = within(async {
            match select(pin!(session(&mut feed, &mut seen)), pin!(reached)).await {
                Either::Left(_) => true,
                Either::Right(_) => false,
            }
        });
        let done = done.await;
        assert_eq!(seen, WHOLE[..seen.len()], "at step {step}");
        dropped::<M, _>(feed, &server).await;
        if done {
            return;
        }
    }
    panic!("the session has no end");
}

/// The feed goes on without it.
async fn a_handle_after_any_poll<M: Mode>() {
    for count in 0..MANY {
        let server = server();
        let mut feed = M::start(feed_of::<M::Adapter>(&server));
        let mut seen = Vec::new();
        let handle = feed.handle();
        let held = polls(count, async move { handle.wait_for(|_| false).await });
        let ((), held) = within(join(session(&mut feed, &mut seen), held)).await;
        assert_eq!(seen, WHOLE, "after {count} polls");
        no_task_is_left::<M>().await;
        within(server.all_gone()).await;
        if held.is_some() {
            return;
        }
    }
    panic!("the session has no end");
}

/// By name, so that the lookup is among the points.
fn by_name(server: &Server) -> ConnectRequest {
    ConnectRequest::new(format!("ws://localhost:{}/feed", server.port())).unwrap()
}

async fn a_connect_once_after_any_poll<A: Adapter>() {
    for count in 0..MANY {
        let server = Server::start(|_, peer| {
            drip_upgrade(peer)?;
            peer.serve()
        });
        let done = within(polls(count, A::connect_once(by_name(&server), Connector::default(), WAIT))).await;
        let done = done.map(|connected| drop(connected.unwrap()));
        no_task_is_left::<Task<A>>().await;
        within(server.all_gone()).await;
        if done.is_some() {
            return;
        }
    }
    panic!("the attempt has no end");
}

/// Reading is given up again and again, and loses nothing; then the connection itself is dropped.
async fn a_connection_after_any_poll<A: Adapter>() {
    for count in 0..MANY {
        let server = Server::start(|_, peer| {
            peer.upgrade()?;
            let text = frame(TEXT, b"text");
            text.chunks(2).try_for_each(|part| slowly(peer, part))?;
            peer.raw(&frame(PING, b"p"))?;
            while peer.read()?.0 != PONG {}
            slowly(peer, &text)?;
            peer.close(1001)?;
            peer.read_to_close()?;
            peer.fin()
        });
        let connected = A::connect_once(by_name(&server), Connector::default(), WAIT);
        let mut connection = within(connected).await.unwrap();
        let mut seen = Vec::new();
        let done = polls(count, async {
            while let Some(frame) = next_frame::<A>(&mut connection).await {
                seen.push(frame.unwrap());
            }
        });
        let done = within(done).await;
        assert!(done.is_none() || seen.len() == 4, "{seen:?}");
        if count % 2 == 0 && done.is_none() {
            while let Some(frame) = next_frame::<A>(&mut connection).await {
                seen.push(frame.unwrap());
            }
            assert_eq!(seen.len(), 4, "{seen:?}");
        }
        drop(connection);
        no_task_is_left::<Task<A>>().await;
        within(server.all_gone()).await;
        if done.is_some() {
            return;
        }
    }
    panic!("the connection has no end");
}

/// S3: the stream ends, wherever it is polled from, and says whether somebody asked for it.
fn a_runtime_after_any_poll_of_a_spawned_feed<A: Adapter>() {
    for count in 0..MANY {
        let server = server();
        let world = A::world();
        let mut seen = Vec::new();
        let (mut feed, done) = world.run(async {
            let mut feed = Task::<A>::start(feed_of::<A>(&server));
            let done = within(polls(count, session(&mut feed, &mut seen))).await;
            (feed, done)
        });
        let handle = feed.handle();
        drop(world);
        A::world().run(async {
            let shut_down = seen.iter().any(|line| line == "2 b");
            let reason = (!shut_down).then_some(StopReason::RuntimeStopped);
            assert_eq!(end(&mut feed).await, reason, "after {count} polls");
            assert_eq!(within(handle.wait_for(|_| false)).await, Phase::Stopped);
            assert!(within(handle.send("late")).await.is_err());
            within(server.all_gone()).await;
        });
        if done.is_some() {
            return;
        }
    }
    panic!("the session has no end");
}

/// There is nothing left that could run: the feed must not be polled, but can be dropped.
fn a_runtime_after_any_poll_of_an_inline_feed<A: Adapter>() {
    for count in 0..MANY {
        let server = server();
        let world = A::world();
        let (feed, done) = world.run(async {
            let mut feed = NoTask::<A>::start(feed_of::<A>(&server));
            let done = within(polls(count, session(&mut feed, &mut Vec::new()))).await;
            (feed, done)
        });
        drop(world);
        A::world().run(dropped::<NoTask<A>, _>(feed, &server));
        if done.is_some() {
            return;
        }
    }
    panic!("the session has no end");
}
