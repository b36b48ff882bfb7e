//! The bounded queue between handler and consumer: credit, watermarks, overflow, and marks of broken continuity (D1-D5).

mod window;

use alloc::collections::VecDeque;
use core::fmt;

use crate::bugs::bug;
use crate::failure::Failure;
use crate::frame::ConnectionId;

pub use window::DemandWindow;

/// What the consumer is given, in order. A consumer that keeps an order book knows exactly between which two items
/// continuity broke.
///
/// Marks cost no demand. Marks between the same two items fold into one of each kind, so that a feed that flaps while
/// its consumer sleeps stays bounded: a connection that came and went there without an item leaves no trace in-band
/// (the notices tell of it). They come in this order: `Interrupted`, `Live`, `Dropped`.
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
pub enum Overflow {
    /// Stop reading until it is half empty; TCP pushes back. Nothing is lost. The default.
    #[default]
    Pause,
    /// Drop the oldest items.
    DropOldest,
    /// Drop the newest items.
    DropNewest,
    /// End the connection with [`Failure::Overflow`] at the first message that finds the queue full; one that finds room may
    /// emit any number of items.
    Disconnect,
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
    /// The items may be pushed; if there is no room, the policy sees to each of them.
    Granted,
    /// There is no room, and the policy is to end the connection.
    Overflow,
}

/// The queue. Items are numbered in order of emission; a mark stands before the item with its number.
pub(crate) struct Queue<T> {
    config: QueueConfig,
    items: VecDeque<Weighed<T>>,
    marks: VecDeque<Mark>,
    /// The number of the item at the front.
    head: u64,
    dropped: u64,
    bytes: u64,
    credit: u64,
    reading: Reading,
    continuity: Continuity,
}

struct Weighed<T> {
    item: T,
    /// In bytes.
    weight: u32,
}

/// Whether the queue lets reading go on; it changes at the bound and at half of it (D4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    On,
    HeldBack,
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
            marks: VecDeque::new(),
            head: 0,
            bytes: 0,
            credit: 0,
            dropped: 0,
            reading: Reading::On,
            continuity: Continuity::Broken,
        }
    }

    /// The consumer wants `count` more items (D1).
    pub(crate) fn request(&mut self, count: u64) {
        self.credit = self.credit.saturating_add(count);
    }

    /// Whether what one frame emits may be pushed. Asked once for all of it, because it is the consumer that is judged: a
    /// snapshot larger than the bound must not end a connection whose queue is empty (D3).
    pub(crate) fn admit(&mut self) -> Admission {
        self.continuity = Continuity::Begun;
        match self.config.overflow {
            Overflow::Disconnect if self.is_full() => Admission::Overflow,
            Overflow::Disconnect | Overflow::Pause | Overflow::DropOldest | Overflow::DropNewest => {
                Admission::Granted
            }
        }
    }

    /// Whether one more item of this weight leaves the queue below its bounds, so that no policy has a say.
    #[inline]
    pub(crate) fn has_room(&self, weight: u32) -> bool {
        self.items.len() + 1 < self.config.items && self.bytes + u64::from(weight) < self.config.bytes as u64
    }

    /// An item for which there is room.
    #[inline]
    pub(crate) fn append(&mut self, item: T, weight: u32) {
        self.continuity = Continuity::Begun;
        self.bytes += u64::from(weight);
        self.items.push_back(Weighed { item, weight });
    }

    /// An item that was admitted, with its weight in bytes.
    pub(crate) fn push(&mut self, item: T, weight: u32) {
        if self.is_full() {
            match self.config.overflow {
                Overflow::Pause | Overflow::Disconnect => {}
                Overflow::DropOldest => self.drop_oldest(),
                Overflow::DropNewest => {
                    self.dropped = self.dropped.saturating_add(1);
                    let mark = self.last_mark();
                    mark.dropped = mark.dropped.saturating_add(1);
                    return;
                }
            }
        }
        self.bytes += u64::from(weight);
        self.items.push_back(Weighed { item, weight });
        if bug!(OrderLost) {
            self.items.rotate_left(1);
        }
        if self.config.overflow == Overflow::Pause && self.is_full() {
            self.reading = Reading::HeldBack;
        }
    }

    /// A connection turned Live.
    pub(crate) fn mark_live(&mut self, id: ConnectionId) {
        let opens = self.continuity == Continuity::Broken;
        self.continuity = Continuity::Begun;
        self.last_mark().live = Some(Opening { id, opens });
    }

    /// A connection is over.
    pub(crate) fn mark_interrupted(&mut self, id: ConnectionId, failure: Option<&Failure>) {
        if self.continuity == Continuity::Broken || bug!(InterruptionUntold) {
            return;
        }
        self.continuity = Continuity::Broken;
        self.last_mark().interrupt(Interruption { id, failure: failure.cloned() });
        if self.marks.back().is_some_and(Mark::is_empty) {
            self.marks.pop_back();
        }
    }

    /// Whether a mark may stand before the next item.
    #[inline]
    pub(crate) fn has_marks(&self) -> bool {
        !self.marks.is_empty()
    }

    /// The mark that stands before the next item. It is free.
    pub(crate) fn pop_mark(&mut self) -> Option<Delivery<T>> {
        let mark = self.marks.front_mut().filter(|mark| mark.before == self.head)?;
        let delivery = mark.take();
        if mark.is_empty() {
            self.marks.pop_front();
        }
        delivery
    }

    /// The next item, for one of what was requested.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<T> {
        let credit = bug!(DemandIgnored: self.credit.saturating_sub(1), not self.credit.checked_sub(1)?);
        let item = self.pop_item()?;
        self.credit = credit;
        Some(item)
    }

    /// Lets reading go on if it was held back and the queue is half empty by now (D4); whether it does.
    pub(crate) fn resume(&mut self) -> bool {
        let resumes = self.is_held_back()
            && self.items.len() <= self.config.items / 2
            && self.bytes <= self.config.bytes as u64 / 2
            && !bug!(NeverResumed);
        if resumes {
            self.reading = Reading::On;
        }
        resumes
    }

    pub(crate) fn is_held_back(&self) -> bool {
        self.reading == Reading::HeldBack
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
        let items = bug!(QueueOffByOne: self.config.items + 1, not self.config.items);
        self.items.len() >= items || self.bytes >= self.config.bytes as u64 && !bug!(BytesUnbounded)
    }

    #[inline]
    fn pop_item(&mut self) -> Option<T> {
        let Weighed { item, weight } = self.items.pop_front()?;
        self.head += 1;
        self.bytes -= u64::from(weight);
        Some(item)
    }

    /// Makes room for one; the marks that stood around the dropped items become one (D4).
    fn drop_oldest(&mut self) {
        let mut fold = Mark::before(self.head);
        while self.is_full() && !self.items.is_empty() {
            self.fold_front(&mut fold);
            self.pop_item();
            fold.dropped += u64::from(!bug!(DropUntold));
            self.dropped = self.dropped.saturating_add(1);
        }
        self.fold_front(&mut fold);
        fold.before = self.head;
        self.marks.push_front(fold);
    }

    /// Takes the mark before the first item, if there is one, into `fold`.
    fn fold_front(&mut self, fold: &mut Mark) {
        if self.marks.front().is_some_and(|mark| mark.before == self.head)
            && let Some(mark) = self.marks.pop_front()
        {
            fold.append(mark);
        }
    }

    /// The mark behind the last item.
    fn last_mark(&mut self) -> &mut Mark {
        let tail = self.head + self.items.len() as u64;
        if self.marks.back().is_none_or(|mark| mark.before != tail) {
            self.marks.push_back(Mark::before(tail));
        }
        self.marks.back_mut().expect("there is one: it was there or has just been pushed")
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
        let Self { config, items, marks, head, bytes, credit, dropped, reading, continuity } = self;
        f.debug_struct("Queue")
            .field("config", config)
            .field("items", items)
            .field("marks", marks)
            .field("head", head)
            .field("bytes", bytes)
            .field("credit", credit)
            .field("dropped", dropped)
            .field("reading", reading)
            .field("continuity", continuity)
            .finish()
    }
}

