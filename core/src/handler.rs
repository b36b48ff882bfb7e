//! The frame handler, which turns messages into items, and what it may ask for (H1-H5).

use alloc::vec::Vec;
use core::marker::PhantomData;

use crate::bootstrap::Readiness;
use crate::demand::Queue;
use crate::failure::Fault;
use crate::frame::{ConnectionId, Message};
use crate::outbox::Outbox;
use crate::time::Timestamp;

/// Turns messages into items.
///
/// A handler performs no I/O. It asks for everything through [`Context`] and [`Upgrade`] (H4).
pub trait FrameHandler {
    /// State of one connection. [`on_upgrade`](Self::on_upgrade) creates it, and it is dropped with the connection
    /// (H1).
    type Session;
    /// An item for the consumer.
    type Item;

    /// Creates the session of a new connection, after every upgrade, reconnects included. Sends what the connection
    /// needs before it is Live, such as subscriptions (B1).
    ///
    /// # Errors
    /// Returning a [`Fault`] ends the attempt (B4).
    fn on_upgrade(&mut self, upgrade: &mut Upgrade<'_>) -> Result<Self::Session, Fault>;

    /// Handles one data message. Messages are passed in order of arrival (H2). The handler may emit any number of
    /// items.
    ///
    /// # Errors
    /// Returning a [`Fault`] ends the connection, or the feed if the fault is fatal (H3). Items that were emitted
    /// before it remain.
    fn on_message(
        &mut self,
        session: &mut Self::Session,
        message: Message,
        cx: &mut Context<'_, Self::Item>,
    ) -> Result<(), Fault>;

    /// Called at the time that was passed to `wake_at`. During a pause of reading, the call waits until reading resumes
    /// (D3).
    ///
    /// # Errors
    /// The same as for [`on_message`](Self::on_message).
    fn on_wake(
        &mut self,
        session: &mut Self::Session,
        cx: &mut Context<'_, Self::Item>,
    ) -> Result<(), Fault> {
        let _ = (session, cx);
        Ok(())
    }

    /// Returns the condition for a connection to be Live (B2). Default [`Readiness::WhenFlushed`].
    fn readiness(&self) -> Readiness {
        Readiness::WhenFlushed
    }

    /// Returns the weight of an item, in bytes, which counts against `buffer_bytes` (D3). Called once per item, when it
    /// is emitted.
    ///
    /// The default is the item's own size, without what it points to. An item never counts for less.
    fn weight(item: &Self::Item) -> usize
    where
        Self: Sized,
    {
        let _ = item;
        size_of::<Self::Item>()
    }

    /// Adds frames to send after every upgrade, before those that the handler itself sends.
    fn with_bootstrap<F, I>(self, frames: F) -> WithBootstrap<Self, F>
    where
        Self: Sized,
        F: FnMut(ConnectionId) -> Result<I, Fault>,
        I: IntoIterator,
        I::Item: Into<Message>,
    {
        WithBootstrap { handler: self, frames }
    }
}

/// Access to the connection and the feed while a handler handles a message or a wake-up (H4).
pub struct Context<'a, T> {
    pub(crate) now: Timestamp,
    pub(crate) connection: ConnectionId,
    /// Receives messages to send.
    pub(crate) outbox: &'a mut Outbox,
    /// Receives items.
    pub(crate) queue: &'a mut Queue<T>,
    /// [`FrameHandler::weight`].
    pub(crate) weigh: fn(&T) -> usize,
    pub(crate) requests: &'a mut Option<Requests>,
}

/// Requests that count once per call. The machine carries them out afterwards. Almost no call makes any.
#[derive(Clone, Copy, Default)]
pub(crate) struct Requests {
    pub(crate) wake_at: Option<Timestamp>,
    pub(crate) ready: bool,
    pub(crate) reconnect: bool,
}

