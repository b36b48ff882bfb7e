//! The bounded queue between handler and consumer: credit, watermarks, overflow, and markers of broken continuity (D1-D5).

mod marker;

use alloc::collections::VecDeque;
use core::fmt;

use crate::failure::Failure;
use crate::frame::ConnectionId;
use crate::time::Timestamp;

use marker::{Interruption, Marker, Opening};

/// What the consumer is given, in order. A consumer that keeps an order book knows exactly between which two items
/// continuity broke.
///
/// Marks cost no demand. Marks between the same two items fold into one of each kind, so that a feed that flaps while
/// its consumer sleeps stays bounded: a connection that came and went there without an item leaves no trace in-band
/// (the notices tell of it). They come in this order: `Interrupted`, `Live`, `Dropped`.
///
/// Exhaustive: a consumer that skipped a marker it does not know would lose continuity without noticing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery<T> {
    /// The connection is Live. Items that its bootstrap emitted have come before this (B5).
    Live {
        /// Which connection.
        id: ConnectionId,
    },
    /// An item.
    Item(T),
    /// The connection is over; whatever was sent until the next one is lost. Also ends a connection that emitted items
    /// without ever turning Live.
    Interrupted {
        /// Which connection.
        id: ConnectionId,
        /// Why; `None` if the application ended it: by a shutdown, or because its handler panicked.
        failure: Option<Failure>,
    },
    /// The overflow policy dropped items here (D4).
    Dropped {
        /// How many.
        count: u64,
    },
}

/// What happens when the queue is full (D4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overflow {
    /// Stop reading until it is half empty; TCP pushes back. Nothing is lost. The default.
    #[default]
    Pause,
    /// Drop the oldest items.
    DropOldest,
    /// Drop the newest items.
    DropNewest,
    /// End the connection with [`LocalFailure::Overflow`](crate::LocalFailure::Overflow) at the first message that finds the
    /// queue full; one that finds room may emit any number of items.
    Disconnect,
}

impl Overflow {
    /// All policies, the default first.
    pub const ALL: &'static [Self] = &[Self::Pause, Self::DropOldest, Self::DropNewest, Self::Disconnect];

    /// Returns whether items are dropped, each of which [`Delivery::Dropped`] announces.
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

/// The verdict on what a frame emits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It is in the queue, or what the policy left of it.
    Granted,
    /// There is no room, and the policy is to end the connection.
    Overflow,
}

/// The queue. Items are numbered in order of emission; a marker stands before the item with its number.
pub(crate) struct Queue<T> {
    config: QueueConfig,
    items: VecDeque<Weighed<T>>,
    /// How many of them, the last ones, a handler has emitted in the call that it is in: they have a place and are weighed,
    /// but are not in the queue yet.
    staged: usize,
    markers: VecDeque<Marker>,
    /// The number of the item at the front.
    head: u64,
    dropped: u64,
    bytes: u64,
    credit: u64,
    continuity: Continuity,
}

struct Weighed<T> {
    item: T,
    /// In bytes; 4 GiB stands for all that is heavier, so that the queue's sum cannot overflow.
    weight: u32,
}

/// Whether frames are read: not between the moment at which the queue is full and the one at which it is half empty (D4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    On,
    Paused {
        /// When that began, for the present connection.
        since: Timestamp,
    },
}

