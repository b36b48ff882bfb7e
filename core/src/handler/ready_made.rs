//! Handlers for common cases, and wrappers around other handlers.

use alloc::vec::Vec;
use core::convert::Infallible;
use core::marker::PhantomData;

use super::{CommandHandler, Context, FrameHandler, InnerTimer, Upgrade};
use crate::failure::{Failure, Fault};
use crate::frame::{ConnectionId, Message};
use crate::timers::TimerKey;

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

    /// Returns the payload's length.
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

/// Creates a handler from a closure and a state. Each connection starts with a clone of `initial`.
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

impl<H, F> WithBootstrap<H, F> {
    pub(super) const fn new(handler: H, frames: F) -> Self {
        Self { handler, frames }
    }
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
        for frame in (self.frames)(upgrade.connection())? {
            upgrade.send(frame);
        }
        self.handler.on_upgrade(upgrade)
    }

    // It asks for nothing, and so has no need to lend: the handler's context is this one's.
    #[inline(always)]
    fn on_message(
        &mut self,
        session: &mut H::Session,
        message: Message,
        cx: &mut Context<'_, H::Item>,
    ) -> Result<(), Fault> {
        self.handler.on_message(session, message, cx)
    }

    fn on_timer(
        &mut self,
        session: &mut H::Session,
        key: TimerKey,
        cx: &mut Context<'_, H::Item>,
    ) -> Result<(), Fault> {
        self.handler.on_timer(session, key, cx)
    }

    fn on_inner_timer(
        &mut self,
        session: &mut H::Session,
        timer: InnerTimer,
        cx: &mut Context<'_, H::Item>,
    ) -> Result<(), Fault> {
        self.handler.on_inner_timer(session, timer, cx)
    }

    fn on_live(&mut self, session: &mut H::Session, cx: &mut Context<'_, Infallible>) -> Result<(), Fault> {
        self.handler.on_live(session, cx)
    }

    fn on_end(&mut self, session: H::Session, why: Option<&Failure>) {
        self.handler.on_end(session, why);
    }

    fn weight(item: &H::Item) -> usize {
        H::weight(item)
    }
}

impl<H, F, I> CommandHandler for WithBootstrap<H, F>
where
    H: CommandHandler,
    F: FnMut(ConnectionId) -> Result<I, Fault>,
    I: IntoIterator,
    I::Item: Into<Message>,
{
    type Command = H::Command;

    fn on_command(
        &mut self,
        session: Option<&mut H::Session>,
        command: H::Command,
        cx: &mut Context<'_, H::Item>,
    ) -> Result<(), Fault> {
        self.handler.on_command(session, command, cx)
    }
}

/// Handler returned by [`FrameHandler::map`].
#[derive(Debug)]
pub struct Map<H, T, F> {
    handler: H,
    map: F,
    item: PhantomData<fn() -> T>,
}

impl<H, T, F> Map<H, T, F> {
    pub(super) const fn new(handler: H, map: F) -> Self {
        Self { handler, map, item: PhantomData }
    }
}

impl<H, T, F> Map<H, T, F>
where
    H: FrameHandler,
    F: FnMut(H::Item) -> T,
{
    #[inline(always)]
    fn inner<R>(
        &mut self,
        cx: &mut Context<'_, T>,
        call: impl FnOnce(&mut H, &mut Context<'_, H::Item>) -> R,
    ) -> R {
        let Self { handler, map, .. } = self;
        cx.lend_mapped(|item, out| out.emit(map(item)), |cx| call(handler, cx))
    }
}

impl<H, T, F> FrameHandler for Map<H, T, F>
where
    H: FrameHandler,
    F: FnMut(H::Item) -> T,
{
    type Session = H::Session;
    type Item = T;

    fn on_upgrade(&mut self, upgrade: &mut Upgrade<'_>) -> Result<H::Session, Fault> {
        self.handler.on_upgrade(&mut upgrade.lend())
    }

    #[inline(always)]
    fn on_message(
        &mut self,
        session: &mut H::Session,
        message: Message,
        cx: &mut Context<'_, T>,
    ) -> Result<(), Fault> {
        self.inner(cx, |handler, cx| handler.on_message(session, message, cx))
    }

    fn on_inner_timer(
        &mut self,
        session: &mut H::Session,
        timer: InnerTimer,
        cx: &mut Context<'_, T>,
    ) -> Result<(), Fault> {
        self.inner(cx, |handler, cx| timer.fire(handler, session, cx))
    }

    fn on_live(&mut self, session: &mut H::Session, cx: &mut Context<'_, Infallible>) -> Result<(), Fault> {
        self.handler.on_live(session, &mut cx.lend())
    }

    fn on_end(&mut self, session: H::Session, why: Option<&Failure>) {
        self.handler.on_end(session, why);
    }
}

impl<H, T, F> CommandHandler for Map<H, T, F>
where
    H: CommandHandler,
    F: FnMut(H::Item) -> T,
{
    type Command = H::Command;

    fn on_command(
        &mut self,
        session: Option<&mut H::Session>,
        command: H::Command,
        cx: &mut Context<'_, T>,
    ) -> Result<(), Fault> {
        self.inner(cx, |handler, cx| handler.on_command(session, command, cx))
    }
}
