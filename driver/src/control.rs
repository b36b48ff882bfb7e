//! Commands of handles to the loop, and what the loop publishes for handles.

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

use tidegate_core::{Message, Phase, SendError, Stats};

use crate::observe::guarded;
use crate::sync::{AtomicWaker, Mutex, MutexGuard, oneshot};

/// A handle to a feed, which sends messages, shuts the feed down, and reads its phase and figures.
///
/// Handles can be cloned and used from any thread. Dropping them does not end the feed.
#[derive(Clone)]
pub struct FeedHandle {
    control: Arc<Control>,
}

/// State shared between handles and the loop.
pub(crate) struct Control {
    inner: Mutex<Inner>,
    driver: AtomicWaker,
    send_buffer: usize,
}

struct Inner {
    commands: Commands,
    phase: Phase,
    stats: Stats,
    /// Wakers of tasks that wait for another phase, by number.
    watchers: BTreeMap<u64, Waker>,
    watchers_so_far: u64,
}

/// Commands that the loop has not seen yet.
#[derive(Default)]
pub(crate) struct Commands {
    pub(crate) sends: VecDeque<SendCommand>,
    pub(crate) shutdown: bool,
}

pub(crate) struct SendCommand {
    pub(crate) message: Message,
    pub(crate) reply: oneshot::Sender<Result<(), SendError>>,
}

impl FeedHandle {
    pub(crate) const fn new(control: Arc<Control>) -> Self {
        Self { control }
    }

    /// Sends a message on the current connection, and on no other (O1).
    ///
    /// Completes once the feed has accepted the message. An inline feed accepts messages only while its stream is
    /// polled.
    ///
    /// # Errors
    /// Returns the message in an error if the feed is not Live, if the outgoing queue is full, or if a text message is
    /// not UTF-8.
    ///
    /// # Cancel safety
    /// This method is not cancel safe: if the future is dropped early, the message may or may not be sent.
    pub async fn send(&self, message: impl Into<Message>) -> Result<(), SendError> {
        let message = message.into();
        let (reply, answer) = oneshot::channel();
        let command = SendCommand { message: message.clone(), reply };
        {
            let mut inner = self.control.lock();
            if inner.phase != Phase::Live {
                return Err(SendError::NotLive(message));
            }
            if inner.commands.sends.len() as u64 + inner.stats.sending >= self.control.send_buffer as u64 {
                return Err(SendError::Full(message));
            }
            inner.commands.sends.push_back(command);
        }
        self.control.driver.wake();
        // The loop ended before it saw the message.
        answer.await.unwrap_or(Err(SendError::NotLive(message)))
    }

    /// Ends the feed with a closing handshake (S1). Items that are queued can still be taken from the stream.
    pub fn shutdown(&self) {
        self.control.shut_down();
    }

    /// Returns the phase that the feed is in.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.control.lock().phase
    }

    /// Waits until the feed is in a phase that `wanted` accepts, or has stopped. Returns the phase. A phase that ends
    /// before the calling task looks may be missed.
    pub async fn wait_for(&self, mut wanted: impl FnMut(Phase) -> bool) -> Phase {
        loop {
            let phase = self.phase();
            if wanted(phase) || phase == Phase::Stopped {
                return phase;
            }
            Change { control: &self.control, from: phase, watcher: None }.await;
        }
    }

    /// Returns the figures that were last published.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.control.lock().stats
    }
}

/// Future that is ready once the feed is in another phase than `from`.
struct Change<'a> {
    control: &'a Control,
    from: Phase,
    watcher: Option<u64>,
}

impl Future for Change<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // Wakers are cloned and dropped without the lock, since they are code of others.
        let waker = cx.waker().clone();
        let mut inner = self.control.lock();
        if inner.phase != self.from {
            return Poll::Ready(());
        }
        let watcher = *self.watcher.get_or_insert_with(|| {
            inner.watchers_so_far += 1;
            inner.watchers_so_far
        });
        let former = inner.watchers.insert(watcher, waker);
        drop(inner);
        drop(former);
        Poll::Pending
    }
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        if let Some(watcher) = self.watcher {
            let former = self.control.lock().watchers.remove(&watcher);
            drop(former);
        }
    }
}

impl std::fmt::Debug for FeedHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FeedHandle").field("phase", &self.phase()).finish_non_exhaustive()
    }
}

impl Control {
    pub(crate) fn new(send_buffer: usize) -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::new(Inner {
                commands: Commands::default(),
                phase: Phase::Idle,
                stats: Stats::default(),
                watchers: BTreeMap::new(),
                watchers_so_far: 0,
            }),
            driver: AtomicWaker::new(),
            send_buffer,
        })
    }

    /// Registers the loop's waker, which commands wake from now on.
    pub(crate) fn register(&self, waker: &Waker) {
        self.driver.register(waker);
    }

    pub(crate) fn wake_driver(&self) {
        self.driver.wake();
    }

    pub(crate) fn shut_down(&self) {
        self.lock().commands.shutdown = true;
        self.wake_driver();
    }

    /// Returns `None` if there are none.
    pub(crate) fn take_commands(&self) -> Option<Commands> {
        let mut inner = self.lock();
        if inner.commands.sends.is_empty() && !inner.commands.shutdown {
            return None;
        }
        let commands = mem::take(&mut inner.commands);
        // They count as pending until the loop publishes new figures (O3).
        inner.stats.sending += commands.sends.len() as u64;
        Some(commands)
    }

    /// Publishes phase and figures. Wakes watchers if the phase has changed.
    pub(crate) fn publish(&self, phase: Phase, stats: Stats) {
        let mut inner = self.lock();
        inner.stats = stats;
        if inner.phase == phase {
            return;
        }
        inner.phase = phase;
        let watchers = mem::take(&mut inner.watchers);
        // These were sent while the feed was Live. They must not wait for its next connection (O1), nor for another
        // poll, which a stopped feed may not get.
        let refused = mem::take(&mut inner.commands.sends);
        drop(inner);
        // Wakers are called without the lock, and one that panics must not keep the others from being woken.
        for watcher in watchers.into_values() {
            let _ = guarded(|| watcher.wake());
        }
        for command in refused {
            // Dropping the reply wakes the sender.
            let _ = guarded(|| drop(command.reply));
        }
    }

    /// Notes that the loop has ended: commands are refused from now on.
    pub(crate) fn close(&self, stats: Stats) {
        self.publish(Phase::Stopped, stats);
        // Handles may live much longer than the loop, and must not keep its task alive.
        drop(self.driver.take());
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No code of the application runs under the lock, wakers included. So a poisoned lock still has consistent
        // values.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
