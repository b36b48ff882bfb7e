//! What the application does with messages: the handler, and what it may ask for (H1-H5).

use alloc::vec::Vec;
use core::marker::PhantomData;

use crate::bootstrap::Readiness;
use crate::demand::Queue;
use crate::failure::Fault;
use crate::frame::{ConnectionId, Message};
use crate::outbox::Outbox;
use crate::time::Timestamp;

/// Turns messages into items. It never performs I/O: everything it wants is data, said through [`Context`] (H4).
pub trait FrameHandler {
    /// What belongs to one connection. Made anew by [`on_upgrade`](Self::on_upgrade), dropped with the connection (H1).
    type Session;
    /// What the consumer is given.
    type Item;

    /// Runs after every upgrade, reconnects included: makes the session, and sends what the connection needs before it
    /// may count as Live, such as subscriptions (B1).
    ///
    /// # Errors
    /// A [`Fault`] ends the attempt (B4).
    fn on_upgrade(&mut self, upgrade: &mut Upgrade<'_>) -> Result<Self::Session, Fault>;

    /// One call per data message, in order of arrival (H2). Emit none, one or many items.
    ///
    /// # Errors
    /// A [`Fault`] ends the connection, or the feed if it is fatal (H3). What was emitted before it stands.
    fn on_message(
        &mut self,
        session: &mut Self::Session,
        message: Message,
        cx: &mut Context<'_, Self::Item>,
    ) -> Result<(), Fault>;

    /// Called at the time that was asked for with `wake_at`, or as soon as reading goes on if it is held back then (D3).
    ///
    /// # Errors
    /// As [`on_message`](Self::on_message).
    fn on_wake(
        &mut self,
        session: &mut Self::Session,
        cx: &mut Context<'_, Self::Item>,
    ) -> Result<(), Fault> {
        let _ = (session, cx);
        Ok(())
    }

    /// When a connection may count as Live (B2).
    fn readiness(&self) -> Readiness {
        Readiness::WhenFlushed
    }

    /// What an item weighs against `buffer_bytes`, in bytes (D3); asked once, when it is emitted. By default its own size,
    /// without what it points to, which is also the least that it counts for.
    fn weight(item: &Self::Item) -> usize
    where
        Self: Sized,
    {
        let _ = item;
        size_of::<Self::Item>()
    }

    /// Sends what `frames` returns after every upgrade, before what the handler itself sends.
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

/// What a handler sees and may ask for while it handles a message or a wake-up (H4).
pub struct Context<'a, T> {
    pub(crate) now: Timestamp,
    pub(crate) connection: ConnectionId,
    /// Where messages go.
    pub(crate) outbox: &'a mut Outbox,
    /// Where items go.
    pub(crate) queue: &'a mut Queue<T>,
    /// [`FrameHandler::weight`].
    pub(crate) weigh: fn(&T) -> usize,
    pub(crate) requests: &'a mut Option<Requests>,
}

/// What a handler asks for at most once in a call. The machine carries it out afterwards; nearly every call asks for nothing.
#[derive(Clone, Copy, Default)]
pub(crate) struct Requests {
    pub(crate) wake_at: Option<Timestamp>,
    pub(crate) ready: bool,
    pub(crate) reconnect: bool,
}

impl<T> Context<'_, T> {
    /// The time of the event in hand.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// The connection it came on.
    #[must_use]
    pub const fn connection(&self) -> ConnectionId {
        self.connection
    }

    /// Gives the consumer an item.
    #[inline(always)]
    pub fn emit(&mut self, item: T) {
        // Its place in the queue is memory too (D3).
        let weight = (self.weigh)(&item).max(size_of::<T>());
        self.queue.stage(item, weight);
    }

    /// Sends a message on this connection, after those before it.
    ///
    /// # Errors
    /// If the outgoing queue is full, or text is not UTF-8; the message comes back (O3).
    pub fn send(&mut self, message: impl Into<Message>) -> Result<(), SendError> {
        let message = message.into();
        if self.outbox.is_full() {
            return Err(SendError::Full(message));
        }
        self.outbox.push(checked(message)?);
        Ok(())
    }

    /// Asks for a call of [`FrameHandler::on_wake`] at `at`. There is one such time per connection; the latest call
    /// counts.
    pub fn wake_at(&mut self, at: Timestamp) {
        self.requests().wake_at = Some(at);
    }

    /// Declares the connection ready, if [`Readiness::WhenDeclared`] holds it back (B2).
    pub fn ready(&mut self) {
        self.requests().ready = true;
    }

    /// Asks for a new connection: this one is closed, and the retry policy decides when the next is made.
    pub fn reconnect(&mut self) {
        self.requests().reconnect = true;
    }

    fn requests(&mut self) -> &mut Requests {
        self.requests.get_or_insert_default()
    }
}

/// What a handler sees and may ask for right after an upgrade (B1).
pub struct Upgrade<'a> {
    pub(crate) now: Timestamp,
    pub(crate) connection: ConnectionId,
    pub(crate) sends: &'a mut Vec<Message>,
    pub(crate) requests: &'a mut Option<Requests>,
}

impl Upgrade<'_> {
    /// The time of the upgrade.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// The new connection.
    #[must_use]
    pub const fn connection(&self) -> ConnectionId {
        self.connection
    }

    /// Sends a bootstrap frame. They go out in order, and the bound on the outgoing queue does not hold for them.
    pub fn send(&mut self, message: impl Into<Message>) {
        self.sends.push(message.into());
    }

    /// Asks for a call of [`FrameHandler::on_wake`] at `at`.
    pub fn wake_at(&mut self, at: Timestamp) {
        self.requests.get_or_insert_default().wake_at = Some(at);
    }
}

/// Why a message was not accepted for sending. It comes back, whatever the reason, with
/// [`into_message`](Self::into_message): nothing is lost (O1, O3).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The feed is not Live.
    NotLive(Message),
    /// The outgoing queue is full; try again when some of it has gone out.
    Full(Message),
    /// Text that is not UTF-8 (RFC 6455 §8.1).
    NotUtf8(Message),
}

impl SendError {
    /// The message that was not accepted.
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

/// Text goes out only if it is UTF-8: the peer would fail the connection (RFC 6455 §8.1).
pub(crate) fn checked(message: Message) -> Result<Message, SendError> {
    match &message {
        Message::Text(text) if core::str::from_utf8(text).is_err() => Err(SendError::NotUtf8(message)),
        Message::Text(_) | Message::Binary(_) => Ok(message),
    }
}

/// Every message is an item, as it came.
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

    /// The payload's length (D3).
    fn weight(item: &Message) -> usize {
        item.len()
    }
}

/// What a closure makes of one message: the reference's three outcomes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step<T> {
    /// Give the consumer these items.
    Emit(Vec<T>),
    /// Nothing to give; the message still counts as heard.
    Skip,
    /// Cannot go on.
    Fail(Fault),
}

/// A handler from a closure over some state. Each connection starts with a clone of `initial` (H1).
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

/// What [`from_fn`] returns.
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

/// What [`FrameHandler::with_bootstrap`] returns.
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
