//! A harness for unit tests of a handler.

use alloc::vec::Vec;
use core::time::Duration;

use crate::action::{Action, Notice};
use crate::config::Config;
use crate::demand::Delivery;
use crate::event::{Connected, Event};
use crate::failure::Failure;
use crate::frame::{ConnectionId, Frame, Message};
use crate::handler::{CommandHandler, FrameHandler};
use crate::machine::Machine;
use crate::phase::Phase;
use crate::retry::RetryPolicy;
use crate::time::{Deadline, Timestamp};
use crate::timers::TimerKey;

/// Calls a handler as a feed does, for unit tests: no network, no clock, and a consumer that takes everything at once.
///
/// For what faults of a network do to a handler, use the simulator, the package `tidegate-sim`.
///
/// ```
/// use std::time::Duration;
/// use tidegate_core::{Context, Fault, FrameHandler, Harness, Message, TimerKey, Upgrade};
///
/// /// Subscribes, and gives the server five seconds to acknowledge that.
/// struct Trades;
///
/// impl FrameHandler for Trades {
///     type Session = ();
///     type Item = Message;
///
///     fn on_upgrade(&mut self, upgrade: &mut Upgrade<'_>) -> Result<(), Fault> {
///         upgrade.send("subscribe");
///         upgrade.wait_for_ready();
///         upgrade.set_timer_in(TimerKey(0), Duration::from_secs(5));
///         Ok(())
///     }
///
///     fn on_message(&mut self, _: &mut (), message: Message, cx: &mut Context<'_, Message>) -> Result<(), Fault> {
///         match message.as_text() {
///             Some("subscribed") => {
///                 cx.cancel_timer(TimerKey(0));
///                 cx.ready();
///             }
///             _ => cx.emit(message),
///         }
///         Ok(())
///     }
///
///     fn on_timer(&mut self, _: &mut (), _: TimerKey, _: &mut Context<'_, Message>) -> Result<(), Fault> {
///         Err(Fault::retryable("no acknowledgement"))
///     }
/// }
///
/// let mut feed = Harness::new(Trades);
/// feed.connect();
/// assert_eq!(feed.sent(), ["subscribe".into()]);
/// feed.message("subscribed").message("a trade");
/// assert!(feed.is_live());
/// assert_eq!(feed.items(), ["a trade".into()]);
/// assert_eq!(feed.timers(), []);
///
/// // The next connection gets no acknowledgement.
/// feed.connect().advance(Duration::from_secs(5));
/// assert!(feed.failure().unwrap().to_string().contains("no acknowledgement"));
/// ```
pub struct Harness<H: FrameHandler> {
    machine: Machine<H>,
    now: Timestamp,
    sent: Vec<Message>,
    items: Vec<H::Item>,
    failure: Option<Failure>,
}

impl<H: FrameHandler> Harness<H> {
    /// Returns a harness without a connection, at time zero.
    #[must_use]
    pub fn new(handler: H) -> Self {
        // No limit gets in the way, and the next attempt waits for `connect`.
        let config = Config::builder()
            .bootstrap_timeout(Duration::MAX)
            .ping_interval(None)
            .retry(RetryPolicy::fixed(Duration::from_secs(1)).unlimited())
            .build()
            .expect("the options are valid");
        let mut harness = Self {
            machine: Machine::new(config, handler, 0),
            now: Timestamp::ZERO,
            sent: Vec::new(),
            items: Vec::new(),
            failure: None,
        };
        harness.machine.request(u64::MAX);
        harness
    }

    /// Opens a connection, or another one if there is one: it is lost then.
    pub fn connect(&mut self) -> &mut Self {
        self.disconnect();
        self.machine.retry_now(self.now);
        self.event(|_| Event::Start);
        self.event(|id| Event::Connected { id, connected: Connected::default() })
    }

    /// The connection is lost, if there is one.
    pub fn disconnect(&mut self) -> &mut Self {
        self.event(|id| Event::Lost { id, failure: Failure::io("the connection was lost, by the test") })
    }

    /// A message arrives. Has no effect without a connection.
    pub fn message(&mut self, message: impl Into<Message>) -> &mut Self {
        let frame = Frame::Message(message.into());
        self.event(|id| Event::Frame { id, frame })
    }

    /// Time passes, and timers that become due fire, each at its time.
    pub fn advance(&mut self, by: Duration) -> &mut Self {
        let end = self.now.saturating_add(by);
        while let Some(Deadline::At(at)) = self.is_open().then(|| self.machine.deadline())
            && at <= end
        {
            self.now = at;
            self.event(|_| Event::Tick);
        }
        self.now = end;
        self
    }

    /// Returns the time.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Returns the items that were emitted since the last call.
    pub fn items(&mut self) -> Vec<H::Item> {
        core::mem::take(&mut self.items)
    }

    /// Returns the messages that were sent since the last call, bootstrap frames included.
    pub fn sent(&mut self) -> Vec<Message> {
        core::mem::take(&mut self.sent)
    }

    /// Returns the timers that are set, and when they are due, the earliest first. Those of inner handlers are not among
    /// them.
    #[must_use]
    pub fn timers(&self) -> Vec<(TimerKey, Timestamp)> {
        self.machine.timers().collect()
    }

    /// Returns whether a connection is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.machine.phase(), Phase::Bootstrapping | Phase::Live)
    }

    /// Returns whether a connection is open, and the handler has declared it ready if it is to.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.machine.phase() == Phase::Live
    }

    /// Returns why the last connection ended, or `None` if none has.
    #[must_use]
    pub const fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// Returns the handler.
    #[must_use]
    pub const fn handler(&self) -> &H {
        self.machine.handler()
    }

    /// An event of the current attempt or connection, and all that follows from it at once.
    fn event(&mut self, event: impl FnOnce(ConnectionId) -> Event) -> &mut Self {
        let id = self.machine.connection().unwrap_or(ConnectionId::new(0));
        self.machine.handle(event(id), self.now);
        self.settle()
    }

    fn settle(&mut self) -> &mut Self {
        while let Some(action) = self.machine.poll_action() {
            if let Action::Notify(
                Notice::Failure { failure, .. }
                | Notice::Timeout { failure, .. }
                | Notice::Disconnected { failure: Some(failure), .. },
            ) = action
            {
                self.failure = Some(failure);
            }
        }
        while let Some(id) = self.machine.connection()
            && let Some(frame) = self.machine.poll_send(id)
        {
            let event = match frame {
                Frame::Message(message) => {
                    self.sent.push(message);
                    Event::Flushed { id }
                }
                // The peer answers, and the connection is gone.
                Frame::Close(_) => Event::Lost { id, failure: Failure::io("closed") },
                Frame::Ping(_) | Frame::Pong(_) => Event::Flushed { id },
            };
            self.machine.handle(event, self.now);
        }
        while let Some(delivery) = self.machine.poll_delivery(self.now) {
            self.items.extend(Delivery::into_item(delivery));
        }
        self
    }
}

impl<H: CommandHandler> Harness<H> {
    /// Passes a command to the handler, with or without a connection. Has no effect once a fatal fault has ended the feed.
    pub fn command(&mut self, command: H::Command) -> &mut Self {
        let _ = self.machine.command(command, self.now);
        self.settle()
    }
}
