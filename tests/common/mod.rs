//! What all cases share: a feed in either mode, deliveries and notices as short lines, and waiting with a bound.

#![allow(dead_code, reason = "each binary uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

pub(crate) mod server;

use std::fmt::Debug;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use event_listener::Event;
use futures_util::future::{Either, select};
use tidegate::driver::Source;
use tidegate::{
    Config, ConfigBuilder, Delivery, Feed, FeedBuilder, FrameHandler, Inline, Message, Notice, Overflow,
    RetryPolicy, StopReason, Timestamp,
};

use crate::runtime::{self, Rt, World};
use server::Server;

/// Far longer than anything here takes: it only keeps a broken test from hanging.
pub(crate) const WAIT: Duration = Duration::from_secs(10);

/// Runs one case in a world of its own.
pub(crate) fn run(case: impl Future<Output = ()>) {
    World::new().run(async { runtime::timeout(6 * WAIT, case).await.expect("the case hangs") });
}

/// Any handler that can run in a task.
pub(crate) trait Handler:
    FrameHandler<Session: Send + 'static, Item: Shown + Send + 'static> + Send + 'static
{
}

impl<H> Handler for H where
    H: FrameHandler<Session: Send + 'static, Item: Shown + Send + 'static> + Send + 'static
{
}

/// How a feed is run.
pub(crate) trait Mode: 'static {
    const SPAWNED: bool;
    type Source<H: Handler>: Source<Item = H::Item> + 'static;

    fn start<H: Handler>(builder: FeedBuilder<Rt, H>) -> Feed<Self::Source<H>>;
}

/// In a task.
pub(crate) struct Task;

impl Mode for Task {
    const SPAWNED: bool = true;
    type Source<H: Handler> = tidegate::Spawned<H::Item>;

    fn start<H: Handler>(builder: FeedBuilder<Rt, H>) -> Feed<Self::Source<H>> {
        builder.spawn().unwrap()
    }
}

/// In the stream itself.
pub(crate) struct NoTask;

impl Mode for NoTask {
    const SPAWNED: bool = false;
    type Source<H: Handler> = Inline<Rt, H>;

    fn start<H: Handler>(builder: FeedBuilder<Rt, H>) -> Feed<Self::Source<H>> {
        builder.inline().unwrap()
    }
}

pub(crate) fn to(server: &Server) -> FeedBuilder<Rt> {
    runtime::feed(&server.url())
}

/// Comes back soon, and for ever.
pub(crate) fn quick() -> ConfigBuilder {
    Config::builder().retry(RetryPolicy::fixed(ms(10)).unlimited())
}

/// Holds few items, so that a consumer is soon too slow.
pub(crate) fn narrow(overflow: Overflow) -> ConfigBuilder {
    quick().buffer(4).min_demand(1).max_demand(2).overflow(overflow)
}

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) async fn within<T>(work: impl Future<Output = T>) -> T {
    runtime::timeout(WAIT, work).await.expect("the test hangs")
}

/// Waits until something that cannot be waited for has come about.
pub(crate) async fn eventually(mut look: impl FnMut() -> bool) {
    within(async {
        while !look() {
            runtime::sleep(ms(2)).await;
        }
    })
    .await;
}

/// An item as a line.
pub(crate) trait Shown {
    fn shown(&self) -> String;
}

impl Shown for Message {
    fn shown(&self) -> String {
        self.as_text().map_or_else(|| format!("{} bytes", self.len()), str::to_owned)
    }
}

impl Shown for String {
    fn shown(&self) -> String {
        self.clone()
    }
}

pub(crate) fn line<T: Shown>(delivery: &Delivery<T>) -> String {
    match delivery {
        Delivery::Live { id } => format!("live {id}"),
        Delivery::Item(item) => item.shown(),
        Delivery::Interrupted { id, failure } => {
            format!("interrupted {id}: {}", failure.as_ref().map_or("by us", |failure| failure.kind()))
        }
        Delivery::Dropped { count } => format!("dropped {count}"),
    }
}

/// The next delivery as a line.
pub(crate) async fn next<S: Source<Item: Shown>>(feed: &mut Feed<S>) -> String {
    line(&within(feed.recv()).await.expect("it ended").expect("it stopped"))
}

/// The next deliveries as lines.
pub(crate) async fn take<S: Source<Item: Shown>>(feed: &mut Feed<S>, count: usize) -> Vec<String> {
    let mut lines = Vec::new();
    while lines.len() < count {
        lines.push(next(feed).await);
    }
    lines
}

/// All deliveries up to and with this one.
pub(crate) async fn take_to<S: Source<Item: Shown>>(feed: &mut Feed<S>, last: &str) -> Vec<String> {
    let mut lines = Vec::new();
    while lines.last().is_none_or(|line| line != last) {
        lines.push(next(feed).await);
    }
    lines
}

