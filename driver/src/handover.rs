//! Between the task that drives a feed and its consumer: whole batches, one lock and at most one wake-up for each.

use std::collections::VecDeque;
use std::iter;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};

use tidegate_core::{Delivery, FrameHandler, Machine, StopReason, Timestamp};

use crate::control::Control;
use crate::engine::{Consumer, Engine};
use crate::runtime::Runtime;
use crate::sync::{AtomicWaker, Mutex, MutexGuard};

/// Marks cost no demand; this many beyond the items wait here at most, the others fold in the machine's queue.
const SPARE_MARKS: usize = 16;
/// Once this much waits here, the rest stays in the machine's queue, which is bounded in bytes (D3).
const MAX_BYTES: u64 = 512 * 1024;

/// The place where deliveries change hands.
pub(crate) struct Handover<T> {
    inner: Mutex<Inner<T>>,
    consumer: AtomicWaker,
    control: Arc<Control>,
    capacity: usize,
}

struct Inner<T> {
    ready: VecDeque<Delivery<T>>,
    /// What the items in it weigh, in bytes.
    weight: u64,
    /// Requested by the consumer, not yet passed on to the machine.
    requested: u64,
    /// After the last exchange something was left in the machine, for more demand or more room to set free.
    left_behind: bool,
    /// The consumer is gone.
    abandoned: bool,
    end: Option<StopReason>,
}

impl<T> Handover<T> {
    pub(crate) fn new(control: Arc<Control>, max_demand: u32) -> Arc<Self> {
        let capacity = usize::try_from(max_demand).unwrap_or(usize::MAX).saturating_add(SPARE_MARKS);
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

    /// The consumer wants this many items more (D5).
    pub(crate) fn request(&self, items: u64) {
        let mut inner = self.lock();
        inner.requested = inner.requested.saturating_add(items);
        let left_behind = inner.left_behind;
        drop(inner);
        // Otherwise it is soon enough when there is something to hand over.
        if left_behind {
            self.control.wake_driver();
        }
    }

    /// Moves all there is into `batch`, which is empty, but for the first. Ready with a reason once there is nothing and
    /// never will be.
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
        // What came before the waker was there has woken nobody.
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

    /// The consumer is gone: nobody will take anything any more (S4).
    pub(crate) fn abandon(&self) {
        let mut inner = self.lock();
        inner.abandoned = true;
        inner.left_behind = false;
        let unwanted = std::mem::take(&mut inner.ready);
        drop(inner);
        self.control.shut_down();
        drop(unwanted);
    }

    /// Passes demand on, and deliveries; whether there were any.
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
            let queued = machine.queued_bytes();
            // Where there is room no mark stays behind, since marks cost no demand; items may.
            let Some(delivery) = machine.poll_delivery(now) else { break machine.stats().queued > 0 };
            inner.weight += queued - machine.queued_bytes();
            inner.ready.push_back(delivery);
        };
        let moved = inner.ready.len() > before;
        drop(inner);
        if moved {
            self.consumer.wake();
        }
        moved
    }

    /// Moves items while nothing is to be told between them.
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

    /// The task is over. The first reason stands.
    fn finish(&self, reason: StopReason) {
        self.lock().end.get_or_insert(reason);
        self.consumer.wake();
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        // No code of the application runs under the lock, wakers included; the values are whole even if it is poisoned.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The background task: drives a feed until it has stopped and all is taken, or nobody is there to take it.
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
    /// A task that yields may go on in another thread, which has to be woken for it.
    const ROUNDS: usize = 4;
    /// After each the consumer is woken, and perhaps a thread.
    const FRAMES: usize = 1000;
    const BYTES: usize = 256 * 1024;

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
            // Neither the machine nor the loop has caught it: it is the runtime's, or of a value that is dropped.
            Err(panic) => {
                exchange.handover.finish(StopReason::HandlerPanicked);
                resume_unwind(panic)
            }
        }
    }
}

/// Whatever ends the task ends the consumer's stream: nothing hangs (H5).
impl<T> Drop for Exchange<T> {
    fn drop(&mut self) {
        self.handover.finish(StopReason::Shutdown);
    }
}