impl<T> Context<'_, T> {
    /// Returns the time of the current event.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Returns the current connection.
    #[must_use]
    pub const fn connection(&self) -> ConnectionId {
        self.connection
    }

    /// Emits an item for the consumer.
    #[inline(always)]
    pub fn emit(&mut self, item: T) {
        // An item's own size is memory too (D3).
        let weight = (self.weigh)(&item).max(size_of::<T>());
        self.queue.stage(item, weight);
    }

    /// Sends a message on this connection, after those before it.
    ///
    /// # Errors
    /// Returns the message in an error if the outgoing queue is full (O3), or if a text message is not UTF-8.
    pub fn send(&mut self, message: impl Into<Message>) -> Result<(), SendError> {
        let message = message.into();
        if self.outbox.is_full() {
            return Err(SendError::Full(message));
        }
        self.outbox.push(checked(message)?);
        Ok(())
    }

    /// Requests a call of [`FrameHandler::on_wake`] at `at`. Each connection has one such time, which a later call
    /// replaces. A time in the past means as soon as possible.
    pub fn wake_at(&mut self, at: Timestamp) {
        self.requests().wake_at = Some(at);
    }

    /// Declares the connection ready, for a handler with [`Readiness::WhenDeclared`] (B2).
    pub fn ready(&mut self) {
        self.requests().ready = true;
    }

    /// Requests a new connection. This one is closed, and the retry policy decides when the next attempt is made.
    pub fn reconnect(&mut self) {
        self.requests().reconnect = true;
    }

    fn requests(&mut self) -> &mut Requests {
        self.requests.get_or_insert_default()
    }
}

/// Access to a new connection right after its upgrade (B1).
pub struct Upgrade<'a> {
    pub(crate) now: Timestamp,
    pub(crate) connection: ConnectionId,
    pub(crate) sends: &'a mut Vec<Message>,
    pub(crate) requests: &'a mut Option<Requests>,
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

    /// Sends a bootstrap frame. Bootstrap frames go out in order, and the bound on the outgoing queue does not apply to
    /// them.
    ///
    /// Text that is not UTF-8 ends the attempt with a fatal fault.
    pub fn send(&mut self, message: impl Into<Message>) {
        self.sends.push(message.into());
    }

    /// Requests a call of [`FrameHandler::on_wake`] at `at`. A later call replaces the time.
    pub fn wake_at(&mut self, at: Timestamp) {
        self.requests.get_or_insert_default().wake_at = Some(at);
    }
}

/// Why a message was not accepted for sending (O1, O3). [`into_message`](Self::into_message) returns the message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The feed is not Live.
    NotLive(Message),
    /// The outgoing queue is full. Try again after some of it has been sent.
    Full(Message),
    /// The message is text, but not UTF-8 (RFC 6455 §8.1).
    NotUtf8(Message),
}

impl SendError {
    /// Returns the message that was not accepted.
    #[must_use]
    pub fn into_message(self) -> Message {
        match self {
            Self::NotLive(message) | Self::Full(message) | Self::NotUtf8(message) => message,
        }
    }
}

impl core::fmt::Display for SendError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::NotLive(_) => "the message was not sent: the feed is not live",
            Self::Full(_) => "the message was not sent: the outgoing queue is full",
            Self::NotUtf8(_) => "the message was not sent: it is a text message, but not UTF-8",
        })
    }
}

impl core::error::Error for SendError {}

/// Refuses text that is not UTF-8, for which the peer would fail the connection (RFC 6455 §8.1).
pub(crate) fn checked(message: Message) -> Result<Message, SendError> {
    match &message {
        Message::Text(text) if core::str::from_utf8(text).is_err() => Err(SendError::NotUtf8(message)),
        Message::Text(_) | Message::Binary(_) => Ok(message),
    }
}

/// A handler that emits every message unchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PassThrough;

impl FrameHandler for PassThrough {
    type Session = ();
    type Item = Message;

