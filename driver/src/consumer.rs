//! The consumer's side: a stream of deliveries, which manages demand.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::poll_fn;
use std::iter;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use tidegate_core::{
    ConnectionId, Delivery, DemandWindow, FrameHandler, Message, SendError, StopReason, Timestamp,
};

use crate::builder::Bootstrapped;
use crate::engine::{Consumer, Engine};
use crate::handle::FeedHandle;
use crate::handover::Handover;
use crate::runtime::Runtime;

/// An endless stream of deliveries, across every drop, stall and refusal.
///
/// After a shutdown, the stream ends with `None`. Otherwise it ends with one `Err` with the reason, then `None`. If
/// the runtime is shut down before the feed, the reason is [`StopReason::RuntimeStopped`].
/// Dropping it closes the connection.
pub struct Feed<S: Source, C = Infallible> {
    source: S,
    demand: DemandWindow,
    handle: FeedHandle<C>,
    ending: Ending,
}

/// What [`FeedBuilder::spawn`](crate::FeedBuilder::spawn) returns: a feed of items of type `T`, in a task of the
/// runtime.
///
/// ```
/// use tidegate_driver::SpawnedFeed;
///
/// struct App {
///     prices: SpawnedFeed<f64>,
/// }
/// ```
pub type SpawnedFeed<T> = Feed<Spawned<T>>;

/// A spawned feed without a handler of the application's own: a feed of messages.
pub type MessageFeed = SpawnedFeed<Message>;

enum Ending {
    Open,
    Over,
}

impl<S: Source, C> Unpin for Feed<S, C> {}

/// The source of a feed's deliveries: a task ([`Spawned`]) or the stream itself ([`Inline`]).
pub trait Source: sealed::Sealed {
    /// The handler's items.
    type Item;

    /// Requests more items.
    #[doc(hidden)]
    fn request(&mut self, items: u64);

    /// Returns a delivery that is available without waiting.
    #[doc(hidden)]
    fn take(&mut self) -> Option<Delivery<Self::Item>>;

    /// Waits for a delivery, after [`take`](Self::take) has returned `None`. Returns the reason once the feed has
    /// ended.
    #[doc(hidden)]
    fn poll_take(&mut self, cx: &mut Context<'_>) -> Poll<Result<Delivery<Self::Item>, StopReason>>;
}

mod sealed {
    pub trait Sealed {}
}

impl<S: Source, C> Feed<S, C> {
    pub(crate) fn new(source: S, demand: DemandWindow, handle: FeedHandle<C>) -> Self {
        Self { source, demand, handle, ending: Ending::Open }
    }

    /// Returns a handle to the feed, for use from any task or thread.
    #[must_use]
    pub fn handle(&self) -> FeedHandle<C> {
        self.handle.clone()
    }

    /// Waits for the next delivery. Returns `None` once the feed has ended.
    ///
    /// Do not write `while let Some(Ok(Delivery::Item(item))) = feed.recv().await`: it ends at the first marker, before
    /// any item. [`Delivery::into_item`] skips markers, and so does [`items`](Self::items). Then you do not see where
    /// items are missing.
    ///
    /// ```
    /// # use tidegate_driver::MessageFeed;
    /// # use tidegate_driver::core::StopReason;
    /// # async fn example(mut feed: MessageFeed) -> Result<(), StopReason> {
    /// while let Some(delivery) = feed.recv().await {
    ///     if let Some(message) = delivery?.into_item() {
    ///         println!("{message:?}");
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Returns the reason of the end, once, unless the feed was shut down.
    ///
    /// # Cancel safety
    /// This method is cancel safe: no delivery is lost if the future is dropped.
    pub async fn recv(&mut self) -> Option<Result<Delivery<S::Item>, StopReason>> {
        poll_fn(|cx| self.poll_delivery(cx)).await
    }

    /// Waits for a delivery, then appends it and those that are available, up to `max`, to `into`. Returns how many; 0
    /// once the feed has ended, or if `max` is 0.
    ///
    /// # Errors
    /// Returns the reason of the end, once, unless the feed was shut down.
    ///
    /// # Cancel safety
    /// This method is cancel safe: no delivery is lost if the future is dropped.
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