/// Whether something of the present connection has been put in-band, so that its end must be as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Continuity {
    Begun,
    Broken,
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
            continuity: Continuity::Broken,
        }
    }

    /// The consumer wants `count` more items (D1).
    pub(crate) fn request(&mut self, count: u64) {
        self.credit = self.credit.saturating_add(count);
    }

    /// What a handler emits waits behind the last item until its call is over: that is where it belongs, and an item is not
    /// moved once more.
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

    /// What is staged is not to be had any more.
    pub(crate) fn discard_staged(&mut self) {
        self.take_staged();
    }

    /// Takes in what is staged if that leaves the queue below its bounds, so that no policy has a say; how many items it is.
    #[inline(always)]
    pub(crate) fn commit(&mut self) -> Option<usize> {
        if self.staged == 0 {
            return Some(0);
        }
        if self.is_full() {
            return None;
        }
        self.continuity = Continuity::Begun;
        Some(core::mem::take(&mut self.staged))
    }

    /// Takes in what is staged; where there is no room, the policy sees to each item. Whether the connection may go on is
    /// asked once for all of them, because it is the consumer that is judged: a snapshot larger than the bound must not end a
    /// connection whose queue is empty (D3).
    pub(crate) fn admit(&mut self) -> Admission {
        self.continuity = Continuity::Begun;
        let staged = self.take_staged();
        if self.config.overflow == Overflow::Disconnect && self.is_full() {
            return Admission::Overflow;
        }
        for item in staged {
            self.push(item);
        }
        Admission::Granted
    }

    fn take_staged(&mut self) -> VecDeque<Weighed<T>> {
        let first = self.items.len().saturating_sub(core::mem::take(&mut self.staged));
        let staged = self.items.split_off(first);
        self.bytes -= staged.iter().map(|item| u64::from(item.weight)).sum::<u64>();
        staged
    }

    fn push(&mut self, item: Weighed<T>) {
        if self.is_full() {
            match self.config.overflow {
                Overflow::Pause | Overflow::Disconnect => {}
                Overflow::DropOldest => self.drop_oldest(),
                Overflow::DropNewest => {
                    self.dropped = self.dropped.saturating_add(1);
                    let marker = self.last_marker();
                    marker.dropped = marker.dropped.saturating_add(1);
                    return;
                }
            }
        }
        self.bytes += u64::from(item.weight);
        self.items.push_back(item);
    }

    /// A connection turned Live.
    pub(crate) fn mark_live(&mut self, id: ConnectionId) {
        let opens = self.continuity == Continuity::Broken;
        self.continuity = Continuity::Begun;
        self.last_marker().live = Some(Opening { id, opens });
    }

    /// A connection is over.
    pub(crate) fn mark_interrupted(&mut self, id: ConnectionId, failure: Option<&Failure>) {
        if self.continuity == Continuity::Broken {
            return;
        }
        self.continuity = Continuity::Broken;
        self.last_marker().interrupt(Interruption { id, failure: failure.cloned() });
        if self.markers.back().is_some_and(Marker::is_empty) {
            self.markers.pop_back();
        }
    }

    /// Whether a marker may stand before the next item.
    #[inline]
    pub(crate) fn has_markers(&self) -> bool {
        !self.markers.is_empty()
    }

    /// The marker that stands before the next item. It is free.
    pub(crate) fn pop_marker(&mut self) -> Option<Delivery<T>> {
        let marker = self.markers.front_mut().filter(|marker| marker.before == self.head)?;
        let delivery = marker.take();
        if marker.is_empty() {
            self.markers.pop_front();
        }
        delivery
    }

    /// The next item and its weight in bytes, for one of what was requested.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<(T, u32)> {
        let credit = self.credit.checked_sub(1)?;
        let Weighed { item, weight } = self.pop_item()?;
        self.credit = credit;
        Some((item, weight))
    }

    /// Whether reading must pause until [`Self::resumes`] (D4).
    pub(crate) fn pauses(&self) -> bool {
        self.config.overflow == Overflow::Pause && self.is_full()
    }

    /// Whether the queue is empty enough for reading to go on after a pause (D4).
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

    /// Items dropped since the feed began.
    pub(crate) const fn dropped(&self) -> u64 {
        self.dropped
    }

    fn is_full(&self) -> bool {
        self.items.len() >= self.config.items || self.bytes >= self.config.bytes as u64
    }

    #[inline]
    fn pop_item(&mut self) -> Option<Weighed<T>> {
        let first = self.items.pop_front()?;
        self.head += 1;
        self.bytes -= u64::from(first.weight);
        Some(first)
    }

    /// Makes room for one; the markers that stood around the dropped items become one (D4).
    fn drop_oldest(&mut self) {
        let mut fold = Marker::before(self.head);
        while self.is_full() && !self.items.is_empty() {
            self.fold_front(&mut fold);
            self.pop_item();
            fold.dropped += 1;
            self.dropped = self.dropped.saturating_add(1);
        }
        self.fold_front(&mut fold);
        fold.before = self.head;
        self.markers.push_front(fold);
    }

    /// Takes the marker before the first item, if there is one, into `fold`.
    fn fold_front(&mut self, fold: &mut Marker) {
        if self.markers.front().is_some_and(|marker| marker.before == self.head)
            && let Some(marker) = self.markers.pop_front()
        {
            fold.append(marker);
        }
    }

    /// The marker behind the last item.
    fn last_marker(&mut self) -> &mut Marker {
        let tail = self.head + self.items.len() as u64;
        if self.markers.back().is_none_or(|marker| marker.before != tail) {
            self.markers.push_back(Marker::before(tail));
        }
        self.markers.back_mut().expect("there is one: it was there or has just been pushed")
    }
}

/// Shows the weight alone: what an item holds is the application's own.
impl<T> fmt::Debug for Weighed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.weight.fmt(f)
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nothing is staged between two calls.
        let Self { config, items, staged: _, markers, head, bytes, credit, dropped, continuity } = self;
        f.debug_struct("Queue")
            .field("config", config)
            .field("items", items)
            .field("markers", markers)
            .field("head", head)
            .field("bytes", bytes)
            .field("credit", credit)
            .field("dropped", dropped)
            .field("continuity", continuity)
            .finish()
    }
}

/// The consumer's side of demand: asks for up to `max`, and again once what is outstanding falls to `min` (D5).
#[derive(Clone, Copy, Debug)]
pub struct DemandWindow {
    min: u64,
    max: u64,
    outstanding: u64,
}

impl DemandWindow {
    /// Nothing asked for yet.
    pub(crate) fn new(min: u32, max: u32) -> Self {
        Self { min: min.into(), max: max.into(), outstanding: 0 }
    }

    /// One item has been taken.
    pub fn taken(&mut self) {
        self.outstanding = self.outstanding.saturating_sub(1);
    }

    /// What to ask for now, if it is time to; counts as asked.
    pub fn top_up(&mut self) -> Option<u64> {
        if self.outstanding > self.min {
            return None;
        }
        let more = self.max - self.outstanding;
        self.outstanding = self.max;
        Some(more)
    }
}
