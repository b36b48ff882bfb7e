//! The bounded queue between handler and consumer: demand, bounds, overflow, and markers of broken continuity (D1-D5).

mod marker;

use alloc::collections::VecDeque;
use core::fmt;

use crate::failure::Failure;
use crate::frame::ConnectionId;
use crate::time::Timestamp;

use marker::{Interruption, Marker};

/// An item or a marker for the consumer, in order. Markers show between which two items continuity broke.
///
/// Everything that a connection delivers is between its `Opened` and its `Interrupted`. A consumer that keeps state, such
/// as an order book, starts over at `Opened`.
///
/// Markers cost no demand. Markers that wait in the queue between the same two items are merged into at most one of each
/// kind, in this order: `Interrupted`, `Opened`, `Live`, `Dropped`. So the queue stays bounded even if a feed reconnects
/// again and again while its consumer sleeps. A connection that began and ended between two items has no marker; notices
/// report it.
///
/// This enum is exhaustive: a consumer that skips a marker it does not know loses continuity without noticing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery<T> {
    /// The connection delivers from here on. Start over here.
    Opened {
        /// The connection.
        id: ConnectionId,
    },
    /// The bootstrap of the connection is complete. Items that the handler emitted during the bootstrap are between
    /// `Opened` and this marker.
    Live {
        /// The connection.
        id: ConnectionId,
    },
    /// An item that the handler emitted.
    Item(T),
    /// The connection ended. Messages that the server sends before the next connection are lost.
    ///
    /// This marker also ends a connection that never turned Live.
    Interrupted {
        /// The connection.
        id: ConnectionId,
        /// The reason. `None` if the application ended the connection, by a shutdown or by a panic of its code.
        failure: Option<Failure>,
    },
    /// The overflow policy dropped items here.
    Dropped {
        /// Number of items dropped.
        count: u64,
    },
}

impl<T> Delivery<T> {
    /// Returns the item, or `None` for a marker.
    #[must_use]
    pub fn into_item(self) -> Option<T> {
        match self {
            Self::Item(item) => Some(item),
            Self::Opened { .. } | Self::Live { .. } | Self::Interrupted { .. } | Self::Dropped { .. } => None,
        }
    }

    /// Returns a reference to the item, or `None` for a marker.
    #[must_use]
    pub const fn item(&self) -> Option<&T> {
        match self {
            Self::Item(item) => Some(item),
            Self::Opened { .. } | Self::Live { .. } | Self::Interrupted { .. } | Self::Dropped { .. } => None,
        }
    }

    /// Returns whether this is a marker.
    #[must_use]
    pub const fn is_marker(&self) -> bool {
        self.item().is_none()
    }
}

/// The policy for a full queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Overflow {
    /// Pause reading until the queue is half empty. TCP then slows the server down, and nothing is lost. The default.
    #[default]
    Pause,
    /// Drop the oldest items.
    DropOldest,
    /// Drop the newest items.
    DropNewest,
    /// End the connection with [`LocalFailure::Overflow`](crate::LocalFailure::Overflow) when a message finds the queue
    /// full. A message that finds space may emit any number of items.
    Disconnect,
}

impl Overflow {
    /// All policies, the default first.
    pub const ALL: &'static [Self] = &[Self::Pause, Self::DropOldest, Self::DropNewest, Self::Disconnect];

    /// Returns whether the policy drops items. [`Delivery::Dropped`] announces them.
    #[must_use]
    pub const fn drops(self) -> bool {
        match self {
            Self::DropOldest | Self::DropNewest => true,
            Self::Pause | Self::Disconnect => false,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueConfig {
    pub(crate) items: usize,
    pub(crate) bytes: usize,
    pub(crate) overflow: Overflow,
}

/// Whether the items of one handler call enter the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// They are in the queue, except for those that the policy dropped.
    Granted,
    /// The queue is full, and the policy is to end the connection.
    Overflow,
}

/// The queue. Items are numbered in order of emission. A marker has the number of the item that follows it.
pub(crate) struct Queue<T> {
    config: QueueConfig,
    items: VecDeque<Weighed<T>>,
    /// Number of items at the back that the current handler call has emitted. They are not committed yet.
    staged: usize,
    markers: VecDeque<Marker>,
    /// Number of the item at the front.
    head: u64,
    dropped: u64,
    bytes: u64,
    credit: u64,
    in_band: InBand,
}

struct Weighed<T> {
    item: T,
    /// Weight in bytes, at most 4 GiB, so that the queue's sum cannot overflow.
    weight: u32,
}

/// Whether frames are read. A pause begins when the queue is full, and ends when it is half empty (D4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    On,
    Paused {
        /// Start of the pause, or of the current connection if that is later.
        since: Timestamp,
    },
}

/// What the queue has been given of the current connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InBand {
    /// There is no connection, or its end is in the queue.
    Ended,
    /// Nothing yet.
    Nothing(ConnectionId),
    /// Its opening. Its end must follow.
    Opened,
}

