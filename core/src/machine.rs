//! The machine: which event has which effect in which phase. Only this module uses all others.

mod application;
mod ending;
mod open;
mod routing;

use alloc::collections::VecDeque;
use core::fmt;
use core::time::Duration;

use fastrand::Rng;

pub use application::CommandError;

use crate::action::{Action, Notice};
use crate::config::Config;
use crate::demand::{Delivery, Queue, Reading};
use crate::event::Event;
use crate::failure::{Failure, StopReason};
use crate::frame::{CloseFrame, ConnectionId, Frame, Message};
use crate::handler::{FrameHandler, Requests, SendError, checked};
use crate::outbox::Outbox;
use crate::phase::{AfterClose, Phase, Slot, Stage, State};
use crate::retry::Retry;
use crate::time::{Deadline, Timestamp};

/// The state machine of a feed.
///
/// - Report what happened, with the time: [`handle`](Self::handle).
/// - Then carry out actions with [`poll_action`](Self::poll_action) until it returns `None`, and write frames with
///   [`poll_send`](Self::poll_send) as long as the connection accepts them.
/// - Then pass deliveries on to the consumer with [`poll_delivery`](Self::poll_delivery) until it returns `None`.
/// - Then wait for the [`deadline`](Self::deadline), for a frame while [`wants_frames`](Self::wants_frames) returns
///   `true`, or for the application.
///
/// The same configuration, seed and events give the same actions and deliveries.
pub struct Machine<H: FrameHandler> {
    state: State<H::Session>,
    common: Common<H>,
}

/// The fields that exist in every state.
struct Common<H: FrameHandler> {
    config: Config,
    handler: H,
    retry: Retry,
    rng: Rng,
    queue: Queue<H::Item>,
    reading: Reading,
    outbox: Outbox,
    requests: Option<Requests>,
    actions: VecDeque<Action>,
    now: Timestamp,
    stats: Stats,
}

/// The way in which a connection ends.
enum End {
    /// The connection is gone.
    Lost(Failure),
    /// The socket is dropped.
    Abort(Failure),
    /// A closing handshake is started or answered.
    Close(Option<CloseFrame>, AfterClose),
}

impl End {
    /// A normal Close, started by this side.
    fn close(then: AfterClose) -> Self {
        Self::Close(Some(CloseFrame::new(CloseFrame::NORMAL)), then)
    }
}

impl<H: FrameHandler> Machine<H> {
    /// Creates an idle feed. The jitter of delays is drawn from `seed`, so give each feed of a fleet a different one.
    #[must_use]
    pub fn new(config: Config, handler: H, seed: u64) -> Self {
        Self {
            state: State::Idle,
            common: Common {
                queue: Queue::new(config.queue),
                outbox: Outbox::new(config.send_buffer),
                retry: Retry::new(&config.retry.policy),
                config,
                handler,
                reading: Reading::On,
                rng: Rng::with_seed(seed),
                requests: None,
                actions: VecDeque::new(),
                now: Timestamp::ZERO,
                stats: Stats::default(),
            },
        }
    }

    /// Handles one event. If `now` is earlier than before, the previous time is used.
    ///
    /// # Panics
    /// Panics if the handler, or another function of the application, panics. Catch the panic and report
    /// [`Event::HandlerPanicked`] to end the feed in good order.
    #[inline(always)]
    pub fn handle(&mut self, event: Event, now: Timestamp) {
        self.common.now = self.common.now.max(now);
        match event {
            // Data messages are by far the most frequent events, and take a fast path.
            Event::Frame { id, frame: Frame::Message(message) } => self.on_message(id, message),
            other @ (Event::Frame { frame: Frame::Ping(_) | Frame::Pong(_) | Frame::Close(_), .. }
            | Event::Start
            | Event::Connected { .. }
            | Event::ConnectFailed { .. }
            | Event::Heard { .. }
            | Event::ProtocolError { .. }
            | Event::Flushed { .. }
            | Event::Lost { .. }
            | Event::Tick
            | Event::Shutdown
            | Event::HandlerPanicked
            | Event::RuntimeStopped) => self.route(other),
        }
    }

