//! What a handler may ask for while it is called (H4).

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::time::Duration;

use super::{FrameHandler, SendError, checked};
use crate::demand::Queue;
use crate::event::Connected;
use crate::failure::Fault;
use crate::frame::{ConnectionId, Message};
use crate::outbox::Outbox;
use crate::time::Timestamp;
use crate::timers::{Timer, TimerKey, Timers};

/// Access to the connection and the feed while a handler is called.
pub struct Context<'a, T> {
    pub(crate) now: Timestamp,
    pub(crate) connection: ConnectionId,
    /// Number of handlers around this one.
    pub(crate) depth: u32,
    pub(crate) emitter: Emitter<'a, T>,
    /// Receives messages to send. `None` without a connection.
    pub(crate) outbox: Option<&'a mut Outbox>,
    pub(crate) timers: &'a mut Timers,
    pub(crate) requests: &'a mut Option<Requests>,
}

/// Requests that count once per call. The machine carries them out afterwards. Almost no call makes any.
#[derive(Default)]
pub(crate) struct Requests {
    /// Depths of the handlers that have declared the connection ready.
    pub(crate) ready: BTreeSet<u32>,
    pub(crate) reconnect: bool,
}

/// Emits items. Part of [`Context`].
pub struct Emitter<'a, T>(pub(crate) Emission<'a, T>);

pub(crate) enum Emission<'a, T> {
    Queue {
        queue: &'a mut Queue<T>,
        /// [`FrameHandler::weight`].
        weigh: fn(&T) -> usize,
    },
    /// To the handler around this one.
    Outer(&'a mut dyn FnMut(T)),
}

impl<T> Emitter<'_, T> {
    /// Emits an item for the consumer.
    #[inline(always)]
    pub fn emit(&mut self, item: T) {
        match &mut self.0 {
            Emission::Queue { queue, weigh } => {
                // An item's own size is memory too (D3).
                let weight = weigh(&item).max(size_of::<T>());
                queue.stage(item, weight);
            }
            Emission::Outer(emit) => emit(item),
        }
    }

    fn reborrow(&mut self) -> Emitter<'_, T> {
        Emitter(match &mut self.0 {
            Emission::Queue { queue, weigh } => Emission::Queue { queue, weigh: *weigh },
            Emission::Outer(emit) => Emission::Outer(emit),
        })
    }
}