impl<T> Queue<T> {
    pub(crate) const fn new(config: QueueConfig) -> Self {
        Self {
            config,
            items: VecDeque::new(),
            staged: 0,
            markers: VecDeque::new(),
            head: 0,
            bytes: 0,
            credit: 0,
            dropped: 0,
            in_band: InBand::Ended,
        }
    }

    /// Adds `count` items to the demand (D1).
    pub(crate) fn request(&mut self, count: u64) {
        self.credit = self.credit.saturating_add(count);
    }

    /// Appends an item of the current handler call. It is in its final place, and so is not moved again when it is
    /// committed.
    #[inline(always)]
    pub(crate) fn stage(&mut self, item: T, weight: usize) {
        let weight = u32::try_from(weight).unwrap_or(u32::MAX);
        self.items.push_back(Weighed { item, weight });
        self.bytes += u64::from(weight);
        self.staged += 1;
    }

    pub(crate) const fn staged(&self) -> usize {
        self.staged
    }

    /// Discards staged items, after a panic. The drop of an item may have been what panicked, so weights are counted anew.
    pub(crate) fn discard_staged(&mut self) {
        let staged = core::mem::take(&mut self.staged);
        self.items.truncate(self.items.len() - staged);
        self.bytes = self.items.iter().map(|item| u64::from(item.weight)).sum();
    }

    /// Commits staged items if the queue stays below its bounds with them, so that no policy applies. Returns how many.
    #[inline(always)]
    pub(crate) fn commit(&mut self) -> Option<usize> {
        if self.staged == 0 {
            return Some(0);
        }
        if self.is_full(0) {
            return None;
        }
        self.mark_opened();
        Some(core::mem::take(&mut self.staged))
    }

    /// Commits staged items, and applies the policy to each one that does not fit. `Disconnect` is checked once, before
    /// the first: a snapshot larger than the bound must not end a connection whose queue is empty (D3).
    pub(crate) fn admit(&mut self) -> Admission {
        self.mark_opened();
        let mut staged = self.unstage();
        if self.config.overflow == Overflow::Disconnect && self.is_full(staged) {
            self.items.truncate(self.items.len() - staged);
            return Admission::Overflow;
        }
        while staged > 0 {
            if self.is_full(staged) {
                match self.config.overflow {
                    Overflow::Pause | Overflow::Disconnect => {}
                    Overflow::DropOldest => self.drop_oldest(staged),
                    Overflow::DropNewest => {
                        self.drop_newest(staged);
                        break;
                    }
                }
            }
            self.bytes += u64::from(self.items[self.items.len() - staged].weight);
            staged -= 1;
        }
        Admission::Granted
    }

    /// Stops counting staged items, which stay behind the others. Returns how many there are.
    fn unstage(&mut self) -> usize {
        let staged = core::mem::take(&mut self.staged);
        let first = self.items.len() - staged;
        self.bytes -= self.items.range(first..).map(|item| u64::from(item.weight)).sum::<u64>();
        staged
    }

    /// Notes that there is a connection. It has no marker until it delivers something.
    pub(crate) const fn open(&mut self, id: ConnectionId) {
        self.in_band = InBand::Nothing(id);
    }

    /// Adds a marker before the first thing that a connection delivers: it opened.
    #[inline(always)]
    fn mark_opened(&mut self) {
        if let InBand::Nothing(id) = self.in_band {
            self.in_band = InBand::Opened;
            self.last_marker().opened = Some(id);
        }
    }

    /// Adds a marker: a connection turned Live.
    pub(crate) fn mark_live(&mut self, id: ConnectionId) {
        self.mark_opened();
        self.last_marker().live = Some(id);
    }

    /// Adds a marker: a connection ended.
    pub(crate) fn mark_interrupted(&mut self, id: ConnectionId, failure: Option<&Failure>) {
        if core::mem::replace(&mut self.in_band, InBand::Ended) != InBand::Opened {
            return;
        }
        self.last_marker().interrupt(Interruption { id, failure: failure.cloned() });
        if self.markers.back().is_some_and(Marker::is_empty) {
            self.markers.pop_back();
        }
    }

    /// Returns whether there are markers. One of them may be before the next item.
    #[inline]
    pub(crate) fn has_markers(&self) -> bool {
        !self.markers.is_empty()
    }

