//! What the consumer holds: a stream of deliveries, demand included.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use tidegate_core::{Delivery, DemandWindow, FrameHandler, StopReason, Timestamp};

use crate::control::FeedHandle;
use crate::engine::{Engine, Outlet};
use crate::handover::Handover;
use crate::runtime::Runtime;

/// One endless stream of deliveries, across every drop, stall and refusal.
///
/// It ends with `None` after a shutdown, and otherwise with one `Err` that says why and then `None` (S3). Dropping it
/// closes the connection (S4).
pub struct Feed<S: Source> {
    source: S,
    batch: VecDeque<Delivery<S::Item>>,
    demand: DemandWindow,
    handle: FeedHandle,
    ending: Ending,
}

enum Ending {
    Open,
    Over,
}

impl<S: Source> Unpin for Feed<S> {}

/// Where a stream's deliveries come from: a [`Spawned`] task, or the stream itself ([`Inline`]).
pub trait Source: sealed::Sealed {
    /// What the handler emits.
    type Item;

    /// Asks for more items.
    #[doc(hidden)]
    fn request(&mut self, items: u64);

    /// Fills the empty batch, or says why there will never be more.
    #[doc(hidden)]
    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        batch: &mut VecDeque<Delivery<Self::Item>>,
    ) -> Poll<Option<StopReason>>;
}

mod sealed {
    pub trait Sealed {}
}

impl<S: Source> Feed<S> {
    pub(crate) fn new(source: S, demand: DemandWindow, handle: FeedHandle) -> Self {
        Self { source, batch: VecDeque::new(), demand, handle, ending: Ending::Open }
    }

    /// A handle to steer the feed from elsewhere.
    #[must_use]
    pub fn handle(&self) -> FeedHandle {
        self.handle.clone()
    }

    /// The next delivery. Cancel-safe: dropping the future loses nothing.
    pub async fn recv(&mut self) -> Option<Result<Delivery<S::Item>, StopReason>> {
        poll_fn(|cx| self.poll_delivery(cx)).await
    }

    /// Appends up to `max` deliveries to `into`: waits for the first, takes what is at hand besides. Returns how many;
    /// 0 once the feed has ended, or if `max` is 0. Cancel-safe.
    ///
    /// # Errors
    /// Why the feed ended, once, unless it was shut down.
    pub async fn recv_many(
        &mut self,
        into: &mut Vec<Delivery<S::Item>>,
        max: usize,
    ) -> Result<usize, StopReason> {
        if max == 0 {
            return Ok(0);
        }
        match self.recv().await {
            None => return Ok(0),
            Some(first) => into.push(first?),
        }
        let mut count = 1;
        while count < max {
            let Some(delivery) = self.take() else { break };
            into.push(delivery);
            count += 1;
        }
        Ok(count)
    }

    /// The items alone, without the marks between them.
    #[must_use]
    pub fn items(self) -> Items<S> {
        Items { feed: self }
    }

    fn poll_delivery(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Delivery<S::Item>, StopReason>>> {
        loop {
            if let Some(delivery) = self.take() {
                return Poll::Ready(Some(Ok(delivery)));
            }
            if let Ending::Over = self.ending {
                return Poll::Ready(None);
            }
            self.top_up();
            let Some(reason) = ready!(self.source.poll_fill(cx, &mut self.batch)) else { continue };
            self.ending = Ending::Over;
            return Poll::Ready(match reason {
                StopReason::Shutdown => None,
                reason @ (StopReason::RetriesExhausted { .. }
                | StopReason::Fatal { .. }
                | StopReason::HandlerPanicked) => Some(Err(reason)),
            });
        }
    }

    fn take(&mut self) -> Option<Delivery<S::Item>> {
        let delivery = self.batch.pop_front()?;
        if let Delivery::Item(_) = delivery {
            self.demand.taken();
            self.top_up();
        }
        Some(delivery)
    }

    fn top_up(&mut self) {
        if let Some(items) = self.demand.top_up() {
            self.source.request(items);
        }
    }
}

impl<S: Source> Stream for Feed<S> {
    type Item = Result<Delivery<S::Item>, StopReason>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_delivery(cx)
    }
}

impl<S: Source> std::fmt::Debug for Feed<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed").field("handle", &self.handle).finish_non_exhaustive()
    }
}

/// The items of a feed, without the marks between them: what [`Feed::items`] returns.
pub struct Items<S: Source> {
    feed: Feed<S>,
}

impl<S: Source> Items<S> {
    /// The feed itself, marks and all, from here on.
    #[must_use]
    pub fn into_feed(self) -> Feed<S> {
        self.feed
    }
}

impl<S: Source> Stream for Items<S> {
    type Item = Result<S::Item, StopReason>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match ready!(self.feed.poll_delivery(cx)) {
                Some(Ok(Delivery::Item(item))) => return Poll::Ready(Some(Ok(item))),
                Some(Ok(Delivery::Live { .. } | Delivery::Interrupted { .. } | Delivery::Dropped { .. })) => {
                }
                Some(Err(reason)) => return Poll::Ready(Some(Err(reason))),
                None => return Poll::Ready(None),
            }
        }
    }
}

impl<S: Source> std::fmt::Debug for Items<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Items").field("feed", &self.feed).finish()
    }
}

/// Deliveries from a task of the runtime's: pings are answered while the consumer is busy.
pub struct Spawned<T> {
    handover: Arc<Handover<T>>,
}

impl<T> Spawned<T> {
    pub(crate) const fn new(handover: Arc<Handover<T>>) -> Self {
        Self { handover }
    }
}

impl<T> sealed::Sealed for Spawned<T> {}

impl<T> Source for Spawned<T> {
    type Item = T;

    fn request(&mut self, items: u64) {
        self.handover.request(items);
    }

    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        batch: &mut VecDeque<Delivery<T>>,
    ) -> Poll<Option<StopReason>> {
        self.handover.poll_fill(cx, batch)
    }
}

impl<T> Drop for Spawned<T> {
    fn drop(&mut self) {
        self.handover.abandon();
    }
}

/// Deliveries from the stream itself: polling it drives the connection, with no task at all. While it is not polled,
/// nothing happens: no ping is answered, no deadline is kept, and what a [`FeedHandle`] sends is neither sent nor
/// refused, so do not await a handle where the stream is not polled meanwhile. Dropping it drops the connection without
/// a closing handshake; the notices of a shutdown are given all the same (T2).
pub struct Inline<R: Runtime, H: FrameHandler> {
    engine: Engine<R, H>,
}

impl<R: Runtime, H: FrameHandler> Inline<R, H> {
    pub(crate) const fn new(engine: Engine<R, H>) -> Self {
        Self { engine }
    }
}

impl<R: Runtime, H: FrameHandler> sealed::Sealed for Inline<R, H> {}

impl<R: Runtime, H: FrameHandler> Source for Inline<R, H> {
    type Item = H::Item;

    fn request(&mut self, items: u64) {
        self.engine.feed().request(items);
    }

    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        batch: &mut VecDeque<Delivery<H::Item>>,
    ) -> Poll<Option<StopReason>> {
        let end = self.engine.poll(cx, batch);
        if batch.is_empty() { end.map(Some) } else { Poll::Ready(None) }
    }
}

impl<H: FrameHandler> Outlet<H> for VecDeque<Delivery<H::Item>> {
    fn hand_over(&mut self, feed: &mut tidegate_core::Feed<H>, now: Timestamp) -> bool {
        let before = self.len();
        while let Some(delivery) = feed.poll_delivery(now) {
            self.push_back(delivery);
        }
        self.len() > before
    }
}
