//! All that is outside of the feeds: the clock, what is to happen when, and the lock around it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use fastrand::Rng;
use tidegate_driver::core::Timestamp;

use crate::entry::Entry;
use crate::injector::{Injector, Planned};
use crate::journal::Journal;
use crate::server::Server;
use crate::wire::Wire;

/// Clones are the same world.
#[derive(Clone)]
pub(crate) struct World {
    state: Arc<Mutex<State>>,
}

pub(crate) struct State {
    pub(crate) now: Timestamp,
    plan: BinaryHeap<Reverse<Due>>,
    planned: u64,
    pub(crate) rng: Rng,
    pub(crate) injector: Injector,
    pub(crate) network: Network,
    pub(crate) server: Option<Box<dyn Server>>,
    /// The server is down until then.
    pub(crate) down_until: Timestamp,
    pub(crate) stations: Vec<Station>,
    /// Nothing goes wrong any more, and consumers are prompt.
    pub(crate) healed: bool,
    pub(crate) journal: Journal,
}

/// The outside of one feed.
#[derive(Default)]
pub(crate) struct Station {
    pub(crate) wire: Option<Wire>,
    /// What the resolver has been asked for and the transport not yet, and its fate.
    pub(crate) announced: (u64, Option<Planned>),
    pub(crate) bell: Bell,
    pub(crate) consumer_waits: bool,
    /// Something of it ran since it was looked at.
    pub(crate) touched: bool,
    /// What the application's next call is to do instead of what it should.
    pub(crate) sabotage: Option<Sabotage>,
}

/// A feed's alarm.
#[derive(Default)]
pub(crate) struct Bell {
    pub(crate) at: Option<Timestamp>,
    pub(crate) waker: Option<Waker>,
}

/// What a function of the application's does wrong.
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

/// How long a frame takes from one side to the other. By default no time at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// At least.
    pub latency: Duration,
    /// At most this much more; frames stay in order.
    pub jitter: Duration,
    /// Bytes a second that a connection carries in each direction, or any number.
    pub bandwidth: Option<u64>,
    /// How long the feed's runtime takes to see that something has arrived, below a millisecond. Until then it answers from
    /// what it saw last, as tokio does: a deadline may come meanwhile (L2).
    pub readiness_delay: Duration,
}

impl Network {
    /// The longest way from one side to the other.
    pub(crate) fn longest(self) -> Duration {
        self.latency + self.jitter + self.readiness_delay
    }
}

/// Which connection of which feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) feed: usize,
    pub(crate) id: u64,
}

/// Something that is to happen.
pub(crate) enum Happening {
    Wake(Waker),
    Ring(usize),
    ToClient(Line),
    /// The feed's runtime sees what has arrived.
    Seen(Line),
    /// A reset reaches the feed's side.
    Broken(Line),
    Writable(Line),
    ToServer(Line),
    Tick(Line, u64),
    Fault(Line, Box<Planned>),
    Outage(Duration),
    Heal(Duration),
}

/// In the order of time, then of being planned.
struct Due {
    at: Timestamp,
    number: u64,
    what: Happening,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl World {
    pub(crate) fn new(
        feeds: usize,
        rng: Rng,
        injector: Injector,
        network: Network,
        server: Box<dyn Server>,
        journal: Journal,
    ) -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                now: Timestamp::ZERO,
                plan: BinaryHeap::new(),
                planned: 0,
                rng,
                injector,
                network,
                server: Some(server),
                down_until: Timestamp::ZERO,
                stations: (0..feeds).map(|_| Station::default()).collect(),
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

    /// Jumps to the next time at which something happens, if that is not after `until`, and lets it happen.
    pub(crate) fn advance(&self, until: Timestamp) -> bool {
        let mut state = self.state();
        let Some(at) = state.next_time().filter(|at| *at <= until) else {
            state.now = state.now.max(until);
            return false;
        };
        state.now = state.now.max(at);
        // All of one time at once: what has arrived is read before a deadline of that time counts (L2).
        while let Some(happening) = state.take_due() {
            state.happen(happening);
        }
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

    pub(crate) fn plan(&mut self, at: Timestamp, what: Happening) {
        if at == crate::wire::NEVER {
            return;
        }
        self.planned += 1;
        self.plan.push(Reverse(Due { at, number: self.planned, what }));
    }

    pub(crate) fn plan_in(&mut self, span: Duration, what: Happening) {
        self.plan(self.now.saturating_add(span), what);
    }

    fn next_time(&self) -> Option<Timestamp> {
        self.plan.peek().map(|Reverse(first)| first.at)
    }

    fn take_due(&mut self) -> Option<Happening> {
        if self.next_time()? > self.now {
            return None;
        }
        self.plan.pop().map(|Reverse(first)| first.what)
    }

    pub(crate) fn wire(&mut self, line: Line) -> Option<&mut Wire> {
        self.stations[line.feed].wire.as_mut().filter(|wire| wire.id == line.id)
    }

    /// How long the next frame takes.
    pub(crate) fn latency(&mut self) -> Duration {
        let jitter = u64::try_from(self.network.jitter.as_nanos()).unwrap_or(u64::MAX);
        self.network.latency + Duration::from_nanos(self.rng.u64(0..=jitter))
    }

    pub(crate) const fn is_down(&self) -> bool {
        self.now.as_nanos() < self.down_until.as_nanos()
    }

    /// What the application's next call is to do wrong, if it is one that can.
    pub(crate) fn take_sabotage(
        &mut self,
        feed: usize,
        fits: impl FnOnce(Sabotage) -> bool,
    ) -> Option<Sabotage> {
        let sabotage = &mut self.stations[feed].sabotage;
        if sabotage.is_some_and(fits) { sabotage.take() } else { None }
    }
}

/// Between the two, any as likely.
pub(crate) fn span(rng: &mut Rng, least: Duration, most: Duration) -> Duration {
    let range = most.saturating_sub(least);
    least + range.mul_f64(rng.f64())
}
