//! Deliveries as short lines, and refusals without the words of the server.

use std::fmt::Debug;
use std::panic::Location;
use std::pin::pin;

use futures_util::future::{Either, select};
use tidegate::driver::Source;
use tidegate::{ConnectFailure, Delivery, Failure, Feed, Message, StopReason};

use crate::wait::{within, within_at};

/// An item as a line.
pub trait Shown {
    /// As a line.
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

/// A delivery as a line.
pub fn line<T: Shown>(delivery: &Delivery<T>) -> String {
    match delivery {
        Delivery::Opened { id } => format!("opened {id}"),
        Delivery::Live { id } => format!("live {id}"),
        Delivery::Item(item) => item.shown(),
        Delivery::Interrupted { id, failure } => {
            format!("interrupted {id}: {}", failure.as_ref().map_or("by us", |failure| failure.kind()))
        }
        Delivery::Dropped { count } => format!("dropped {count}"),
    }
}

async fn next_at<S: Source<Item: Shown>>(feed: &mut Feed<S>, caller: &Location<'_>) -> String {
    loop {
        match within_at(feed.recv(), caller).await {
            Some(Ok(Delivery::Opened { .. })) => {}
            Some(Ok(delivery)) => return line(&delivery),
            Some(Err(reason)) => panic!("the feed stopped, where {caller} takes the next delivery: {reason}"),
            None => panic!("the feed ended, where {caller} takes the next delivery"),
        }
    }
}

/// The next delivery as a line. That a connection opens goes without saying.
#[track_caller]
pub fn next<S: Source<Item: Shown>>(feed: &mut Feed<S>) -> impl Future<Output = String> {
    next_at(feed, Location::caller())
}

/// The next deliveries as lines.
#[track_caller]
pub fn take<S: Source<Item: Shown>>(feed: &mut Feed<S>, count: usize) -> impl Future<Output = Vec<String>> {
    let caller = Location::caller();
    async move {
        let mut lines = Vec::new();
        while lines.len() < count {
            lines.push(next_at(feed, caller).await);
        }
        lines
    }
}

/// All deliveries up to and with this one.
#[track_caller]
pub fn take_to<S: Source<Item: Shown>>(feed: &mut Feed<S>, last: &str) -> impl Future<Output = Vec<String>> {
    let caller = Location::caller();
    async move {
        let mut lines: Vec<String> = Vec::new();
        while lines.last().is_none_or(|line| line != last) {
            lines.push(next_at(feed, caller).await);
        }
        lines
    }
}

/// How the stream ends: what comes before is dropped. It must stay ended (S3).
#[track_caller]
pub fn end<S: Source>(feed: &mut Feed<S>) -> impl Future<Output = Option<StopReason>> {
    let caller = Location::caller();
    async move {
        let ending = async {
            loop {
                match feed.recv().await {
                    Some(Ok(_)) => {}
                    Some(Err(reason)) => return Some(reason),
                    None => return None,
                }
            }
        };
        let reason = within_at(ending, caller).await;
        for _ in 0..2 {
            let more = within_at(feed.recv(), caller).await;
            assert!(more.is_none(), "something came after the end, where {caller} awaits it");
        }
        reason
    }
}

/// Waits for `work` while the feed is polled; what it delivers meanwhile is returned as lines.
#[track_caller]
pub fn drive<S, T>(
    feed: &mut Feed<S>,
    work: impl Future<Output = T>,
) -> impl Future<Output = (T, Vec<String>)>
where
    S: Source<Item: Shown>,
{
    within(async move {
        let mut lines = Vec::new();
        let mut work = pin!(work);
        loop {
            match select(work.as_mut(), pin!(feed.recv())).await {
                Either::Left((done, _)) => return (done, lines),
                Either::Right((Some(Ok(delivery)), _)) => lines.push(line(&delivery)),
                // It has ended: nothing to drive.
                Either::Right((Some(Err(_)) | None, rest)) => return (rest.await, lines),
            }
        }
    })
}

/// Shows a value in all the ways that logs do.
pub fn shown(value: &(impl Debug + ?Sized)) -> String {
    format!("{value:?} {value:#?}")
}

/// The failure, without what a server said besides status and `Retry-After`.
#[must_use]
pub fn without_words(failure: Failure) -> Failure {
    if let Failure::Connect(ConnectFailure::Rejected { status, retry_after, .. }) = failure {
        return Failure::rejected(status, retry_after);
    }
    failure
}

/// The same of what ended a feed.
#[must_use]
pub fn stop_without_words(reason: StopReason) -> StopReason {
    match reason {
        StopReason::RetriesExhausted { last } => StopReason::RetriesExhausted { last: without_words(last) },
        StopReason::Fatal { failure } => StopReason::Fatal { failure: without_words(failure) },
        reason @ (StopReason::Shutdown | StopReason::HandlerPanicked | StopReason::RuntimeStopped | _) => {
            reason
        }
    }
}