    // Always inlined: the calls would cost an eighth of the machine's instructions per message.
    #[inline(always)]
    fn on_message(&mut self, id: ConnectionId, message: Message) {
        let State::Active(Slot { id: current, stage: Stage::Open(connection) }) = &mut self.state else {
            return self.route(Event::Frame { id, frame: Frame::Message(message) });
        };
        if *current != id || self.common.reading != Reading::On {
            return self.route(Event::Frame { id, frame: Frame::Message(message) });
        }
        if let Err(end) = self.common.on_message(id, connection, message) {
            self.end(id, end);
        }
    }

    /// Returns the next action to carry out.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.common.actions.pop_front()
    }

    /// Returns the next frame to write on connection `id`.
    ///
    /// Take a frame only if the connection can accept it. Report [`Event::Flushed`] when all frames taken so far are
    /// with the operating system. A Close frame is the last frame. Continue to read after it, until the connection
    /// ends.
    pub fn poll_send(&mut self, id: ConnectionId) -> Option<Frame> {
        if self.wants_to_send(id) { self.common.outbox.take() } else { None }
    }

    /// Returns whether there is a frame to write on connection `id`.
    #[must_use]
    pub fn wants_to_send(&self, id: ConnectionId) -> bool {
        !self.common.outbox.is_empty() && self.connection() == Some(id)
    }

    /// Returns the next delivery for the consumer. An item is returned only if there is demand for it.
    ///
    /// Taking an item may resume reading. The liveness clocks then restart from `now`.
    #[inline]
    pub fn poll_delivery(&mut self, now: Timestamp) -> Option<Delivery<H::Item>> {
        if self.common.queue.has_markers() || self.common.reading != Reading::On {
            return self.deliver(now);
        }
        self.poll_item().map(|(item, _)| Delivery::Item(item))
    }

    /// Returns the next item and its weight in bytes. Returns `None` if a marker is queued or reading is paused.
    ///
    /// This is the fast path of [`poll_delivery`](Self::poll_delivery), for consumers that move many items at once.
    #[inline]
    pub fn poll_item(&mut self) -> Option<(H::Item, u32)> {
        if self.common.queue.has_markers() || self.common.reading != Reading::On {
            return None;
        }
        let next = self.common.queue.pop()?;
        self.common.stats.delivered += 1;
        Some(next)
    }

    /// The slow path of [`Self::poll_delivery`].
    #[inline(never)]
    fn deliver(&mut self, now: Timestamp) -> Option<Delivery<H::Item>> {
        if let Some(marker) = self.common.queue.pop_marker() {
            return Some(marker);
        }
        let (item, _) = self.common.queue.pop()?;
        self.common.stats.delivered += 1;
        if let Reading::Paused { since } = self.common.reading
            && self.common.queue.resumes()
        {
            self.common.now = self.common.now.max(now);
            self.common.reading = Reading::On;
            if let State::Active(Slot { id, stage: Stage::Open(connection) }) = &mut self.state {
                self.common.resume(*id, connection, since);
            }
        }
        Some(Delivery::Item(item))
    }

    /// Adds `items` to the consumer's demand.
    pub fn request(&mut self, items: u64) {
        self.common.queue.request(items);
    }

    /// Sends a message on the current connection, and on no other.
    ///
    /// # Errors
    /// Returns the message in an error if the feed is not Live, if the outgoing queue is full, or if a text message is
    /// not UTF-8.
    pub fn send(&mut self, message: impl Into<Message>) -> Result<(), SendError> {
        let message = message.into();
        if self.phase() != Phase::Live {
            return Err(SendError::NotLive(message));
        }
        if self.common.outbox.is_full() {
            return Err(SendError::Full(message));
        }
        self.common.outbox.push(checked(message)?);
        Ok(())
    }

    /// Returns whether to read from the connection. While this is `false`, do not read the socket, so that TCP slows
    /// the server down.
    #[must_use]
    pub fn wants_frames(&self) -> bool {
        match self.phase() {
            Phase::Bootstrapping | Phase::Live => self.common.reading == Reading::On,
            // The peer's Close may be behind data.
            Phase::Closing => true,
            Phase::Idle | Phase::Connecting | Phase::Waiting | Phase::Stopped => false,
        }
    }

    /// Returns the time of the next [`Event::Tick`]. Every call of another method may change it.
    #[must_use]
    pub fn deadline(&self) -> Deadline {
        self.state.deadline(self.common.reading)
    }

    /// Returns when the attempt or connection fails if nothing arrives until then. It is part of
    /// [`deadline`](Self::deadline).
    ///
    /// Read what has arrived before you report the [`Event::Tick`] of this deadline. If the process was stopped or
    /// its thread was busy, the deadline may have passed although frames have arrived.
    #[must_use]
    pub fn failure_deadline(&self) -> Deadline {
        self.state.failure_deadline(self.common.reading)
    }

    /// Returns the phase that the feed is in.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.state.phase()
    }

    /// Returns the current attempt or connection.
    #[must_use]
    pub const fn connection(&self) -> Option<ConnectionId> {
        self.state.connection()
    }

    /// Returns why the feed ended, or `None` if it has not. Items that are queued can still be taken.
    #[must_use]
    pub const fn stopped(&self) -> Option<&StopReason> {
        match &self.state {
            State::Stopped { reason } => Some(reason),
            State::Idle | State::Active(_) | State::Waiting { .. } => None,
        }
    }

    /// Returns the figures of the feed.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let Common { queue, outbox, retry, stats, .. } = &self.common;
        Stats {
            queued: queue.len() as u64,
            queued_bytes: queue.bytes(),
            demand: queue.credit(),
            dropped: queue.dropped(),
            sending: outbox.pending() as u64,
            retries: retry.attempt(),
            ..*stats
        }
    }

    /// Returns the handler.
    #[must_use]
    pub const fn handler(&self) -> &H {
        &self.common.handler
    }
}