/// How the stream ends: what comes before is dropped. It must stay ended (S3).
pub(crate) async fn end<S: Source>(feed: &mut Feed<S>) -> Option<StopReason> {
    let reason = within(async {
        loop {
            match feed.recv().await {
                Some(Ok(_)) => {}
                Some(Err(reason)) => return Some(reason),
                None => return None,
            }
        }
    })
    .await;
    for _ in 0..2 {
        assert!(within(feed.recv()).await.is_none(), "something came after the end");
    }
    reason
}

/// Waits for `work` while the feed is polled; what it delivers meanwhile is returned as lines.
pub(crate) async fn drive<S, T>(feed: &mut Feed<S>, work: impl Future<Output = T>) -> (T, Vec<String>)
where
    S: Source<Item: Shown>,
{
    let mut lines = Vec::new();
    let mut work = pin!(work);
    let done = within(async {
        loop {
            match select(work.as_mut(), pin!(feed.recv())).await {
                Either::Left((done, _)) => return done,
                Either::Right((Some(Ok(delivery)), _)) => lines.push(line(&delivery)),
                // It has ended: nothing to drive.
                Either::Right((Some(Err(_)) | None, rest)) => return rest.await,
            }
        }
    })
    .await;
    (done, lines)
}

/// All notices of a feed.
#[derive(Clone, Default)]
pub(crate) struct Notices(Arc<Inner>);

#[derive(Default)]
struct Inner {
    seen: Mutex<Vec<Seen>>,
    more: Event,
}

#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) notice: Notice,
    /// The feed's own time.
    pub(crate) time: Timestamp,
    pub(crate) at: Instant,
}

impl Notices {
    pub(crate) fn watch(&self) -> impl FnMut(&Notice, Timestamp) + Send + 'static {
        let inner = Arc::clone(&self.0);
        move |notice, time| {
            let seen = Seen { notice: notice.clone(), time, at: Instant::now() };
            inner.seen.lock().unwrap().push(seen);
            inner.more.notify(usize::MAX);
        }
    }

    pub(crate) fn all(&self) -> Vec<Seen> {
        self.0.seen.lock().unwrap().clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.all().iter().map(|seen| notice_line(&seen.notice)).collect()
    }

    /// Attempt and delay of each retry.
    pub(crate) fn retries(&self) -> Vec<(u32, Duration)> {
        let retry = |seen: Seen| {
            let Notice::Retry { attempt, delay } = seen.notice else { return None };
            Some((attempt, delay))
        };
        self.all().into_iter().filter_map(retry).collect()
    }

    /// The feed's time at each of the notices that read so.
    pub(crate) fn times(&self, line: &str) -> Vec<Timestamp> {
        let all = self.all();
        all.iter().filter(|seen| notice_line(&seen.notice).starts_with(line)).map(|seen| seen.time).collect()
    }

    /// Waits until `count` notices begin so.
    pub(crate) async fn until(&self, line: &str, count: usize) {
        loop {
            let more = self.0.more.listen();
            if self.times(line).len() >= count {
                return;
            }
            more.await;
        }
    }
}

fn notice_line(notice: &Notice) -> String {
    match notice {
        Notice::Success { id } => format!("success {id}"),
        Notice::Failure { id, failure } => format!("failure {id}: {}", failure.kind()),
        Notice::Disconnected { id, failure } => {
            format!("disconnected {id}: {}", failure.as_ref().map_or("by us", |failure| failure.kind()))
        }
        Notice::Timeout { id, failure } => format!("timeout {id}: {}", failure.kind()),
        Notice::Status { live } => format!("status {live}"),
        Notice::Pong { id, .. } => format!("pong {id}"),
        Notice::Dropped { .. } => "dropped".to_owned(),
        Notice::Paused { id } => format!("paused {id}"),
        Notice::Resumed { id, .. } => format!("resumed {id}"),
        Notice::Retry { attempt, .. } => format!("retry {attempt}"),
        Notice::Connecting { id } => format!("connecting {id}"),
        Notice::Stopped { reason } => format!("stopped: {}", reason.kind()),
    }
}

/// Each span between neighbours.
pub(crate) fn spans(times: &[Timestamp]) -> Vec<Duration> {
    times.windows(2).map(|pair| pair[1].saturating_since(pair[0])).collect()
}

/// Time can always pass: only the best of several measurements says how late something is.
#[track_caller]
pub(crate) fn assert_best(spans: &[Duration], at_least: Duration, late: Duration) {
    assert!(!spans.is_empty());
    assert!(spans.iter().all(|span| *span >= at_least), "too early: {spans:?}, not {at_least:?}");
    assert!(spans.iter().any(|span| *span <= at_least + late), "always late: {spans:?}, not {at_least:?}");
}

/// Shows a value in all the ways that logs do.
pub(crate) fn shown(value: &(impl Debug + ?Sized)) -> String {
    format!("{value:?} {value:#?}")
}
