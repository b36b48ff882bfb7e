//! All that is outside of the feed: the clock, what is to happen when, and the lock around it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use fastrand::Rng;
use tidegate_driver::core::{Phase, Timestamp};

use crate::entry::Entry;
use crate::fault::{FaultKind, Faults};
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
    /// In the order of time, then of being planned.
    plan: BTreeMap<(Timestamp, u64), Happening>,
    planned: u64,
    pub(crate) rng: Rng,
    pub(crate) faults: Faults,
    pub(crate) healed: bool,
    pub(crate) network: Network,
    pub(crate) server: Option<Box<dyn Server>>,
    pub(crate) wires: BTreeMap<u64, Wire>,
    /// What the resolver has been asked for and the transport not yet, and its fate.
    pub(crate) announced: (u64, Option<FaultKind>),
    pub(crate) bell: Bell,
    pub(crate) consumer_waits: bool,
    pub(crate) journal: Journal,
    /// For the coverage.
    pub(crate) phase: Phase,
}

/// The feed's alarm.
#[derive(Default)]
pub(crate) struct Bell {
    pub(crate) at: Option<Timestamp>,
    pub(crate) waker: Option<Waker>,
}

/// How long a frame takes from one side to the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// At least.
    pub latency: Duration,
    /// At most this much more; frames stay in order.
    pub jitter: Duration,
}

impl Network {
    /// The longest way from one side to the other.
    pub(crate) fn longest(self) -> Duration {
        self.latency + self.jitter
    }
}

/// Something that is to happen.
pub(crate) enum Happening {
    Wake(Waker),
    Ring,
    ToClient(u64),
    /// A reset reaches the feed's side.
    Broken(u64),
    Writable(u64),
    ToServer(u64),
    Tick(u64, u64),
    Fault(u64, FaultKind),
    Heal(Duration),
}

impl Happening {
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Wake(_) => "task",
            Self::Ring => "alarm",
            Self::ToClient(_) => "frame_in",
            Self::Broken(_) => "reset_in",
            Self::Writable(_) => "writable",
            Self::ToServer(_) => "frame_out",
            Self::Tick(..) => "server_data",
            Self::Fault(_, kind) => kind.as_str(),
            Self::Heal(_) => "heal",
        }
    }
}

impl World {
    pub(crate) fn new(
        rng: Rng,
        faults: Faults,
        network: Network,
        server: Box<dyn Server>,
        journal: Journal,
    ) -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                now: Timestamp::ZERO,
                plan: BTreeMap::new(),
                planned: 0,
                rng,
                faults,
                healed: false,
                network,
                server: Some(server),
                wires: BTreeMap::new(),
                announced: (0, None),
                bell: Bell::default(),
                consumer_waits: true,
                journal,
                phase: Phase::Idle,
            })),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.state().now
    }

    pub(crate) fn record(&self, entry: &Entry) {
        self.state().record(entry);
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
            let phase = state.phase;
            state.journal.cover(phase, happening.name());
            state.happen(happening);
        }
        true
    }
}

impl State {
    pub(crate) fn record(&mut self, entry: &Entry) {
        self.journal.record(self.now, entry);
    }

    pub(crate) fn plan(&mut self, at: Timestamp, happening: Happening) {
        if at == crate::wire::NEVER {
            return;
        }
        self.planned += 1;
        self.plan.insert((at, self.planned), happening);
    }

    pub(crate) fn plan_in(&mut self, span: Duration, happening: Happening) {
        self.plan(self.now.saturating_add(span), happening);
    }

    fn next_time(&self) -> Option<Timestamp> {
        self.plan.first_key_value().map(|((at, _), _)| *at)
    }

    fn take_due(&mut self) -> Option<Happening> {
        let now = self.now;
        let first = self.plan.first_entry().filter(|first| first.key().0 <= now)?;
        Some(first.remove())
    }

    /// How long the next frame takes.
    pub(crate) fn latency(&mut self) -> Duration {
        let jitter = u64::try_from(self.network.jitter.as_nanos()).unwrap_or(u64::MAX);
        self.network.latency + Duration::from_nanos(self.rng.u64(0..=jitter))
    }

    /// Between the two, any as likely.
    pub(crate) fn span(&mut self, least: Duration, most: Duration) -> Duration {
        let range = most.saturating_sub(least);
        least + range.mul_f64(self.rng.f64())
    }
}