/// What happened between two items.
#[derive(Debug)]
struct Mark {
    before: u64,
    interrupted: Option<Interruption>,
    live: Option<Opening>,
    dropped: u64,
}

#[derive(Debug)]
struct Interruption {
    id: ConnectionId,
    failure: Option<Failure>,
}

#[derive(Debug)]
struct Opening {
    id: ConnectionId,
    /// Whether nothing of the connection has been in-band before.
    opens: bool,
}

impl Mark {
    const fn before(item: u64) -> Self {
        Self { before: item, interrupted: None, live: None, dropped: 0 }
    }

    const fn is_empty(&self) -> bool {
        self.interrupted.is_none() && self.live.is_none() && self.dropped == 0
    }

    /// A connection that opened and ended here leaves no trace; otherwise the first interruption is the one that broke
    /// what the consumer has.
    fn interrupt(&mut self, interruption: Interruption) {
        match self.live.take() {
            Some(Opening { opens: true, .. }) => {}
            Some(Opening { opens: false, .. }) | None => {
                self.interrupted.get_or_insert(interruption);
            }
        }
    }

    fn append(&mut self, later: Self) {
        if let Some(interruption) = later.interrupted {
            self.interrupt(interruption);
        }
        if later.live.is_some() {
            self.live = later.live;
        }
        self.dropped = self.dropped.saturating_add(later.dropped);
    }

    /// `Dropped` comes last: a consumer that starts afresh at `Live` must not take what was dropped after it for whole.
    fn take<T>(&mut self) -> Option<Delivery<T>> {
        if let Some(Interruption { id, failure }) = self.interrupted.take() {
            return Some(Delivery::Interrupted { id, failure });
        }
        if let Some(Opening { id, .. }) = self.live.take() {
            return Some(Delivery::Live { id });
        }
        match core::mem::take(&mut self.dropped) {
            0 => None,
            count => Some(Delivery::Dropped { count }),
        }
    }
}
