//! A feed that is gone leaves nothing behind: no task, no socket (S4).

use super::alone;
use crate::common::server::Server;
use crate::common::*;
use crate::runtime::tasks;

#[test]
fn spawned() {
    let _alone = alone();
    run(a_hundred_feeds_one_after_the_other::<Task>());
}

#[test]
fn inline() {
    let _alone = alone();
    run(a_hundred_feeds_one_after_the_other::<NoTask>());
}

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
    for round in 1..=101 {
        let connections = server.accepted();
        let mut feed = M::start(to(&server).config(quick().close_timeout(ms(100))));
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
        // The first round has opened what the runtime keeps.
        if round == 1 {
            settled(None).await;
            before = open_files();
        }
    }
    settled(before).await;
}

/// Until no task is left, and no more files are open than that many.
async fn settled(files: Option<usize>) {
    eventually(|| tasks() == 0).await;
    if let Some(limit) = files {
        // The server's ends of the connections go with its threads.
        eventually(|| open_files().is_none_or(|open| open <= limit)).await;
    }
}

/// Where the system tells.
fn open_files() -> Option<usize> {
    std::fs::read_dir("/proc/self/fd").ok().map(Iterator::count)
}
