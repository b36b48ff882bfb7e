//! The frame handler, which turns messages into items (H1-H5).

mod context;
mod ready_made;
mod send_error;

use core::convert::Infallible;

use crate::failure::{Failure, Fault};
use crate::frame::{ConnectionId, Message};

pub use context::{Context, Emitter, InnerTimer, Upgrade};
pub(crate) use context::{Emission, Requests};
pub use ready_made::{FromFn, Map, PassThrough, Step, WithBootstrap, from_fn};
pub use send_error::SendError;
pub(crate) use send_error::checked;

use crate::timers::TimerKey;

/// Turns messages into items.
///
/// A handler performs no I/O. It asks for everything through [`Context`] and [`Upgrade`].
///
/// ```
/// use tidegate_core::{Context, Fault, FrameHandler, Message, Upgrade};
///
/// /// Subscribes, and reads numbers. The connection is Live once the server has acknowledged the subscription.
/// struct Prices;
///
/// impl FrameHandler for Prices {
///     /// The last price of this connection.
///     type Session = Option<f64>;
///     type Item = f64;
///
///     fn on_upgrade(&mut self, upgrade: &mut Upgrade<'_>) -> Result<Option<f64>, Fault> {
///         upgrade.send("subscribe");
///         upgrade.wait_for_ready();
///         Ok(None)
///     }
///
///     fn on_message(
///         &mut self,
///         last: &mut Option<f64>,
///         message: Message,
///         cx: &mut Context<'_, f64>,
///     ) -> Result<(), Fault> {
///         if message.as_text() == Some("subscribed") {
///             cx.ready();
///             return Ok(());
///         }
///         let price = message.as_text().and_then(|text| text.parse().ok());
///         let price = price.ok_or_else(|| Fault::retryable("not a price"))?;
///         // The same price again is no item.
///         if last.replace(price) != Some(price) {
///             cx.emit(price);
///         }
///         Ok(())
///     }
/// }
/// # let _: tidegate_core::Machine<_> = tidegate_core::Machine::new(Default::default(), Prices, 0);
/// ```
///
/// A handler can wrap another one, and add what many handlers need, such as heartbeats. It lends its context to the inner
/// handler: see [`Context::lend`].
pub trait FrameHandler {
    /// State of one connection. [`on_upgrade`](Self::on_upgrade) creates it, and [`on_end`](Self::on_end) takes it.
    type Session;
    /// An item for the consumer.
    type Item;

    /// Creates the session of a new connection, after every upgrade, reconnects included. Sends what the connection
    /// needs before it is Live, such as subscriptions.
    ///
    /// # Errors
    /// Returning a [`Fault`] ends the attempt.
    fn on_upgrade(&mut self, upgrade: &mut Upgrade<'_>) -> Result<Self::Session, Fault>;

    /// Handles one data message. Messages are passed in order of arrival. The handler may emit any number of items.
    ///
    /// # Errors
    /// Returning a [`Fault`] ends the connection, or the feed if the fault is fatal. Items that were emitted before it
    /// remain.
    fn on_message(
        &mut self,
        session: &mut Self::Session,
        message: Message,
        cx: &mut Context<'_, Self::Item>,
    ) -> Result<(), Fault>;

    /// Called when a timer is due that this handler has set with [`Context::set_timer`] or [`Upgrade::set_timer`]. The
    /// timer is then gone, unless it is set again.
    ///
    /// # Errors
    /// The same as for [`on_message`](Self::on_message).
    fn on_timer(
        &mut self,
        session: &mut Self::Session,
        key: TimerKey,
        cx: &mut Context<'_, Self::Item>,
    ) -> Result<(), Fault> {
        let _ = (session, key, cx);
        Ok(())
    }

    /// Called when a timer of an inner handler is due. A handler that lends its context passes it on with
    /// [`InnerTimer::fire`].
    ///
    /// # Errors
    /// The same as for [`on_message`](Self::on_message). The default is a fatal fault.
    fn on_inner_timer(
        &mut self,
        session: &mut Self::Session,
        timer: InnerTimer,
        cx: &mut Context<'_, Self::Item>,
    ) -> Result<(), Fault> {
        let _ = (session, timer, cx);
        Err(Fault::fatal(
            "a handler with an inner handler does not pass on its timers: implement on_inner_timer",
        ))
    }

    /// Called when the connection turns Live.
    ///
    /// It may send and set timers, but not emit: with a consumer that is slow, every reconnect would add to the queue.
    ///
    /// # Errors
    /// The same as for [`on_message`](Self::on_message).
    fn on_live(
        &mut self,
        session: &mut Self::Session,
        cx: &mut Context<'_, Infallible>,
    ) -> Result<(), Fault> {
        let _ = (session, cx);
        Ok(())
    }

    /// Takes the session of a connection that has ended, or that begins to close. `why` is `None` if the application
    /// ended it.
    ///
    /// Every session gets here, except after a panic of the handler.
    fn on_end(&mut self, session: Self::Session, why: Option<&Failure>) {
        let _ = (session, why);
    }

    /// Returns the weight of an item, in bytes, which counts against `buffer_bytes`. Called once per item, when it is
    /// emitted.
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
        WithBootstrap::new(self, frames)
    }

    /// Converts each item with `map`.
    ///
    /// An item then weighs its own size. Write a handler around this one where items point to more.
    ///
    /// ```
    /// use tidegate_core::{FrameHandler, PassThrough};
    ///
    /// let handler = PassThrough.map(|message| message.len());
    /// # let _: tidegate_core::Machine<_> = tidegate_core::Machine::new(Default::default(), handler, 0);
    /// ```
    fn map<T, F>(self, map: F) -> Map<Self, T, F>
    where
        Self: Sized,
        F: FnMut(Self::Item) -> T,
    {
        Map::new(self, map)
    }
}

/// A handler that takes commands of the application, such as a change of subscriptions or a request.
pub trait CommandHandler: FrameHandler {
    /// A command.
    type Command;

    /// Handles a command. Without an open connection there is no session, and a message cannot be sent: the handler can
    /// emit, or keep the command for the next connection.
    ///
    /// # Errors
    /// The same as for [`on_message`](FrameHandler::on_message). Without a session only a fatal fault counts, which ends
    /// the feed.
    fn on_command(
        &mut self,
        session: Option<&mut Self::Session>,
        command: Self::Command,
        cx: &mut Context<'_, Self::Item>,
    ) -> Result<(), Fault>;
}
