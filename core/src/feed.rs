//! The machine: one routing function per phase. It alone sees all rooms.

mod ending;
mod linked;

use alloc::collections::VecDeque;
use core::fmt;
use core::time::Duration;

use fastrand::Rng;

use crate::action::{Action, Notice};
use crate::bugs::bug;
use crate::config::Config;
use crate::demand::{Delivery, Queue};
use crate::effects::Effects;
use crate::event::Event;
use crate::failure::StopReason;
use crate::frame::{ConnectionId, Frame, Message};
use crate::handler::{FrameHandler, SendError, checked};
use crate::phase::{Phase, State, TRANSITIONS, Then, Transition};
use crate::retry::Retry;
use crate::stats::Stats;
use crate::time::{Deadline, Timestamp};

/// A feed's state machine.
///
/// - Tell it what happened: [`handle`](Self::handle), with the time.
/// - After that, carry out what it asks for: [`poll_action`](Self::poll_action) until there is none.
/// - Then pass on what there is for the consumer: [`poll_delivery`](Self::poll_delivery) until there is none.
/// - Then wait: for the [`deadline`](Self::deadline), for a frame while it [`wants_frames`](Self::wants_frames), or for
///   the application.
///
/// Same configuration, seed and events give the same actions and deliveries (P3).
pub struct Feed<H: FrameHandler> {
    settings: Settings,
    handler: H,
    state: State<H::Session>,
    retry: Retry,
    rng: Rng,
    queue: Queue<H::Item>,
    effects: Effects,
    actions: VecDeque<Action>,
    now: Timestamp,
    stats: Stats,
}

/// What the machine still needs of its configuration once the rooms have their part.
struct Settings {
    connect_timeout: Duration,
    bootstrap_timeout: Duration,
    close_timeout: Duration,
    stable_after: Duration,
    send_buffer: usize,
    liveness: crate::config::LivenessConfig,
}

impl<H: FrameHandler> Feed<H> {
    /// An idle feed. `seed` decides the jitter: give each feed of a fleet another.
    #[must_use]
    pub fn new(config: Config, handler: H, seed: u64) -> Self {
        Self {
            settings: Settings {
                connect_timeout: config.connect_timeout,
                bootstrap_timeout: config.bootstrap_timeout,
                close_timeout: config.close_timeout,
                stable_after: config.stable_after,
                send_buffer: config.send_buffer,
                liveness: config.liveness,
            },
            handler,
            state: State::Idle,
            queue: Queue::new(config.queue),
            retry: Retry::new(config.retry, config.classification, config.max_retry_after),
            rng: Rng::with_seed(seed),
            effects: Effects::default(),
            actions: VecDeque::new(),
            now: Timestamp::ZERO,
            stats: Stats::default(),
        }
    }