    /// Returns a stream of the items, without the markers between them.
    #[must_use]
    pub fn items(self) -> Items<S, C> {
        Items { feed: self }
    }

    #[inline]
    fn poll_delivery(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Delivery<S::Item>, StopReason>>> {
        match self.source.take() {
            Some(Delivery::Item(item)) => {
                self.one_taken();
                // Built in place: moving a freshly written value causes a store-forwarding stall.
                Poll::Ready(Some(Ok(Delivery::Item(item))))
            }
            Some(
                marker @ (Delivery::Opened { .. }
                | Delivery::Live { .. }
                | Delivery::Interrupted { .. }
                | Delivery::Dropped { .. }),
            ) => Poll::Ready(Some(Ok(marker))),
            None => self.poll_source(cx),
        }
    }

    #[inline(never)]
    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Delivery<S::Item>, StopReason>>> {
        if let Ending::Over = self.ending {
            return Poll::Ready(None);
        }
        self.top_up();
        Poll::Ready(match ready!(self.source.poll_take(cx)) {
            Ok(delivery) => Some(Ok(self.taken(delivery))),
            Err(reason) => {
                self.ending = Ending::Over;
                match reason {
                    StopReason::Shutdown => None,
                    StopReason::RetriesExhausted { .. }
                    | StopReason::Fatal { .. }
                    | StopReason::HandlerPanicked
                    | StopReason::RuntimeStopped
                    | _ => Some(Err(reason)),
                }
            }
        })
    }

    #[inline]
    fn take(&mut self) -> Option<Delivery<S::Item>> {
        let delivery = self.source.take()?;
        Some(self.taken(delivery))
    }

    #[inline]
    fn taken(&mut self, delivery: Delivery<S::Item>) -> Delivery<S::Item> {
        if let Delivery::Item(_) = delivery {
            self.one_taken();
        }
        delivery
    }

    #[inline]
    fn one_taken(&mut self) {
        self.demand.taken();
        self.top_up();
    }

    fn top_up(&mut self) {
        if let Some(items) = self.demand.top_up() {
            self.source.request(items);
        }
    }
}

impl<S: Source, C> Stream for Feed<S, C> {
    type Item = Result<Delivery<S::Item>, StopReason>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_delivery(cx)
    }
}

impl<S: Source, C> std::fmt::Debug for Feed<S, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed").field("handle", &self.handle).finish_non_exhaustive()
    }
}

/// Stream of the items of a feed, without markers. Returned by [`Feed::items`].
pub struct Items<S: Source, C = Infallible> {
    feed: Feed<S, C>,
}

impl<S: Source, C> Items<S, C> {
    /// Returns the feed, markers included.
    #[must_use]
    pub fn into_feed(self) -> Feed<S, C> {
        self.feed
    }
}

impl<S: Source, C> Stream for Items<S, C> {
    type Item = Result<S::Item, StopReason>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match ready!(self.feed.poll_delivery(cx)) {
                Some(Ok(Delivery::Item(item))) => return Poll::Ready(Some(Ok(item))),
                Some(Ok(
                    Delivery::Opened { .. }
                    | Delivery::Live { .. }
                    | Delivery::Interrupted { .. }
                    | Delivery::Dropped { .. },
                )) => {}
                Some(Err(reason)) => return Poll::Ready(Some(Err(reason))),
                None => return Poll::Ready(None),
            }
        }
    }
}

impl<S: Source, C> std::fmt::Debug for Items<S, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Items").field("feed", &self.feed).finish()
    }
}

/// Deliveries from a task of the runtime, which answers pings while the consumer is busy.
pub struct Spawned<T> {
    handover: Arc<Handover<T>>,
    /// Deliveries that were taken together.
    batch: VecDeque<Delivery<T>>,
}

