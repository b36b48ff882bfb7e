//! Clock, alarm, dialling and executor.

use std::collections::VecDeque;
use std::future::pending;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tidegate_driver::core::{Failure, Timestamp};
use tidegate_driver::{Alarm, ConnectRequest, Runtime, Spawn};

use super::wire::{Gate, MockTransport, Peer, Wire};

/// More polls than this without anything from outside is a loop that does not end.
const TOO_MANY_POLLS: usize = 10_000;

/// All that is outside of a feed. Clones are the same world.
#[derive(Clone, Default)]
pub(crate) struct World {
    shared: Arc<Mutex<Shared>>,
    tasks: Arc<Mutex<Vec<Task>>>,
}

#[derive(Default)]
pub(crate) struct Shared {
    now: Timestamp,
    clock_readings: usize,
    clock_broken: bool,
    bell: Bell,
    script: VecDeque<Dial>,
    requests: Vec<ConnectRequest>,
    dials_dropped: usize,
    pub(crate) wires: Vec<Wire>,
}

#[derive(Default)]
struct Bell {
    at: Option<Timestamp>,
    sets: usize,
    waker: Option<Waker>,
}

/// What becomes of an attempt; without a script each is accepted.
pub(crate) enum Dial {
    Accept,
    AcceptShut(Gate),
    Refuse(Failure),
    Hang,
    Panic,
}

struct Task {
    future: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    wakes: Arc<Wakes>,
}

/// Counts wake-ups, and tells whether there was one since it was last asked.
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
    pub(crate) fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// What becomes of the next attempt that has no script yet.
    pub(crate) fn script(&self, dial: Dial) {
        self.shared().script.push_back(dial);
    }

    /// Moves the clock, and rings the alarm if its time has come.
    pub(crate) fn advance(&self, span: Duration) {
        let mut shared = self.shared();
        shared.now = shared.now.saturating_add(span);
        let due = shared.bell.at.is_some_and(|at| at <= shared.now);
        let waker = if due { shared.bell.waker.take() } else { None };
        drop(shared);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) fn clock_readings(&self) -> usize {
        self.shared().clock_readings
    }

    /// Reading the clock panics from now on.
    pub(crate) fn break_clock(&self) {
        self.shared().clock_broken = true;
    }

    pub(crate) fn alarm_sets(&self) -> usize {
        self.shared().bell.sets
    }

    pub(crate) fn requests(&self) -> Vec<ConnectRequest> {
        self.shared().requests.clone()
    }

    /// Attempts that were dropped before they came to an end.
    pub(crate) fn dials_dropped(&self) -> usize {
        self.shared().dials_dropped
    }

    /// The other end of the `number`th connection made, from 1.
    pub(crate) fn peer(&self, number: usize) -> Peer {
        assert!(number <= self.connections(), "there is no connection {number} yet");
        Peer::new(self.clone(), number - 1)
    }

    /// Connections made so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared().wires.len()
    }

    /// Polls each task that was woken, once. How many polls that were.
    pub(crate) fn step(&self) -> usize {
        let mut polls = 0;
        let mut index = 0;
        while let Some((future, wakes)) = self.take_task(index) {
            if let Some(mut future) = future {
                polls += 1;
                if future.as_mut().poll(&mut Context::from_waker(&Waker::from(wakes))).is_pending() {
                    self.lock_tasks()[index].future = Some(future);
                }
            }
            index += 1;
        }
        polls
    }

    /// Polls woken tasks until none is. How many polls that were.
    pub(crate) fn run(&self) -> usize {
        let mut total = 0;
        loop {
            match self.step() {
                0 => return total,
                polls => total += polls,
            }
            assert!(total < TOO_MANY_POLLS, "the tasks never come to rest");
        }
    }

    /// The task at `index`, to be polled if it was woken and is not over.
    #[expect(clippy::type_complexity, reason = "a name would tell less")]
    fn take_task(
        &self,
        index: usize,
    ) -> Option<(Option<Pin<Box<dyn Future<Output = ()> + Send>>>, Arc<Wakes>)> {
        let mut tasks = self.lock_tasks();
        let task = tasks.get_mut(index)?;
        let future = if task.wakes.take() { task.future.take() } else { None };
        Some((future, task.wakes.clone()))
    }

    /// Tasks that are not over.
    pub(crate) fn live_tasks(&self) -> usize {
        self.lock_tasks().iter().filter(|task| task.future.is_some()).count()
    }

    /// The runtime goes away with all its tasks.
    pub(crate) fn drop_tasks(&self) {
        let gone: Vec<_> = self.lock_tasks().iter_mut().map(|task| task.future.take()).collect();
        drop(gone);
    }

    fn lock_tasks(&self) -> MutexGuard<'_, Vec<Task>> {
        self.tasks.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Runtime for World {
    type Alarm = MockAlarm;
    type Transport = MockTransport;

    fn now(&self) -> Timestamp {
        let mut shared = self.shared();
        assert!(!shared.clock_broken, "the test broke the clock");
        shared.clock_readings += 1;
        shared.now
    }

    fn alarm(&self) -> MockAlarm {
        MockAlarm(self.clone())
    }

    fn connect(
        &self,
        request: ConnectRequest,
    ) -> impl Future<Output = Result<MockTransport, Failure>> + Send + 'static {
        let world = self.clone();
        let mut shared = self.shared();
        shared.requests.push(request);
        let dial = shared.script.pop_front().unwrap_or(Dial::Accept);
        drop(shared);
        async move {
            match dial {
                Dial::Accept => Ok(MockTransport::open(world, None)),
                Dial::AcceptShut(gate) => Ok(MockTransport::open(world, Some(gate))),
                Dial::Refuse(failure) => Err(failure),
                Dial::Hang => {
                    let _guard = HangUp(world);
                    pending().await
                }
                Dial::Panic => panic!("the test asked for this panic"),
            }
        }
    }
}

impl Spawn for World {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let wakes = Arc::<Wakes>::default();
        wakes.wake_by_ref();
        self.lock_tasks().push(Task { future: Some(Box::pin(task)), wakes });
    }
}

struct HangUp(World);

impl Drop for HangUp {
    fn drop(&mut self) {
        self.0.shared().dials_dropped += 1;
    }
}

pub(crate) struct MockAlarm(World);

impl Alarm for MockAlarm {
    fn set(&mut self, at: Timestamp) {
        let mut shared = self.0.shared();
        shared.bell.at = Some(at);
        shared.bell.sets += 1;
    }

    fn poll_ring(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut shared = self.0.shared();
        let at = shared.bell.at.expect("an alarm that is not set is not polled");
        if at <= shared.now {
            shared.bell.at = None;
            return Poll::Ready(());
        }
        shared.bell.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}
