//! The simulator's world: what the loop asks of it is counted, and what no network does goes wrong.

use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake};
use std::time::Duration;

use tidegate_driver::core::{Failure, Timestamp};
use tidegate_driver::{Alarm, ConnectRequest, Runtime, Spawn};
use tidegate_sim::{Gate, Network, SimAlarm, SimRuntime, SimTransport};

/// Everything outside of a feed. Clones are the same world.
#[derive(Clone)]
pub(crate) struct World {
    runtime: SimRuntime,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) requests: Vec<ConnectRequest>,
    /// Where what is written is held up from the start of a connection.
    held: Option<Gate>,
    /// Connecting panics.
    pub(crate) dial_broken: bool,
    /// Reading the clock panics.
    pub(crate) clock_broken: bool,
    pub(crate) clock_readings: usize,
    pub(crate) alarm_sets: usize,
}

impl Default for World {
    fn default() -> Self {
        Self::over(Network::default())
    }
}

impl World {
    fn over(network: Network) -> Self {
        Self { runtime: SimRuntime::by_hand(network), state: Arc::default() }
    }

    /// A world in which the runtime looks at a socket a while after something has arrived.
    pub(crate) fn slow_to_look() -> Self {
        Self::over(Network::default().readiness_delay(Duration::from_micros(500)))
    }

    /// A world whose connections hold up what is written from their start.
    pub(crate) fn holding(gate: Gate) -> Self {
        let world = Self::default();
        world.state().held = Some(gate);
        world
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for World {
    type Target = SimRuntime;

    fn deref(&self) -> &SimRuntime {
        &self.runtime
    }
}

impl Runtime for World {
    type Alarm = CountedAlarm;
    type Transport = SimTransport;

    fn now(&self) -> Timestamp {
        let mut state = self.state();
        assert!(!state.clock_broken, "the test broke the clock");
        state.clock_readings += 1;
        self.runtime.now()
    }

    fn alarm(&self) -> CountedAlarm {
        CountedAlarm(self.clone(), self.runtime.alarm())
    }

    fn connect(
        &self,
        request: ConnectRequest,
    ) -> impl Future<Output = Result<SimTransport, Failure>> + Send + 'static {
        let world = self.clone();
        let dialing = self.runtime.connect(request.clone());
        self.state().requests.push(request);
        async move {
            assert!(!world.state().dial_broken, "the test broke dialing");
            let transport = dialing.await?;
            if let (Some(gate), Some(peer)) = (world.state().held, world.remote()) {
                peer.hold(gate);
            }
            Ok(transport)
        }
    }
}

impl Spawn for World {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(task);
    }
}

pub(crate) struct CountedAlarm(World, SimAlarm);

impl Alarm for CountedAlarm {
    fn set(&mut self, at: Timestamp) {
        self.0.state().alarm_sets += 1;
        self.1.set(at);
    }

    fn poll_ring(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.1.poll_ring(cx)
    }
}

/// Counts wake-ups.
#[derive(Default)]
pub(crate) struct Wakes(AtomicUsize);

impl Wakes {
    /// How many there were since this was last asked.
    pub(crate) fn take(&self) -> usize {
        self.0.swap(0, Ordering::SeqCst)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}
