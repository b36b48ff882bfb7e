//! The machine: which event does what in which phase. It alone sees all rooms.

mod ending;
mod open;

use alloc::collections::VecDeque;
use core::fmt;

use fastrand::Rng;

use crate::action::{Action, Notice};
use crate::config::Config;
use crate::demand::{Delivery, Queue, Reading};
use crate::event::Event;
use crate::failure::{ConnectFailure, Failure, StopReason};
use crate::frame::{CloseFrame, ConnectionId, Frame, Message};
use crate::handler::{Asks, FrameHandler, SendError, checked};
use crate::outbox::Outbox;
use crate::phase::{Phase, Slot, Stage, State, TRANSITIONS, Then, Transition};
use crate::retry::Retry;
use crate::stats::Stats;
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
pub struct Feed<H: FrameHandler> {
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
    asks: Option<Asks>,
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
    Close(Option<CloseFrame>, Then),
}

impl End {
    /// A Close of ours, for which the peer is not to blame.
    fn close(then: Then) -> Self {
        Self::Close(Some(CloseFrame::new(CloseFrame::NORMAL)), then)
    }
}

impl<H: FrameHandler> Feed<H> {
    /// An idle feed. `seed` decides the jitter: give each feed of a fleet another.
    #[must_use]
    pub fn new(config: Config, handler: H, seed: u64) -> Self {
        Self {
            state: State::Idle,
            common: Common {
                queue: Queue::new(config.queue),
                retry: Retry::new(&config.retry),
                config,
                handler,
                reading: Reading::On,
                rng: Rng::with_seed(seed),
                outbox: Outbox::default(),
                asks: None,
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

    #[inline(never)]
    fn route(&mut self, event: Event) {
        if event.connection().is_some_and(|id| self.state.connection() != Some(id)) {
            return self.common.count_stale();
        }
        if matches!(event, Event::HandlerPanicked) {
            return self.handler_panicked();
        }
        match &mut self.state {
            State::Idle => self.on_idle(&event),
            State::Active(Slot { id, stage }) => {
                let id = *id;
                match stage {
                    Stage::Connecting { deadline } => {
                        let deadline = *deadline;
                        self.on_connecting(id, deadline, event);
                    }
                    Stage::Open(connection) => {
                        if let Err(end) = self.common.on_open(id, connection, event) {
                            self.end(id, end);
                        }
                    }
                    Stage::Closing { deadline, then } => {
                        let (deadline, then) = (*deadline, then.clone());
                        self.on_closing(id, deadline, then, &event);
                    }
                }
            }
            State::Waiting { until } => {
                let until = *until;
                self.on_waiting(until, &event);
            }
            State::Stopped { .. } => {}
        }
    }

    /// The next thing to carry out.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.common.actions.pop_front()
    }

    /// The next frame to write, and the connection to write it on. Take one only if it can be written behind those before it,
    /// and hand in [`Event::Flushed`] once all that were taken are with the operating system. A Close frame is the last, and
    /// begins or ends the closing handshake: keep reading.
    pub fn poll_send(&mut self) -> Option<(ConnectionId, Frame)> {
        let id = self.state.connection()?;
        self.common.outbox.take().map(|frame| (id, frame))
    }

    /// Whether there is a frame to write.
    #[must_use]
    pub fn wants_to_send(&self) -> bool {
        !self.common.outbox.is_empty()
    }

    /// The next thing for the consumer, if there is one and demand for it (D1). It takes the time because it may let
    /// reading go on, and the liveness clocks start from then (L5).
    #[inline]
    pub fn poll_delivery(&mut self, now: Timestamp) -> Option<Delivery<H::Item>> {
        if self.common.queue.has_marks() || self.common.reading != Reading::On {
            return self.deliver(now);
        }
        self.poll_item().map(|(item, _)| Delivery::Item(item))
    }

    /// The next item and its weight in bytes, as long as no mark is to come and reading is not paused: the part of
    /// [`poll_delivery`](Self::poll_delivery) that needs no time. For who moves many at once.
    #[inline]
    pub fn poll_item(&mut self) -> Option<(H::Item, u32)> {
        if self.common.queue.has_marks() || self.common.reading != Reading::On {
            return None;
        }
        let next = self.common.queue.pop()?;
        self.common.stats.delivered += 1;
        Some(next)
    }

    /// The long way of [`Self::poll_delivery`].
    #[inline(never)]
    fn deliver(&mut self, now: Timestamp) -> Option<Delivery<H::Item>> {
        if let Some(mark) = self.common.queue.pop_mark() {
            return Some(mark);
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
        if self.common.outbox.pending() >= self.common.config.send_buffer {
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

    fn on_idle(&mut self, event: &Event) {
        match event {
            Event::Start => self.connect(),
            Event::Shutdown => self.stop(StopReason::Shutdown),
            Event::Tick | Event::HandlerPanicked => {}
            Event::Connected { .. }
            | Event::ConnectFailed { .. }
            | Event::Frame { .. }
            | Event::Heard { .. }
            | Event::ProtocolError { .. }
            | Event::Flushed { .. }
            | Event::Lost { .. } => self.common.count_stale(),
        }
    }

    fn on_connecting(&mut self, id: ConnectionId, deadline: Timestamp, event: Event) {
        match event {
            Event::Connected { .. } => self.upgraded(id),
            Event::ConnectFailed { failure, .. } => self.end(id, End::Lost(failure)),
            Event::Tick if deadline <= self.common.now => {
                self.end(id, End::Abort(Failure::Connect(ConnectFailure::Timeout)))
            }
            Event::Shutdown => {
                self.common.drop_socket(id);
                self.stop(StopReason::Shutdown);
            }
            Event::Tick | Event::Start | Event::HandlerPanicked => {}
            Event::Frame { .. }
            | Event::Heard { .. }
            | Event::ProtocolError { .. }
            | Event::Flushed { .. }
            | Event::Lost { .. } => self.common.count_stale(),
        }
    }

    fn upgraded(&mut self, id: ConnectionId) {
        match self.common.upgrade(id) {
            Ok(connection) => self.enter(State::Active(Slot { id, stage: Stage::Open(connection) })),
            Err(end) => return self.end(id, end),
        }
        if let State::Active(Slot { stage: Stage::Open(connection), .. }) = &mut self.state
            && let Err(end) = self.common.begin(id, connection)
        {
            self.end(id, end);
        }
    }

    fn on_closing(&mut self, id: ConnectionId, deadline: Timestamp, then: Then, event: &Event) {
        match event {
            Event::Lost { .. } => self.closed(then),
            Event::Tick if deadline > self.common.now => {}
            // The peer will not send a Close.
            Event::Tick | Event::ProtocolError { .. } => {
                self.common.drop_socket(id);
                self.closed(then);
            }
            Event::Shutdown => {
                let stage = Stage::Closing { deadline, then: Then::ShutDown };
                self.state = State::Active(Slot { id, stage });
            }
            // Frames may still arrive ahead of the peer's Close.
            Event::Frame { .. }
            | Event::Heard { .. }
            | Event::Flushed { .. }
            | Event::Start
            | Event::HandlerPanicked => {}
            Event::Connected { .. } | Event::ConnectFailed { .. } => self.common.count_stale(),
        }
    }

    fn on_waiting(&mut self, until: Timestamp, event: &Event) {
        match event {
            Event::Tick if until <= self.common.now => self.connect(),
            Event::Shutdown => self.stop(StopReason::Shutdown),
            Event::Tick | Event::Start | Event::HandlerPanicked => {}
            Event::Connected { .. }
            | Event::ConnectFailed { .. }
            | Event::Frame { .. }
            | Event::Heard { .. }
            | Event::ProtocolError { .. }
            | Event::Flushed { .. }
            | Event::Lost { .. } => self.common.count_stale(),
        }
    }

    fn connect(&mut self) {
        let common = &mut self.common;
        common.stats.attempts += 1;
        let id = ConnectionId::new(common.stats.attempts);
        let deadline = common.now.saturating_add(common.config.connect_timeout);
        common.notify(Notice::Connecting { id });
        common.actions.push_back(Action::Connect { id });
        self.enter(State::Active(Slot { id, stage: Stage::Connecting { deadline } }));
    }

    fn enter(&mut self, next: State<H::Session>) {
        assert_move(self.state.phase(), next.phase());
        self.state = next;
    }
}

fn assert_move(from: Phase, to: Phase) {
    debug_assert!(
        TRANSITIONS.iter().any(|Transition { from: a, to: b, .. }| (*a, *b) == (from, to)),
        "{from} to {to} is not among the transitions"
    );
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
impl<H: FrameHandler> fmt::Debug for Feed<H> {
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
            asks: _,
            actions,
            now,
            stats,
        } = common;
        f.debug_struct("Feed")
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
