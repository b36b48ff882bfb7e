//! Hand-over from the task that drives a feed to its consumer, in batches: one lock and at most one wake-up for each.

use std::collections::VecDeque;
use std::iter;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};

use tidegate_core::{CloseFrame, Delivery, Event, FrameHandler, Machine, StopReason, Timestamp};

use crate::control::Control;
use crate::engine::{Consumer, Engine};
use crate::runtime::Runtime;
use crate::sync::{AtomicWaker, Mutex, MutexGuard};

/// Space for markers, beyond that for items, since markers cost no demand. Others wait in the machine's queue, which
/// merges them.
const SPARE_MARKERS: usize = 16;
/// Maximum weight of the items that wait here, in bytes. Others wait in the machine's queue, which is bounded in bytes
/// (D3).
const MAX_BYTES: u64 = 512 * 1024;

/// State shared between the task and the consumer.
pub(crate) struct Handover<T> {
    inner: Mutex<Inner<T>>,
    consumer: AtomicWaker,
    control: Arc<Control>,
    capacity: usize,
}

struct Inner<T> {
    ready: VecDeque<Delivery<T>>,
    /// Weight of the items in `ready`, in bytes.
    weight: u64,
    /// Number of items requested by the consumer and not yet passed on to the machine.
    requested: u64,
    /// Whether the last exchange left something in the machine, for lack of demand or space.
    left_behind: bool,
    /// Whether the consumer has been dropped.
    abandoned: bool,
    end: Option<StopReason>,
}

impl<T> Handover<T> {
    pub(crate) fn new(control: Arc<Control>, max_demand: u32) -> Arc<Self> {
        let capacity = usize::try_from(max_demand).unwrap_or(usize::MAX).saturating_add(SPARE_MARKERS);
        Arc::new(Self {
            inner: Mutex::new(Inner {
                ready: VecDeque::new(),
                weight: 0,
                requested: 0,
                left_behind: false,
                abandoned: false,
                end: None,
            }),
            consumer: AtomicWaker::new(),
            control,
            capacity,
        })
    }

    /// Adds to the demand (D5).
    pub(crate) fn request(&self, items: u64) {
        let mut inner = self.lock();
        inner.requested = inner.requested.saturating_add(items);
        let left_behind = inner.left_behind;
        drop(inner);
        // Otherwise the next hand-over passes the demand on.
        if left_behind {
            self.control.wake_driver();
        }
    }

    /// Returns the first delivery, and moves all others into `batch`, which is empty. Returns the reason once the feed
    /// has ended and all has been taken.
    pub(crate) fn poll_take(
        &self,
        cx: &Context<'_>,
        batch: &mut VecDeque<Delivery<T>>,
    ) -> Poll<Result<Delivery<T>, StopReason>> {
        let taken = self.take(batch);
        if taken.is_ready() {
            return taken;
        }
        self.consumer.register(cx.waker());
        // The waker was not woken for what arrived before it was registered.
        self.take(batch)
    }

    fn take(&self, batch: &mut VecDeque<Delivery<T>>) -> Poll<Result<Delivery<T>, StopReason>> {
        let mut inner = self.lock();
        let was_full = self.is_full(&inner);
        let Some(first) = inner.ready.pop_front() else {
            return inner.end.clone().map_or(Poll::Pending, |reason| Poll::Ready(Err(reason)));
        };
        std::mem::swap(&mut inner.ready, batch);
        inner.weight = 0;
        drop(inner);
        if was_full {
            self.control.wake_driver();
        }
        Poll::Ready(Ok(first))
    }

    /// Notes that the consumer has been dropped, which shuts the feed down (S4).
    pub(crate) fn abandon(&self) {
        let mut inner = self.lock();
        inner.abandoned = true;
        inner.left_behind = false;
        let unwanted = std::mem::take(&mut inner.ready);
        drop(inner);
        self.control.shut_down(CloseFrame::new(CloseFrame::NORMAL));
        drop(unwanted);
    }

