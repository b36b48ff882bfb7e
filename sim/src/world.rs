//! Everything outside of the feeds: the clock, the events to come, and the lock around them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use fastrand::Rng;
use tidegate_driver::core::{Message, Phase, Timestamp};

use crate::connection::{ConnectionKey, NEVER, SimConnection};
use crate::entry::{Awaited, Entry};
use crate::injector::{Injector, PlannedFault};
use crate::journal::Journal;
use crate::scenario::Answer;
use crate::server::Servers;

/// Shares the state of a run. Clones are the same world.
#[derive(Clone)]
pub(crate) struct World {
    state: Arc<Mutex<State>>,
}

pub(crate) struct State {
    pub(crate) now: Timestamp,
    /// By time, then in the order in which they were scheduled.
    schedule: BTreeMap<(Timestamp, u64), ScheduledEvent>,
    /// How many events were scheduled.
    scheduled: u64,
    pub(crate) rng: Rng,
    pub(crate) injector: Injector,
    pub(crate) network: Network,
    pub(crate) servers: Servers,
    /// What becomes of the next replies.
    pub(crate) answers: VecDeque<Answer>,
    /// The server is down until then.
    pub(crate) down_until: Timestamp,
    pub(crate) feeds: Vec<FeedState>,
    /// The faults are over, and consumers are prompt.
    pub(crate) healed: bool,
    pub(crate) journal: Journal,
}

/// The outside of one feed.
#[derive(Default)]
pub(crate) struct FeedState {
    pub(crate) connection: Option<SimConnection>,
    /// The last attempt that the resolver was called for, and its fault until it is dialed.
    pub(crate) announced: (u64, Option<PlannedFault>),
    pub(crate) alarm: AlarmState,
    pub(crate) consumer_waits: bool,
    /// Reading is paused.
    pub(crate) paused: bool,
    /// What the handler said last.
    pub(crate) waits_for_ready: bool,
    /// A task of the feed has run since the last check.
    pub(crate) touched: bool,
    /// What the next call of the application's code does wrong.
    pub(crate) sabotage: Option<Sabotage>,
}

impl FeedState {
    /// What the feed waits for in this phase.
    pub(crate) fn awaited(&self, phase: Phase) -> Awaited {
        match phase {
            Phase::Idle => Awaited::Start,
            Phase::Connecting if self.announced.1.is_some() => Awaited::Resolver,
            Phase::Connecting => Awaited::Upgrade,
            Phase::Bootstrapping | Phase::Live if self.paused => Awaited::Consumer,
            Phase::Bootstrapping if self.is_writing() => Awaited::Writing,
            Phase::Bootstrapping if self.waits_for_ready => Awaited::Ready,
            Phase::Bootstrapping => Awaited::Writing,
            Phase::Live => Awaited::Messages,
            Phase::Closing => Awaited::Close,
            Phase::Waiting => Awaited::Retry,
            Phase::Stopped => Awaited::Nothing,
        }
    }

    fn is_writing(&self) -> bool {
        self.connection.as_ref().is_some_and(|it| it.writer.is_some() || !it.unflushed.is_empty())
    }
}

/// The alarm of a feed.
#[derive(Default)]
pub(crate) struct AlarmState {
    pub(crate) at: Option<Timestamp>,
    pub(crate) waker: Option<Waker>,
}

/// A fault of a function of the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sabotage {
    /// With its next message.
    Fault,
    Fatal,
    Reconnect,
    Panic(Place),
    /// With its next connection.
    Refusal,
}

/// Which function panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Message,
    Upgrade,
    Resolver,
    Classification,
}

/// How long frames take from one side to the other. By default no time at all.
///
/// ```
/// use std::time::Duration;
/// use tidegate_sim::Network;
///
/// let mobile = Network::default().latency(Duration::from_millis(80)).jitter(Duration::from_millis(40)).bandwidth(20_000);
/// # let _ = mobile;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Network {
    pub(crate) latency: Duration,
    pub(crate) jitter: Duration,
    pub(crate) bandwidth: Option<u64>,
    pub(crate) readiness_delay: Duration,
}

impl Network {
    /// Minimum delay of a frame. An attempt takes six of them: three round trips for TCP, TLS and the upgrade.
    pub const fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Maximum additional delay. Frames stay in order.
    pub const fn jitter(mut self, jitter: Duration) -> Self {
        self.jitter = jitter;
        self
    }

    /// Bytes a second that a connection carries in each direction. No limit by default.
    pub const fn bandwidth(mut self, bytes: u64) -> Self {
        self.bandwidth = Some(bytes);
        self
    }

