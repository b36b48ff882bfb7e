//! What handles and the loop share: requests to the loop, and what it publishes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

use tidegate_core::{CloseFrame, ConnectionId, Message, Phase, SendError, Stats, StopReason};

use crate::observe::guarded;
use crate::sync::{AtomicWaker, Mutex, MutexGuard, oneshot};

/// State shared between handles and the loop.
pub(crate) struct Control {
    inner: Mutex<Inner>,
    driver: AtomicWaker,
    send_buffer: usize,
}

pub(crate) struct Inner {
    requests: Requests,
    pub(crate) phase: Phase,
    pub(crate) stats: Stats,
    pub(crate) stopped: Option<StopReason>,
    /// Wakers of tasks that wait for a change, by number.
    waiters: BTreeMap<u64, Waker>,
    waiters_so_far: u64,
}

/// Requests that the loop has not seen yet.
#[derive(Default)]
pub(crate) struct Requests {
    pub(crate) sends: VecDeque<SendRequest>,
    pub(crate) wishes: BTreeSet<Wish>,
    pub(crate) shutdown: Option<CloseFrame>,
}

/// A request that counts once, however often it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wish {
    Reconnect,
    RetryNow,
    Probe,
}

pub(crate) struct SendRequest {
    pub(crate) message: Message,
    /// `None` if nobody waits for the answer.
    pub(crate) reply: Option<oneshot::Sender<Result<ConnectionId, SendError>>>,
}

impl Inner {
    /// Returns whether the outgoing queue, whose bound is `send_buffer`, has room for another message (O3).
    pub(crate) fn has_room(&self, send_buffer: usize) -> bool {
        self.requests.sends.len() as u64 + self.stats.sending < send_buffer as u64
    }

    /// Takes a message for the loop. The caller has checked that the feed is Live and there is room.
    pub(crate) fn accept(&mut self, request: SendRequest) {
        self.requests.sends.push_back(request);
    }
}

impl Control {
    pub(crate) fn new(send_buffer: usize) -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::new(Inner {
                requests: Requests::default(),
                phase: Phase::Idle,
                stats: Stats::default(),
                stopped: None,
                waiters: BTreeMap::new(),
                waiters_so_far: 0,
            }),
            driver: AtomicWaker::new(),
            send_buffer,
        })
    }

    pub(crate) const fn send_buffer(&self) -> usize {
        self.send_buffer
    }

    /// Registers the loop's waker, which requests wake from now on.
    pub(crate) fn register(&self, waker: &Waker) {
        self.driver.register(waker);
    }

    pub(crate) fn wake_driver(&self) {
        self.driver.wake();
    }

    pub(crate) fn shut_down(&self, close: CloseFrame) {
        self.lock().requests.shutdown = Some(close);
        self.wake_driver();
    }

    pub(crate) fn wish(&self, wish: Wish) {
        self.lock().requests.wishes.insert(wish);
        self.wake_driver();
    }

    /// Returns whether a shutdown has been asked for that the loop has not seen.
    pub(crate) fn wants_shutdown(&self) -> bool {
        self.lock().requests.shutdown.is_some()
    }

    /// Returns `None` if there are none.
    pub(crate) fn take_requests(&self) -> Option<Requests> {
        let mut inner = self.lock();
        let Requests { sends, wishes, shutdown } = &inner.requests;
        if sends.is_empty() && wishes.is_empty() && shutdown.is_none() {
            return None;
        }
        let requests = mem::take(&mut inner.requests);
        // They count as pending until the loop publishes new figures (O3).
        inner.stats.sending += requests.sends.len() as u64;
        Some(requests)
    }

    /// Publishes phase and figures. Wakes tasks that wait if the phase has changed, or there is more room.
    pub(crate) fn publish(&self, phase: Phase, stats: Stats, stopped: Option<&StopReason>) {
        let mut inner = self.lock();
        let more_room = stats.sending < inner.stats.sending;
        inner.stats = stats;
        let moved = inner.phase != phase;
        if !moved && !more_room {
            return;
        }
        let waiters = mem::take(&mut inner.waiters);
        let refused = if moved {
            inner.phase = phase;
            inner.stopped = stopped.cloned();
            // These were sent while the feed was Live. They must not wait for its next connection (O1), nor for another
            // poll, which a stopped feed may not get.
            mem::take(&mut inner.requests.sends)
        } else {
            VecDeque::new()
        };
        drop(inner);
        wake(waiters);
        for request in refused {
            // Dropping the reply wakes the sender.
            let _ = guarded(|| drop(request.reply));
        }
    }

    /// Wakes tasks that wait: there is more room for commands.
    pub(crate) fn wake_waiters(&self) {
        let waiters = mem::take(&mut self.lock().waiters);
        wake(waiters);
    }

    /// Notes that the loop has ended: requests are refused from now on.
    pub(crate) fn close(&self, stats: Stats, stopped: Option<&StopReason>) {
        self.publish(Phase::Stopped, stats, stopped);
        // Handles may live much longer than the loop, and must not keep its task alive.
        drop(self.driver.take());
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        // No code of the application runs under the lock, wakers included. So a poisoned lock still has consistent
        // values.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `ready` returns something. It is called under the lock, and again after each change.
    pub(crate) fn wait_until<T, F>(&self, ready: F) -> WaitUntil<'_, F>
    where
        F: FnMut(&mut Inner) -> Option<T> + Unpin,
    {
        WaitUntil { control: self, ready, waiter: None }
    }
}

/// Wakers are called without the lock, and one that panics must not keep the others from being woken (H5).
fn wake(waiters: BTreeMap<u64, Waker>) {
    for waker in waiters.into_values() {
        let _ = guarded(|| waker.wake());
    }
}

/// Future of [`Control::wait_until`].
pub(crate) struct WaitUntil<'a, F> {
    control: &'a Control,
    ready: F,
    waiter: Option<u64>,
}

impl<T, F> Future for WaitUntil<'_, F>
where
    F: FnMut(&mut Inner) -> Option<T> + Unpin,
{
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let Self { control, ready, waiter } = &mut *self;
        // Wakers are cloned and dropped without the lock, since they are code of others.
        let waker = cx.waker().clone();
        let mut inner = control.lock();
        if let Some(value) = ready(&mut inner) {
            return Poll::Ready(value);
        }
        let number = *waiter.get_or_insert_with(|| {
            inner.waiters_so_far += 1;
            inner.waiters_so_far
        });
        let former = inner.waiters.insert(number, waker);
        drop(inner);
        drop(former);
        Poll::Pending
    }
}

impl<F> Drop for WaitUntil<'_, F> {
    fn drop(&mut self) {
        if let Some(number) = self.waiter {
            let former = self.control.lock().waiters.remove(&number);
            drop(former);
        }
    }
}