    /// Returns the marker before the next item. Markers cost no demand.
    pub(crate) fn pop_marker(&mut self) -> Option<Delivery<T>> {
        let marker = self.markers.front_mut().filter(|marker| marker.before == self.head)?;
        let delivery = marker.take();
        if marker.is_empty() {
            self.markers.pop_front();
        }
        delivery
    }

    /// Returns the next item and its weight in bytes. Uses one unit of demand.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<(T, u32)> {
        let credit = self.credit.checked_sub(1)?;
        let Weighed { item, weight } = self.pop_item()?;
        self.credit = credit;
        Some((item, weight))
    }

    /// Returns whether reading must pause until [`Self::resumes`] (D4).
    pub(crate) fn pauses(&self) -> bool {
        self.config.overflow == Overflow::Pause && self.is_full(0)
    }

    /// Returns whether the queue is full, and no policy makes space.
    pub(crate) fn refuses(&self) -> bool {
        !self.config.overflow.drops() && self.is_full(0)
    }

    /// Returns whether reading can resume after a pause (D4).
    pub(crate) fn resumes(&self) -> bool {
        self.items.len() <= self.config.items / 2 && self.bytes <= self.config.bytes as u64 / 2
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) const fn credit(&self) -> u64 {
        self.credit
    }

    /// Returns the number of items dropped since the feed began.
    pub(crate) const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Returns whether the queue is full, without the last `staged` items.
    fn is_full(&self, staged: usize) -> bool {
        self.items.len() - staged >= self.config.items || self.bytes >= self.config.bytes as u64
    }

    #[inline]
    fn pop_item(&mut self) -> Option<Weighed<T>> {
        let first = self.items.pop_front()?;
        self.head += 1;
        self.bytes -= u64::from(first.weight);
        Some(first)
    }

    /// Makes space for one of the staged items; an empty queue has space, since no bound is zero. Merges the markers around
    /// the dropped items into one (D4).
    fn drop_oldest(&mut self, staged: usize) {
        let mut fold = Marker::before(self.head);
        while self.is_full(staged) {
            self.fold_front(&mut fold);
            self.pop_item();
            fold.dropped += 1;
            self.dropped = self.dropped.saturating_add(1);
        }
        self.fold_front(&mut fold);
        fold.before = self.head;
        self.markers.push_front(fold);
    }

    /// Drops the staged items: the queue is as full for the last as it is for the first.
    fn drop_newest(&mut self, staged: usize) {
        self.items.truncate(self.items.len() - staged);
        let count = staged as u64;
        self.dropped = self.dropped.saturating_add(count);
        let marker = self.last_marker();
        marker.dropped = marker.dropped.saturating_add(count);
    }

    /// Merges the marker before the first item, if there is one, into `fold`.
    fn fold_front(&mut self, fold: &mut Marker) {
        if self.markers.front().is_some_and(|marker| marker.before == self.head)
            && let Some(marker) = self.markers.pop_front()
        {
            fold.append(marker);
        }
    }

    /// Returns the marker after the last item that is not staged.
    fn last_marker(&mut self) -> &mut Marker {
        let tail = self.head + (self.items.len() - self.staged) as u64;
        if self.markers.back().is_none_or(|marker| marker.before != tail) {
            self.markers.push_back(Marker::before(tail));
        }
        self.markers.back_mut().expect("there is one: it was there or has just been pushed")
    }
}

/// Shows only the weight: items may hold secrets of the application.
impl<T> fmt::Debug for Weighed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.weight.fmt(f)
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No items are staged between two calls.
        let Self { config, items, staged: _, markers, head, bytes, credit, dropped, in_band } = self;
        f.debug_struct("Queue")
            .field("config", config)
            .field("items", items)
            .field("markers", markers)
            .field("head", head)
            .field("bytes", bytes)
            .field("credit", credit)
            .field("dropped", dropped)
            .field("in_band", in_band)
            .finish()
    }
}

/// The consumer's side of demand: requests up to `max` items, and more once the outstanding ones fall to `min`.
#[derive(Clone, Copy, Debug)]
pub struct DemandWindow {
    min: u64,
    max: u64,
    outstanding: u64,
}

impl DemandWindow {
    /// Returns a window with nothing requested yet.
    pub(crate) fn new(min: u32, max: u32) -> Self {
        Self { min: min.into(), max: max.into(), outstanding: 0 }
    }

    /// Notes that one item has been taken.
    pub fn taken(&mut self) {
        self.outstanding = self.outstanding.saturating_sub(1);
    }

    /// Returns the number of items to request now, if any, and counts them as requested.
    pub fn top_up(&mut self) -> Option<u64> {
        if self.outstanding > self.min {
            return None;
        }
        let more = self.max - self.outstanding;
        self.outstanding = self.max;
        Some(more)
    }
}