    /// Passes demand and deliveries on. Returns whether there were deliveries.
    fn exchange<H: FrameHandler<Item = T>>(&self, machine: &mut Machine<H>, now: Timestamp) -> bool {
        let mut inner = self.lock();
        if inner.abandoned {
            return false;
        }
        let requested = std::mem::take(&mut inner.requested);
        if requested > 0 {
            machine.request(requested);
        }
        let before = inner.ready.len();
        inner.left_behind = loop {
            self.take_items(machine, &mut inner);
            if self.is_full(&inner) {
                break true;
            }
            let queued = machine.stats().queued_bytes;
            // No marker is left while there is space, since markers cost no demand. Items may be left.
            let Some(delivery) = machine.poll_delivery(now) else { break machine.stats().queued > 0 };
            inner.weight += queued - machine.stats().queued_bytes;
            inner.ready.push_back(delivery);
        };
        let moved = inner.ready.len() > before;
        drop(inner);
        if moved {
            self.consumer.wake();
        }
        moved
    }

    /// Moves items up to the next marker.
    fn take_items<H: FrameHandler<Item = T>>(&self, machine: &mut Machine<H>, inner: &mut Inner<T>) {
        let room = self.capacity.saturating_sub(inner.ready.len());
        let items = iter::from_fn(|| {
            if inner.weight >= MAX_BYTES {
                return None;
            }
            let (item, weight) = machine.poll_item()?;
            inner.weight += u64::from(weight);
            Some(Delivery::Item(item))
        });
        inner.ready.extend(items.take(room));
    }

    fn is_full(&self, inner: &Inner<T>) -> bool {
        inner.ready.len() >= self.capacity || inner.weight >= MAX_BYTES
    }

    fn has_left_behind(&self) -> bool {
        self.lock().left_behind
    }

    /// Notes that the task has ended. The first reason counts.
    fn finish(&self, reason: StopReason) {
        self.lock().end.get_or_insert(reason);
        self.consumer.wake();
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        // No code of the application runs under the lock, wakers included. So a poisoned lock still has consistent
        // values.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task of a spawned feed. It ends once the feed has stopped and all items have been handed over, or the consumer
/// is gone.
pub(crate) struct Task<R: Runtime, H: FrameHandler> {
    engine: Engine<R, H>,
    exchange: Exchange<H::Item>,
}

struct Exchange<T> {
    handover: Arc<Handover<T>>,
}

impl<R: Runtime, H: FrameHandler> Task<R, H> {
    pub(crate) const fn new(engine: Engine<R, H>, handover: Arc<Handover<H::Item>>) -> Self {
        Self { engine, exchange: Exchange { handover } }
    }
}

impl<H: FrameHandler> Consumer<H> for Exchange<H::Item> {
    /// A task that yields may continue on another thread, which must be woken for it.
    const ROUNDS: usize = 4;
    /// Each hand-over wakes the consumer, and perhaps a thread for it.
    const FRAMES: usize = 1000;
    const BYTES: i64 = 256 * 1024;

    fn hand_over(&mut self, machine: &mut Machine<H>, now: Timestamp) -> bool {
        self.handover.exchange(machine, now)
    }

    fn comes_back(&self) -> bool {
        false
    }
}

impl<R: Runtime, H: FrameHandler> Future for Task<R, H> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { engine, exchange } = &mut *self;
        match catch_unwind(AssertUnwindSafe(|| engine.poll(cx, exchange))) {
            Ok(Poll::Ready(reason)) if !exchange.handover.has_left_behind() => {
                exchange.handover.finish(reason);
                Poll::Ready(())
            }
            Ok(Poll::Ready(_) | Poll::Pending) => Poll::Pending,
            // The loop has caught panics of the application's functions. This one is of the runtime, or of a value's
            // `drop`.
            Err(panic) => {
                exchange.handover.finish(engine.cut_short(Event::HandlerPanicked));
                resume_unwind(panic)
            }
        }
    }
}

/// The runtime may drop the task at any time (S3).
impl<R: Runtime, H: FrameHandler> Drop for Task<R, H> {
    fn drop(&mut self) {
        let reason = self.engine.cut_short(Event::RuntimeStopped);
        self.exchange.handover.finish(reason);
    }
}

/// However the task ends, the consumer's stream ends too (H5).
impl<T> Drop for Exchange<T> {
    fn drop(&mut self) {
        self.handover.finish(StopReason::RuntimeStopped);
    }
}
