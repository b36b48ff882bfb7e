//! A feed or a connection that is gone leaves nothing behind: no task, no socket, no thread (S4).

use std::pin::pin;

use futures_util::future::select;
use futures_util::{SinkExt, StreamExt};
use tidegate::{ConnectRequest, Frame};
use tidegate_tests::Connector;
use tidegate_tests::prelude::*;
use tidegate_tests::server::{Fact, Server};

cases! {
    both: [a_hundred_feeds_one_after_the_other],
    single: [a_hundred_connections_one_after_the_other],
}

/// After so many the runtime, the timers and the server have opened what they keep: each kind has been there once.
const WARM: usize = 4;

/// Dropped at another point of their life each time.
async fn a_hundred_feeds_one_after_the_other<M: Mode>() {
    let server = Server::start(|number, peer| {
        if number % 4 == 0 {
            return peer.be_silent();
        }
        peer.upgrade()?;
        peer.text("x")?;
        if number % 4 == 1 { peer.fin() } else { peer.serve() }
    });
    let mut before = None;
    for round in 1..=WARM + 100 {
        let connections = server.accepted();
        let mut feed = M::start(M::to(&server).config(quick().close_timeout(ms(100))));
        match round % 4 {
            0 => drop(drive(&mut feed, eventually(|| server.accepted() > connections)).await),
            1 => drop(take_to(&mut feed, "x").await),
            2 => drop(next(&mut feed).await),
            _ => {
                take_to(&mut feed, "x").await;
                feed.handle().shutdown();
                end(&mut feed).await;
            }
        }
        drop(feed);
        if round == WARM {
            settled::<M>(&server).await;
            before = Open::now();
        }
    }
    settled::<M>(&server).await;
    if let Some(before) = before {
        before.back().await;
    }
}

/// Given up while connecting, refused, dropped while open, closed: in turn.
async fn a_hundred_connections_one_after_the_other<A: Adapter>() {
    let server = Server::start(|number, peer| match number % 4 {
        0 => peer.be_silent(),
        1 => peer.refuse("503 Service Unavailable", ""),
        _ => {
            peer.upgrade()?;
            peer.text("x")?;
            peer.serve()
        }
    });
    let mut before = None;
    for round in 1..=WARM + 100 {
        let request = ConnectRequest::new(server.url()).unwrap();
        let connecting = A::connect_once(request, Connector::default(), WAIT);
        match round % 4 {
            0 => drop(within(select(pin!(connecting), pin!(server.saw(round, Fact::Accepted)))).await),
            1 => assert_eq!(within(connecting).await.unwrap_err().kind(), "rejected"),
            2 => drop(within(connecting).await.unwrap()),
            _ => {
                let mut connection = within(connecting).await.unwrap();
                within(connection.send(Frame::Close(None))).await.unwrap();
                assert_eq!(within(connection.by_ref().count()).await, 2, "the text, and the answer");
            }
        }
        if round == WARM {
            settled::<Task<A>>(&server).await;
            before = Open::now();
        }
    }
    settled::<Task<A>>(&server).await;
    assert_eq!(server.accepted(), WARM + 100);
    if let Some(before) = before {
        before.back().await;
    }
}

/// Until no task is left, and the server has seen every client go.
pub(super) async fn settled<M: Mode>(server: &Server) {
    no_task_is_left::<M>().await;
    let gone = || server.entries().iter().filter(|entry| entry.fact == Fact::Gone).count();
    eventually(|| gone() == server.accepted()).await;
}

/// What the process holds, where the system tells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    files: usize,
    threads: usize,
}

impl Open {
    pub(super) fn now() -> Option<Self> {
        let count = |path| Some(std::fs::read_dir(path).ok()?.count());
        Some(Self { files: count("/proc/self/fd")?, threads: count("/proc/self/task")? })
    }

    /// Until there is no more than this. The server's ends of the connections go with its threads.
    pub(super) async fn back(self) {
        let left = || Self::now().filter(|now| now.files > self.files || now.threads > self.threads);
        let settled = async {
            while left().is_some() {
                sleep(ms(2)).await;
            }
        };
        assert!(timeout(WAIT, settled).await.is_some(), "of {self:?} there are now {:?}", left());
    }
}