    /// Takes in one event. Time that runs backwards counts as standing still.
    #[inline(always)]
    pub fn handle(&mut self, event: Event, now: Timestamp) {
        self.now = self.now.max(now);
        match event {
            // By far the most there are: they have a short way of their own.
            Event::Frame { id, frame: Frame::Text(payload) } => self.on_message(id, Message::Text(payload)),
            Event::Frame { id, frame: Frame::Binary(payload) } => {
                self.on_message(id, Message::Binary(payload));
            }
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

    /// One routing function per phase.
    #[inline(never)]
    fn route(&mut self, event: Event) {
        if event.connection().is_some_and(|id| self.state.connection() != Some(id)) {
            return self.count_stale();
        }
        if matches!(event, Event::HandlerPanicked) {
            return self.handler_panicked();
        }
        match &self.state {
            State::Idle => self.on_idle(&event),
            State::Connecting { id, deadline } => {
                let (id, deadline) = (*id, *deadline);
                self.on_connecting(id, deadline, event);
            }
            State::Bootstrapping { .. } | State::Live { .. } => self.on_linked(event),
            State::Closing { .. } => self.on_closing(&event),
            State::Waiting { until } => {
                let until = *until;
                self.on_waiting(until, &event);
            }
            State::Stopped { .. } => {}
        }
    }

    /// The next thing to carry out.
    pub fn poll_action(&mut self) -> Option<Action> {
        let action = self.actions.pop_front()?;
        if let (Action::Send { .. }, Some(link)) = (&action, self.state.link_mut()) {
            link.outbox.take();
        }
        Some(action)
    }

    /// The next thing for the consumer, if there is one and demand for it (D1). It takes the time because it may let
    /// reading go on, and the liveness clocks start from then (L5).
    #[inline]
    pub fn poll_delivery(&mut self, now: Timestamp) -> Option<Delivery<H::Item>> {
        if self.queue.has_marks() || self.queue.is_held_back() {
            return self.deliver(now);
        }
        self.poll_item().map(|(item, _)| Delivery::Item(item))
    }

    /// The next item and its weight in bytes, as long as no mark is to come and reading is not held back: the part of
    /// [`poll_delivery`](Self::poll_delivery) that needs no time. For who moves many at once.
    #[inline]
    pub fn poll_item(&mut self) -> Option<(H::Item, u32)> {
        if self.queue.has_marks() || self.queue.is_held_back() {
            return None;
        }
        let next = self.queue.pop()?;
        self.stats.delivered += 1;
        Some(next)
    }

    /// The long way of [`Self::poll_delivery`].
    #[inline(never)]
    fn deliver(&mut self, now: Timestamp) -> Option<Delivery<H::Item>> {
        if let Some(mark) = self.queue.pop_mark() {
            return Some(mark);
        }
        let (item, _) = self.queue.pop()?;
        self.stats.delivered += 1;
        if self.queue.resume() {
            self.now = self.now.max(now);
            self.resume_reading();
        }
        Some(Delivery::Item(item))
    }

    /// The consumer wants `items` more (D1).
    pub fn request(&mut self, items: u64) {
        self.queue.request(items);
    }

    /// Sends a message on the present connection, and on no other (O1).
    ///
    /// # Errors
    /// If the feed is not Live, the outgoing queue is full, or text is not UTF-8; the message comes back.
    pub fn send(&mut self, message: impl Into<Message>) -> Result<(), SendError> {
        let message = message.into();
        let State::Live { link, .. } = &mut self.state else {
            return Err(SendError::NotLive(message));
        };
        if link.outbox.pending() >= self.settings.send_buffer {
            return Err(SendError::Full(message));
        }
        let frame = checked(message)?.into();
        link.outbox.accept();
        self.actions.push_back(Action::Send { id: link.id, frame });
        Ok(())
    }

    /// Whether to read from the connection now. While it says no, leave the socket alone: TCP pushes back (D4).
    #[must_use]
    pub fn wants_frames(&self) -> bool {
        match &self.state {
            State::Bootstrapping { link, .. } | State::Live { link, .. } => !link.liveness.is_paused(),
            // Only the peer's Close matters any more, and it may stand behind data.
            State::Closing { .. } => true,
            State::Idle | State::Connecting { .. } | State::Waiting { .. } | State::Stopped { .. } => false,
        }
    }

    /// When to hand in an [`Event::Tick`] if nothing else happens. It may change with every call of a method.
    #[must_use]
    pub fn deadline(&self) -> Deadline {
        self.state.deadline()
    }

    /// When the attempt or connection fails if nothing arrives until then: the part of [`deadline`](Self::deadline) that is a
    /// verdict on the peer. Read what has arrived before you hand in the [`Event::Tick`] (L2): a process that was stopped, or
    /// whose thread was busy, finds the deadline passed and the socket full.
    #[must_use]
    pub fn failure_deadline(&self) -> Deadline {
        self.state.failure_deadline()
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
            State::Idle
            | State::Connecting { .. }
            | State::Bootstrapping { .. }
            | State::Live { .. }
            | State::Closing { .. }
            | State::Waiting { .. } => None,
        }
    }

    /// What the items in the queue weigh, in bytes (D3).
    #[must_use]
    pub const fn queued_bytes(&self) -> u64 {
        self.queue.bytes()
    }

    /// Figures so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            queued: self.queue.len() as u64,
            queued_bytes: self.queued_bytes(),
            demand: self.queue.credit(),
            dropped: self.queue.dropped(),
            sending: self.state.sending() as u64,
            retries: self.retry.attempt(),
            ..self.stats
        }
    }

    /// The handler, to look at.
    #[must_use]
    pub const fn handler(&self) -> &H {
        &self.handler
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
            | Event::Lost { .. } => self.count_stale(),
        }
    }

    fn on_connecting(&mut self, id: ConnectionId, deadline: Timestamp, event: Event) {
        match event {
            Event::Connected { .. } => self.upgraded(id),
            Event::ConnectFailed { failure, .. } => self.fail(failure),
            Event::Tick if deadline <= self.now => self.abort(id, crate::Failure::ConnectTimeout),
            Event::Shutdown => {
                self.actions.push_back(Action::Abort { id });
                self.stop(StopReason::Shutdown);
            }
            Event::Tick | Event::Start | Event::HandlerPanicked => {}
            Event::Frame { .. }
            | Event::Heard { .. }
            | Event::ProtocolError { .. }
            | Event::Flushed { .. }
            | Event::Lost { .. } => self.count_stale(),
        }
    }

    fn on_closing(&mut self, event: &Event) {
        let State::Closing { id, deadline, then } = &mut self.state else { return };
        match event {
            Event::Lost { .. } => self.closed(),
            Event::Tick if *deadline > self.now => {}
            // Out of time, or out of words: no Close of the peer is to be had.
            Event::Tick | Event::ProtocolError { .. } => {
                let id = *id;
                self.drop_socket(id);
                self.closed();
            }
            Event::Shutdown => *then = Then::ShutDown,
            // Whatever still comes stands before the peer's Close, or is it.
            Event::Frame { .. }
            | Event::Heard { .. }
            | Event::Flushed { .. }
            | Event::Start
            | Event::HandlerPanicked => {}
            Event::Connected { .. } | Event::ConnectFailed { .. } => self.count_stale(),
        }
    }

    fn on_waiting(&mut self, until: Timestamp, event: &Event) {
        match event {
            Event::Tick if until <= self.now => self.connect(),
            Event::Shutdown if bug!(ShutdownWaits) => {}
            Event::Shutdown => self.stop(StopReason::Shutdown),
            Event::Tick | Event::Start | Event::HandlerPanicked => {}
            Event::Connected { .. }
            | Event::ConnectFailed { .. }
            | Event::Frame { .. }
            | Event::Heard { .. }
            | Event::ProtocolError { .. }
            | Event::Flushed { .. }
            | Event::Lost { .. } => self.count_stale(),
        }
    }

    fn connect(&mut self) {
        self.stats.attempts += 1;
        let id = ConnectionId::new(self.stats.attempts);
        let timeout = bug!(NoUpgradeDeadline: Duration::MAX, not self.settings.connect_timeout);
        let deadline = self.now.saturating_add(timeout);
        self.notify(Notice::Connecting { id });
        self.actions.push_back(Action::Connect { id });
        self.enter(State::Connecting { id, deadline });
    }

    fn enter(&mut self, next: State<H::Session>) {
        self.enter_from(self.state.phase(), next);
    }

    fn enter_from(&mut self, from: Phase, next: State<H::Session>) {
        let to = next.phase();
        debug_assert!(
            TRANSITIONS.iter().any(|Transition { from: a, to: b, .. }| (*a, *b) == (from, to)),
            "{from} to {to} is not among the transitions"
        );
        self.state = next;
    }

    fn notify(&mut self, notice: Notice) {
        self.actions.push_back(Action::Notify(notice));
    }

    fn count_stale(&mut self) {
        self.stats.stale_events += 1;
    }
}

/// Shows where the machine stands: everything that decides what it does next, but for what is the application's own
/// (the handler, its session, what items hold). Payloads are shown by their length.
impl<H: FrameHandler> fmt::Debug for Feed<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The effects are empty between two calls.
        let Self { settings: _, handler: _, state, retry, rng, queue, effects: _, actions, now, stats } =
            self;
        f.debug_struct("Feed")
            .field("now", now)
            .field("state", state)
            .field("retry", retry)
            .field("rng", rng)
            .field("queue", queue)
            .field("actions", actions)
            .field("stats", stats)
            .finish_non_exhaustive()
    }
}