    /// How long the feed's runtime takes to notice that something has arrived, below a millisecond. Until then it answers
    /// from what it saw last, as tokio does, and a deadline may pass meanwhile.
    pub const fn readiness_delay(mut self, delay: Duration) -> Self {
        self.readiness_delay = delay;
        self
    }

    /// The longest delay in one direction.
    pub(crate) fn longest(self) -> Duration {
        self.latency + self.jitter + self.readiness_delay
    }
}

/// An event that is scheduled for later.
pub(crate) enum ScheduledEvent {
    Wake(Waker),
    /// The alarm of this feed may ring.
    Alarm(usize),
    ToClient(ConnectionKey),
    /// The feed's runtime notices what has arrived.
    Seen(ConnectionKey),
    /// A reset reaches the feed's side.
    Broken(ConnectionKey),
    Writable(ConnectionKey),
    ToServer(ConnectionKey),
    Tick(ConnectionKey, u64),
    /// A message that the server sends late; whether it is a reply.
    Late(ConnectionKey, bool, Message),
    Fault(ConnectionKey, Box<PlannedFault>),
    /// Faults of a given time are due.
    PlannedFault,
    Outage(Duration),
    Heal(Duration),
}

impl World {
    pub(crate) fn new(
        feeds: usize,
        rng: Rng,
        injector: Injector,
        network: Network,
        servers: Servers,
        journal: Journal,
    ) -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                now: Timestamp::ZERO,
                schedule: BTreeMap::new(),
                scheduled: 0,
                rng,
                injector,
                network,
                servers,
                answers: VecDeque::new(),
                down_until: Timestamp::ZERO,
                feeds: (0..feeds).map(|_| FeedState::default()).collect(),
                healed: false,
                journal,
            })),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.state().now
    }

    pub(crate) fn record(&self, feed: usize, entry: &Entry) {
        self.state().record(feed, entry);
    }

    /// Moves the clock to the next event and handles it, unless that is after `until`.
    pub(crate) fn advance(&self, until: Timestamp) -> bool {
        let mut state = self.state();
        let Some(at) = state.next_time().filter(|at| *at <= until) else {
            state.now = state.now.max(until);
            return false;
        };
        state.now = state.now.max(at);
        state.catch_up();
        true
    }
}

impl State {
    pub(crate) fn record(&mut self, feed: usize, entry: &Entry) {
        self.journal.record(self.now, feed, entry);
    }

    pub(crate) fn record_all(&mut self, entry: &Entry) {
        self.journal.record_all(self.now, entry);
    }

    /// Breaks a rule, now.
    pub(crate) fn violate(&mut self, rule: String) {
        self.journal.violate(self.now, rule);
    }

    /// Handles all events until now at once: what has arrived is read before a deadline of that time counts (L2).
    pub(crate) fn catch_up(&mut self) {
        while self.next_time().is_some_and(|at| at <= self.now)
            && let Some((_, event)) = self.schedule.pop_first()
        {
            self.handle(event);
        }
    }

    pub(crate) fn schedule(&mut self, at: Timestamp, event: ScheduledEvent) {
        if at == NEVER {
            return;
        }
        self.scheduled += 1;
        self.schedule.insert((at, self.scheduled), event);
    }

    pub(crate) fn schedule_in(&mut self, span: Duration, event: ScheduledEvent) {
        self.schedule(self.now.saturating_add(span), event);
    }

    fn next_time(&self) -> Option<Timestamp> {
        self.schedule.first_key_value().map(|((at, _), _)| *at)
    }

    pub(crate) fn connection(&mut self, key: ConnectionKey) -> Option<&mut SimConnection> {
        self.feeds[key.feed].connection.as_mut().filter(|connection| connection.id == key.id)
    }

    /// Draws how long the next frame takes.
    pub(crate) fn latency(&mut self) -> Duration {
        let jitter = u64::try_from(self.network.jitter.as_nanos()).unwrap_or(u64::MAX);
        self.network.latency + Duration::from_nanos(self.rng.u64(0..=jitter))
    }

    pub(crate) const fn is_down(&self) -> bool {
        self.now.as_nanos() < self.down_until.as_nanos()
    }

    /// Takes what the next call of the application's code does wrong, if `fits` says that this call can.
    pub(crate) fn take_sabotage(
        &mut self,
        feed: usize,
        fits: impl FnOnce(Sabotage) -> bool,
    ) -> Option<Sabotage> {
        self.feeds[feed].sabotage.take_if(|sabotage| fits(*sabotage))
    }
}

/// Draws a duration between the two.
pub(crate) fn span(rng: &mut Rng, least: Duration, most: Duration) -> Duration {
    let range = most.saturating_sub(least);
    least + range.mul_f64(rng.f64())
}
