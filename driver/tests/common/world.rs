//! Clock, alarm, dialing and executor.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use async_task::{Runnable, Task};
use tidegate_driver::core::{Failure, Timestamp};
use tidegate_driver::{Alarm, ConnectRequest, Runtime, Spawn};

use super::connection::{Gate, MockTransport, Peer};

/// More polls than this without an event from outside are an endless loop.
const TOO_MANY_POLLS: usize = 10_000;

/// Everything outside of a feed. Clones are the same world.
#[derive(Clone, Default)]
pub(crate) struct World {
    state: Arc<Mutex<State>>,
    woken: Arc<Mutex<VecDeque<Runnable>>>,
}

#[derive(Default)]
pub(crate) struct State {
    now: Timestamp,
    rings_at: Option<Timestamp>,
    waker: Option<Waker>,
    script: VecDeque<Dial>,
    tasks: Vec<Task<()>>,
    peers: Vec<Peer>,
    /// Reading the clock panics.
    pub(crate) clock_broken: bool,
    pub(crate) clock_readings: usize,
    pub(crate) alarm_sets: usize,
    pub(crate) requests: Vec<ConnectRequest>,
}

/// What becomes of an attempt; without a script each is accepted.
pub(crate) enum Dial {
    AcceptShut(Gate),
    Refuse(Failure),
    Hang,
    Panic,
}

/// Counts wake-ups, and knows whether there was one since it was last asked.
#[derive(Default)]
pub(crate) struct Wakes {
    woken: AtomicBool,
    count: AtomicUsize,
}

impl Wakes {
    pub(crate) fn take(&self) -> bool {
        self.woken.swap(false, Ordering::SeqCst)
    }

    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        self.count.fetch_add(1, Ordering::SeqCst);
    }
}

impl World {
    /// A world in which this becomes of the first attempt.
    pub(crate) fn with(first: Dial) -> Self {
        let world = Self::default();
        world.state().script.push_back(first);
        world
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves the clock, and rings the alarm if its time has come.
    pub(crate) fn advance(&self, span: Duration) {
        let mut state = self.state();
        state.now = state.now.saturating_add(span);
        if state.rings_at.is_some_and(|at| at <= state.now)
            && let Some(waker) = state.waker.take()
        {
            waker.wake();
        }
    }

    /// The other end of the `number`th connection made, from 1.
    pub(crate) fn peer(&self, number: usize) -> Peer {
        self.state().peers[number - 1].clone()
    }

    /// Connections made so far.
    pub(crate) fn connections(&self) -> usize {
        self.state().peers.len()
    }

    /// Polls one task that was woken. Returns whether there was one.
    pub(crate) fn step(&self) -> bool {
        let woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        woken.map(Runnable::run).is_some()
    }

    /// Polls woken tasks until none is left. Returns how many polls that took.
    pub(crate) fn run(&self) -> usize {
        let polls = (0..TOO_MANY_POLLS).take_while(|_| self.step()).count();
        assert!(polls < TOO_MANY_POLLS, "the tasks never come to rest");
        polls
    }

    /// Whether a task has not ended.
    pub(crate) fn has_tasks(&self) -> bool {
        !self.state().tasks.iter().all(Task::is_finished)
    }

    /// The runtime goes away with all its tasks.
    pub(crate) fn drop_tasks(&self) {
        let tasks = std::mem::take(&mut self.state().tasks);
        drop(tasks);
        // A canceled task is dropped when it would be polled.
        self.run();
    }
}

impl Runtime for World {
    type Alarm = MockAlarm;
    type Transport = MockTransport;

    fn now(&self) -> Timestamp {
        let mut state = self.state();
        assert!(!state.clock_broken, "the test broke the clock");
        state.clock_readings += 1;
        state.now
    }

    fn alarm(&self) -> MockAlarm {
        MockAlarm(self.clone())
    }

    fn connect(
        &self,
        request: ConnectRequest,
    ) -> impl Future<Output = Result<MockTransport, Failure>> + Send + 'static {
        let world = self.clone();
        self.state().requests.push(request);
        let dial = self.state().script.pop_front();
        async move {
            let peer = Peer::default();
            match dial {
                None => {}
                Some(Dial::AcceptShut(gate)) => peer.shut(gate),
                Some(Dial::Refuse(failure)) => return Err(failure),
                Some(Dial::Hang) => pending().await,
                Some(Dial::Panic) => panic!("the test asked for this panic"),
            }
            world.state().peers.push(peer.clone());
            Ok(MockTransport(peer))
        }
    }
}

impl Spawn for World {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let woken = self.woken.clone();
        let schedule =
            move |runnable| woken.lock().unwrap_or_else(PoisonError::into_inner).push_back(runnable);
        let (runnable, task) = async_task::spawn(task, schedule);
        runnable.schedule();
        self.state().tasks.push(task);
    }
}

pub(crate) struct MockAlarm(World);

impl Alarm for MockAlarm {
    fn set(&mut self, at: Timestamp) {
        let mut state = self.0.state();
        state.rings_at = Some(at);
        state.alarm_sets += 1;
    }

    fn poll_ring(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.state();
        let at = state.rings_at.expect("an alarm that is not set is not polled");
        if at <= state.now {
            state.rings_at = None;
            return Poll::Ready(());
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}