impl<T> Spawned<T> {
    pub(crate) const fn new(handover: Arc<Handover<T>>) -> Self {
        Self { handover, batch: VecDeque::new() }
    }
}

impl<T> sealed::Sealed for Spawned<T> {}

impl<T> Source for Spawned<T> {
    type Item = T;

    fn request(&mut self, items: u64) {
        self.handover.request(items);
    }

    #[inline]
    fn take(&mut self) -> Option<Delivery<T>> {
        self.batch.pop_front()
    }

    fn poll_take(&mut self, cx: &mut Context<'_>) -> Poll<Result<Delivery<T>, StopReason>> {
        self.handover.poll_take(cx, &mut self.batch)
    }
}

impl<T> Drop for Spawned<T> {
    fn drop(&mut self) {
        self.handover.abandon();
    }
}

/// Deliveries from the stream itself, without a task: polling the stream drives the connection.
///
/// Nothing happens while the stream is not polled. No ping is answered, and no deadline is kept. Messages that a
/// [`FeedHandle`] sends wait, so do not await a handle in code that keeps the stream from being polled: send with
/// [`Feed::send`].
///
/// Dropping the stream drops the connection without a closing handshake. Notices are the same as for a shutdown.
pub struct Inline<R: Runtime, H: FrameHandler> {
    engine: Engine<R, Bootstrapped<H>>,
    batch: VecDeque<Delivery<H::Item>>,
}

/// Maximum number of frames read in one poll, and of deliveries taken between two polls of the connection: a pong may
/// be due.
const INLINE_TURN: usize = 64;

impl<R: Runtime, H: FrameHandler> Inline<R, H> {
    pub(crate) const fn new(engine: Engine<R, Bootstrapped<H>>) -> Self {
        Self { engine, batch: VecDeque::new() }
    }
}

impl<R: Runtime, H: FrameHandler> sealed::Sealed for Inline<R, H> {}

impl<R: Runtime, H: FrameHandler> Source for Inline<R, H> {
    type Item = H::Item;

    fn request(&mut self, items: u64) {
        self.engine.request(items);
    }

    #[inline]
    fn take(&mut self) -> Option<Delivery<H::Item>> {
        self.batch.pop_front()
    }

    fn poll_take(&mut self, cx: &mut Context<'_>) -> Poll<Result<Delivery<H::Item>, StopReason>> {
        let end = self.engine.poll(cx, &mut self.batch);
        match self.take() {
            Some(delivery) => Poll::Ready(Ok(delivery)),
            None => end.map(Err),
        }
    }
}

impl<R: Runtime, H: FrameHandler, C> Feed<Inline<R, H>, C> {
    /// Sends a message on the current connection, and on no other. It goes out when the stream is polled next. Returns the
    /// connection.
    ///
    /// # Errors
    /// Returns the message in an error if the feed is not Live, if the outgoing queue is full, or if a text message is
    /// not UTF-8.
    pub fn send(&mut self, message: impl Into<Message>) -> Result<ConnectionId, SendError> {
        self.source.engine.send(message.into())
    }
}

/// Takes deliveries out of the machine's queue while there is space here, since markers would be merged there.
impl<H: FrameHandler> Consumer<H> for VecDeque<Delivery<H::Item>> {
    const ROUNDS: usize = 1;
    const FRAMES: usize = INLINE_TURN;
    const BYTES: i64 = 64 * 1024;

    fn hand_over(&mut self, machine: &mut tidegate_core::Machine<H>, now: Timestamp) -> bool {
        let before = self.len();
        loop {
            let items = iter::from_fn(|| machine.poll_item().map(|(item, _)| Delivery::Item(item)));
            self.extend(items.take(INLINE_TURN.saturating_sub(self.len())));
            if self.len() >= INLINE_TURN {
                break;
            }
            let Some(delivery) = machine.poll_delivery(now) else { break };
            self.push_back(delivery);
        }
        self.len() > before
    }

    /// A consumer that received something polls again. Do not wake its task: tokio would wake another thread for it.
    fn comes_back(&self) -> bool {
        !self.is_empty()
    }
}