    fn on_upgrade(&mut self, _upgrade: &mut Upgrade<'_>) -> Result<(), Fault> {
        Ok(())
    }

    #[inline(always)]
    fn on_message(
        &mut self,
        _session: &mut (),
        message: Message,
        cx: &mut Context<'_, Message>,
    ) -> Result<(), Fault> {
        cx.emit(message);
        Ok(())
    }

    /// Returns the payload's length (D3).
    fn weight(item: &Message) -> usize {
        item.len()
    }
}

/// The result of a [`from_fn`] closure for one message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step<T> {
    /// Emit these items.
    Emit(Vec<T>),
    /// Emit nothing. The message still counts as heard.
    Skip,
    /// End the connection, or the feed if the fault is fatal.
    Fail(Fault),
}

/// Creates a handler from a closure and a state. Each connection starts with a clone of `initial` (H1).
///
/// ```
/// use tidegate_core::{Step, from_fn};
///
/// // Numbers the messages of each connection.
/// let handler = from_fn(0_u64, |message, count| {
///     *count += 1;
///     match message.as_text() {
///         Some(text) => Step::Emit(vec![format!("{count}: {text}")]),
///         None => Step::Skip,
///     }
/// });
/// # let _: tidegate_core::Machine<_> = tidegate_core::Machine::new(Default::default(), handler, 0);
/// ```
pub fn from_fn<S, T, F>(initial: S, f: F) -> FromFn<S, T, F>
where
    S: Clone,
    F: FnMut(Message, &mut S) -> Step<T>,
{
    FromFn { initial, f, item: PhantomData }
}

/// Handler returned by [`from_fn`].
#[derive(Debug)]
pub struct FromFn<S, T, F> {
    initial: S,
    f: F,
    item: PhantomData<fn() -> T>,
}

impl<S, T, F> FrameHandler for FromFn<S, T, F>
where
    S: Clone,
    F: FnMut(Message, &mut S) -> Step<T>,
{
    type Session = S;
    type Item = T;

    fn on_upgrade(&mut self, _upgrade: &mut Upgrade<'_>) -> Result<S, Fault> {
        Ok(self.initial.clone())
    }

    fn on_message(&mut self, state: &mut S, message: Message, cx: &mut Context<'_, T>) -> Result<(), Fault> {
        match (self.f)(message, state) {
            Step::Emit(items) => {
                items.into_iter().for_each(|item| cx.emit(item));
                Ok(())
            }
            Step::Skip => Ok(()),
            Step::Fail(fault) => Err(fault),
        }
    }
}

/// Handler returned by [`FrameHandler::with_bootstrap`].
#[derive(Debug)]
pub struct WithBootstrap<H, F> {
    handler: H,
    frames: F,
}

impl<H, F, I> FrameHandler for WithBootstrap<H, F>
where
    H: FrameHandler,
    F: FnMut(ConnectionId) -> Result<I, Fault>,
    I: IntoIterator,
    I::Item: Into<Message>,
{
    type Session = H::Session;
    type Item = H::Item;

    fn on_upgrade(&mut self, upgrade: &mut Upgrade<'_>) -> Result<H::Session, Fault> {
        for frame in (self.frames)(upgrade.connection)? {
            upgrade.send(frame);
        }
        self.handler.on_upgrade(upgrade)
    }

    fn on_message(
        &mut self,
        session: &mut H::Session,
        message: Message,
        cx: &mut Context<'_, H::Item>,
    ) -> Result<(), Fault> {
        self.handler.on_message(session, message, cx)
    }

    fn on_wake(&mut self, session: &mut H::Session, cx: &mut Context<'_, H::Item>) -> Result<(), Fault> {
        self.handler.on_wake(session, cx)
    }

    fn readiness(&self) -> Readiness {
        self.handler.readiness()
    }

    fn weight(item: &H::Item) -> usize {
        H::weight(item)
    }
}