impl<H: FrameHandler> Common<H> {
    fn notify(&mut self, notice: Notice) {
        self.actions.push_back(Action::Notify(notice));
    }

    fn count_stale(&mut self) {
        self.stats.stale_events += 1;
    }

    fn drop_socket(&mut self, id: ConnectionId) {
        self.outbox.clear();
        self.actions.push_back(Action::Abort { id });
    }
}

/// Shows everything that decides what the machine does next, except what belongs to the application: the handler, its
/// session and the items. Payloads are shown by their length.
impl<H: FrameHandler> fmt::Debug for Machine<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { state, common } = self;
        // There are no requests between two calls.
        let Common {
            config: _,
            handler: _,
            retry,
            rng,
            queue,
            reading,
            outbox,
            requests: _,
            actions,
            now,
            stats,
        } = common;
        f.debug_struct("Machine")
            .field("now", now)
            .field("state", state)
            .field("retry", retry)
            .field("rng", rng)
            .field("queue", queue)
            .field("reading", reading)
            .field("outbox", outbox)
            .field("actions", actions)
            .field("stats", stats)
            .finish_non_exhaustive()
    }
}

/// Figures of a feed. Counts are since the feed was created, unless stated otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Number of attempts.
    pub attempts: u64,
    /// Number of connections that turned Live.
    pub connections: u64,
    /// Number of data messages passed to the handler.
    pub messages: u64,
    /// Number of items that the handler emitted.
    pub items: u64,
    /// Number of items delivered to the consumer.
    pub delivered: u64,
    /// Number of items that the overflow policy dropped.
    pub dropped: u64,
    /// Number of events that were about another connection than the current one, or could not occur in the phase.
    pub stale_events: u64,
    /// Current number of items in the queue.
    pub queued: u64,
    /// Current weight of the items in the queue, in bytes.
    pub queued_bytes: u64,
    /// Current number of items requested and not yet delivered.
    pub demand: u64,
    /// Current number of frames accepted on this connection and not yet flushed, without the bootstrap's. 0 while
    /// closing.
    pub sending: u64,
    /// Number of retries in the current streak.
    pub retries: u32,
    /// Round-trip time of the last answered ping.
    pub round_trip: Option<Duration>,
}