impl<T> Context<'_, T> {
    /// Returns the time of the current event.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Returns the current connection. Without one, this is the last one.
    #[must_use]
    pub const fn connection(&self) -> ConnectionId {
        self.connection
    }

    /// Emits an item for the consumer.
    #[inline(always)]
    pub fn emit(&mut self, item: T) {
        self.emitter.emit(item);
    }

    /// Sends a message on this connection, after those before it.
    ///
    /// # Errors
    /// Returns the message in an error if the outgoing queue is full, if a text message is not UTF-8, or if there is no
    /// connection.
    pub fn send(&mut self, message: impl Into<Message>) -> Result<(), SendError> {
        let message = message.into();
        let Some(outbox) = self.outbox.as_mut() else { return Err(SendError::NotLive(message)) };
        if outbox.is_full() {
            return Err(SendError::Full(message));
        }
        outbox.push(checked(message)?);
        Ok(())
    }

    /// Sets a timer, or moves it: [`FrameHandler::on_timer`] is called at `at`. A time in the past means as soon as
    /// possible.
    ///
    /// A connection may have any number of timers. They end with it. While reading is paused they stand still, since
    /// what a timer waits for cannot arrive: they are later by the length of the pause.
    pub fn set_timer(&mut self, key: TimerKey, at: Timestamp) {
        self.timers.set(Timer { depth: self.depth, key }, at.max(self.now.next()));
    }

    /// Sets a timer that is due after `span`. See [`set_timer`](Self::set_timer).
    pub fn set_timer_in(&mut self, key: TimerKey, span: Duration) {
        self.set_timer(key, self.now.saturating_add(span));
    }

    /// Cancels a timer. Has no effect if it is not set.
    pub fn cancel_timer(&mut self, key: TimerKey) {
        self.timers.cancel(Timer { depth: self.depth, key });
    }

    /// Declares the connection ready, for a handler that has called [`Upgrade::wait_for_ready`].
    pub fn ready(&mut self) {
        let depth = self.depth;
        self.requests().ready.insert(depth);
    }

    /// Requests a new connection. This one is closed, and the retry policy decides when the next attempt is made.
    pub fn reconnect(&mut self) {
        self.requests().reconnect = true;
    }

    fn requests(&mut self) -> &mut Requests {
        self.requests.get_or_insert_default()
    }

    /// Lends this context to an inner handler, whose items are emitted as they are.
    ///
    /// The inner handler has timers of its own, and is ready by its own declaration. Lend to one inner handler only: two
    /// would share their timers.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tidegate_core::{Context, Fault, FrameHandler, InnerTimer, Message, TimerKey, Upgrade};
    ///
    /// /// Sends a heartbeat every ten seconds, whatever the inner handler does.
    /// struct Heartbeat<H>(H);
    ///
    /// const BEAT: TimerKey = TimerKey(0);
    ///
    /// impl<H: FrameHandler> FrameHandler for Heartbeat<H> {
    ///     type Session = H::Session;
    ///     type Item = H::Item;
    ///
    ///     fn on_upgrade(&mut self, upgrade: &mut Upgrade<'_>) -> Result<H::Session, Fault> {
    ///         upgrade.set_timer_in(BEAT, Duration::from_secs(10));
    ///         self.0.on_upgrade(&mut upgrade.lend())
    ///     }
    ///
    ///     fn on_message(&mut self, session: &mut H::Session, message: Message, cx: &mut Context<'_, H::Item>) -> Result<(), Fault> {
    ///         self.0.on_message(session, message, &mut cx.lend())
    ///     }
    ///
    ///     fn on_timer(&mut self, _: &mut H::Session, _: TimerKey, cx: &mut Context<'_, H::Item>) -> Result<(), Fault> {
    ///         cx.set_timer_in(BEAT, Duration::from_secs(10));
    ///         cx.send("ping")?;
    ///         Ok(())
    ///     }
    ///
    ///     fn on_inner_timer(&mut self, session: &mut H::Session, timer: InnerTimer, cx: &mut Context<'_, H::Item>) -> Result<(), Fault> {
    ///         timer.fire(&mut self.0, session, &mut cx.lend())
    ///     }
    ///     // In the same way: on_live, on_end and weight.
    /// }
    /// ```
    #[inline(always)]
    pub fn lend(&mut self) -> Context<'_, T> {
        Context {
            now: self.now,
            connection: self.connection,
            depth: self.depth + 1,
            emitter: self.emitter.reborrow(),
            outbox: self.outbox.as_deref_mut(),
            timers: self.timers,
            requests: self.requests,
        }
    }

    /// Lends this context to an inner handler with items of another type, while `call` runs. `emit` is called with each
    /// of its items, and may emit any number of items for it.
    ///
    /// All else is as for [`lend`](Self::lend).
    #[inline(always)]
    pub fn lend_mapped<U, R>(
        &mut self,
        mut emit: impl FnMut(U, &mut Emitter<'_, T>),
        call: impl FnOnce(&mut Context<'_, U>) -> R,
    ) -> R {
        let Self { emitter, .. } = self;
        let mut emit = |item| emit(item, emitter);
        call(&mut Context {
            now: self.now,
            connection: self.connection,
            depth: self.depth + 1,
            emitter: Emitter(Emission::Outer(&mut emit)),
            outbox: self.outbox.as_deref_mut(),
            timers: self.timers,
            requests: self.requests,
        })
    }
}

/// A timer of an inner handler that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InnerTimer(Timer);

impl InnerTimer {
    /// Calls `handler`, whose timer this is, or a handler inside it has. `cx` is the context lent to it.
    ///
    /// # Errors
    /// Returns the handler's fault.
    pub fn fire<H: FrameHandler>(
        self,
        handler: &mut H,
        session: &mut H::Session,
        cx: &mut Context<'_, H::Item>,
    ) -> Result<(), Fault> {
        if self.0.depth == cx.depth {
            handler.on_timer(session, self.0.key, cx)
        } else {
            handler.on_inner_timer(session, self, cx)
        }
    }
}

impl From<Timer> for InnerTimer {
    fn from(timer: Timer) -> Self {
        Self(timer)
    }
}

/// Access to a new connection right after its upgrade.
pub struct Upgrade<'a> {
    pub(crate) now: Timestamp,
    pub(crate) connection: ConnectionId,
    /// Number of handlers around this one.
    pub(crate) depth: u32,
    pub(crate) connected: &'a Connected,
    pub(crate) sends: &'a mut Vec<Message>,
    pub(crate) timers: &'a mut Timers,
    /// Depths of the handlers that are to declare the connection ready.
    pub(crate) awaited: &'a mut BTreeSet<u32>,
}

impl Upgrade<'_> {
    /// Returns the time of the upgrade.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Returns the new connection.
    #[must_use]
    pub const fn connection(&self) -> ConnectionId {
        self.connection
    }

    /// Returns facts about the connection: the headers of the server's answer, and the subprotocol that it chose.
    #[must_use]
    pub const fn connected(&self) -> &Connected {
        self.connected
    }

    /// Sends a bootstrap frame. Bootstrap frames go out in order, and the bound on the outgoing queue does not apply to
    /// them.
    ///
    /// Text that is not UTF-8 ends the attempt with a fatal fault.
    pub fn send(&mut self, message: impl Into<Message>) {
        self.sends.push(message.into());
    }

    /// Holds the connection back: it is Live only after this handler has also called [`Context::ready`], for instance
    /// because it has seen every acknowledgement. Without this call, a connection is Live once all bootstrap frames are
    /// flushed to the operating system.
    pub fn wait_for_ready(&mut self) {
        self.awaited.insert(self.depth);
    }

    /// Returns whether a handler has called [`wait_for_ready`](Self::wait_for_ready).
    #[must_use]
    pub fn waits_for_ready(&self) -> bool {
        !self.awaited.is_empty()
    }

    /// Sets a timer. See [`Context::set_timer`].
    pub fn set_timer(&mut self, key: TimerKey, at: Timestamp) {
        self.timers.set(Timer { depth: self.depth, key }, at.max(self.now.next()));
    }

    /// Sets a timer that is due after `span`. See [`Context::set_timer`].
    pub fn set_timer_in(&mut self, key: TimerKey, span: Duration) {
        self.set_timer(key, self.now.saturating_add(span));
    }

    /// Lends this access to an inner handler. See [`Context::lend`].
    pub fn lend(&mut self) -> Upgrade<'_> {
        Upgrade {
            now: self.now,
            connection: self.connection,
            depth: self.depth + 1,
            connected: self.connected,
            sends: self.sends,
            timers: self.timers,
            awaited: self.awaited,
        }
    }
}
