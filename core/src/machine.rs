//! The machine: which event does what in which phase. It alone sees all rooms.

mod ending;
mod open;
mod routing;

use alloc::collections::VecDeque;
use core::fmt;
use core::time::Duration;

use fastrand::Rng;

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

/// A feed's state machine.
///
/// - Tell it what happened: [`handle`](Self::handle), with the time.
/// - After that, carry out what it asks for: [`poll_action`](Self::poll_action) until there is none, and
///   [`poll_send`](Self::poll_send) for as long as the connection takes frames.
/// - Then pass on what there is for the consumer: [`poll_delivery`](Self::poll_delivery) until there is none.
/// - Then wait: for the [`deadline`](Self::deadline), for a frame while it [`wants_frames`](Self::wants_frames), or for
///   the application.
///
/// Same configuration, seed and events give the same actions and deliveries (P3).
pub struct Machine<H: FrameHandler> {
    state: State<H::Session>,
    common: Common<H>,
}

/// The fields that every state has.
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

/// How a connection ends.
enum End {
    /// It is gone.
    Lost(Failure),
    /// It is of no use any more.
    Abort(Failure),
    /// With a closing handshake, begun by us or answered.
    Close(Option<CloseFrame>, AfterClose),
}

impl End {
    /// A Close of ours, for which the peer is not to blame.
    fn close(then: AfterClose) -> Self {
        Self::Close(Some(CloseFrame::new(CloseFrame::NORMAL)), then)
    }
}

impl<H: FrameHandler> Machine<H> {
    /// An idle feed. `seed` decides the jitter: give each feed of a fleet another.
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

    /// Takes in one event. Time that runs backwards counts as standing still.
    #[inline(always)]
    pub fn handle(&mut self, event: Event, now: Timestamp) {
        self.common.now = self.common.now.max(now);
        match event {
            // By far the most there are: they have a short way of their own.
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
            | Event::HandlerPanicked) => self.route(other),
        }
    }

    // Always: to call it, and what it calls, takes an eighth of all that the machine does with a message.
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

    /// The next thing to carry out.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.common.actions.pop_front()
    }

    /// The next frame to write on connection `id`. Take one only if it can be written behind those before it, and hand in
    /// [`Event::Flushed`] once all that were taken are with the operating system. A Close frame is the last, and begins or
    /// ends the closing handshake: keep reading.
    pub fn poll_send(&mut self, id: ConnectionId) -> Option<Frame> {
        if self.wants_to_send(id) { self.common.outbox.take() } else { None }
    }

    /// Returns whether there is a frame to write on connection `id`.
    #[must_use]
    pub fn wants_to_send(&self, id: ConnectionId) -> bool {
        !self.common.outbox.is_empty() && self.connection() == Some(id)
    }

    /// The next thing for the consumer, if there is one and demand for it (D1). It takes the time because it may let
    /// reading go on, and the liveness clocks start from then (L5).
    #[inline]
    pub fn poll_delivery(&mut self, now: Timestamp) -> Option<Delivery<H::Item>> {
        if self.common.queue.has_markers() || self.common.reading != Reading::On {
            return self.deliver(now);
        }
        self.poll_item().map(|(item, _)| Delivery::Item(item))
    }

    /// The next item and its weight in bytes, as long as no marker is to come and reading is not paused: the part of
    /// [`poll_delivery`](Self::poll_delivery) that needs no time. For who moves many at once.
    #[inline]
    pub fn poll_item(&mut self) -> Option<(H::Item, u32)> {
        if self.common.queue.has_markers() || self.common.reading != Reading::On {
            return None;
        }
        let next = self.common.queue.pop()?;
        self.common.stats.delivered += 1;
        Some(next)
    }

    /// The long way of [`Self::poll_delivery`].
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

    /// The consumer wants `items` more (D1).
    pub fn request(&mut self, items: u64) {
        self.common.queue.request(items);
    }

    /// Sends a message on the present connection, and on no other (O1).
    ///
    /// # Errors
    /// If the feed is not Live, the outgoing queue is full, or text is not UTF-8; the message comes back.
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

    /// Whether to read from the connection now. While it says no, leave the socket alone: TCP pushes back (D4).
    #[must_use]
    pub fn wants_frames(&self) -> bool {
        match self.phase() {
            Phase::Bootstrapping | Phase::Live => self.common.reading == Reading::On,
            // Only the peer's Close matters any more, and it may stand behind data.
            Phase::Closing => true,
            Phase::Idle | Phase::Connecting | Phase::Waiting | Phase::Stopped => false,
        }
    }

    /// When to hand in an [`Event::Tick`] if nothing else happens. It may change with every call of a method.
    #[must_use]
    pub fn deadline(&self) -> Deadline {
        self.state.deadline(self.common.reading)
    }

    /// When the attempt or connection fails if nothing arrives until then: the part of [`deadline`](Self::deadline) that is a
    /// verdict on the peer. Read what has arrived before you hand in the [`Event::Tick`] (L2): a process that was stopped, or
    /// whose thread was busy, finds the deadline passed and the socket full.
    #[must_use]
    pub fn failure_deadline(&self) -> Deadline {
        self.state.failure_deadline(self.common.reading)
    }

    /// Where the feed stands.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.state.phase()
    }

    /// The connection or attempt that is current.
    #[must_use]
    pub const fn connection(&self) -> Option<ConnectionId> {
        self.state.connection()
    }

    /// Why the feed ended for good, once it has. What is queued can still be taken (S2).
    #[must_use]
    pub const fn stopped(&self) -> Option<&StopReason> {
        match &self.state {
            State::Stopped { reason } => Some(reason),
            State::Idle | State::Active(_) | State::Waiting { .. } => None,
        }
    }

    /// What the items in the queue weigh, in bytes (D3).
    #[must_use]
    pub const fn queued_bytes(&self) -> u64 {
        self.common.queue.bytes()
    }

    /// Figures so far.
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

    /// The handler, to look at.
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

/// Shows where the machine stands: everything that decides what it does next, but for what is the application's own
/// (the handler, its session, what items hold). Payloads are shown by their length.
impl<H: FrameHandler> fmt::Debug for Machine<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { state, common } = self;
        // No handler asks for anything between two calls.
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

/// Figures about a feed, since it began unless said otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Attempts made.
    pub attempts: u64,
    /// Connections that turned Live.
    pub connections: u64,
    /// Data messages handed to the handler.
    pub messages: u64,
    /// Items the handler emitted.
    pub items: u64,
    /// Items the consumer was given.
    pub delivered: u64,
    /// Items dropped by the overflow policy.
    pub dropped: u64,
    /// Events that named another connection than the current one, or could not happen in its phase (C2).
    pub stale_events: u64,
    /// Items in the queue now.
    pub queued: u64,
    /// What they weigh, in bytes.
    pub queued_bytes: u64,
    /// Items requested and not yet delivered (D1).
    pub demand: u64,
    /// Frames accepted on this connection and not yet with the operating system, the bootstrap's aside (O3). 0 while closing.
    pub sending: u64,
    /// Retries in the present streak (R4).
    pub retries: u32,
    /// The last answered ping's round-trip time.
    pub round_trip: Option<Duration>,
}
