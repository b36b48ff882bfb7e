//! The runtime of a simulation: a virtual clock, one thread, tasks in a fixed order.

use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tidegate_driver::core::{ConnectFailure, Failure, Notice, Timestamp};
use tidegate_driver::{Alarm, Attempt, ConnectRequest, ResolveError, Runtime, Spawn};

use crate::dial::Resolution;
use crate::entry::Entry;
use crate::server::Dial;
use crate::transport::SimTransport;
use crate::world::{ScheduledEvent, World};

/// More polls than this at one time are an endless loop.
const TOO_MANY_POLLS: usize = 100_000;

/// Clock, timer, network and tasks of a simulation, as the runtime of one of its feeds. Clones are the same. For a test that
/// steps them there is [`by_hand`](Self::by_hand).
#[derive(Clone)]
pub struct SimRuntime {
    pub(crate) world: World,
    pub(crate) feed: usize,
    tasks: Arc<Mutex<Vec<Task>>>,
}

type TaskFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

struct Task {
    /// Number of its feed.
    feed: usize,
    future: Option<TaskFuture>,
    woken: Arc<Woken>,
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl SimRuntime {
    pub(crate) fn new(world: World) -> Self {
        Self { world, feed: 0, tasks: Arc::default() }
    }

    /// The runtime of another feed, in the same world.
    pub(crate) fn of_feed(&self, feed: usize) -> Self {
        Self { feed, ..self.clone() }
    }

    pub(crate) fn record(&self, entry: &Entry) {
        self.world.record(self.feed, entry);
    }

    pub(crate) fn notice(&self, notice: &Notice) {
        let mut state = self.world.state();
        let paused = &mut state.feeds[self.feed].paused;
        *paused |= matches!(notice, Notice::Paused { .. });
        *paused &= !matches!(notice, Notice::Connecting { .. } | Notice::Resumed { .. });
        state.record(self.feed, &Entry::Notice(notice.clone()));
    }

    /// The resolver of URL and headers, with its faults.
    pub(crate) fn resolve(
        &self,
        Attempt { id, request, .. }: Attempt,
    ) -> impl Future<Output = Result<ConnectRequest, ResolveError>> + Send + use<> {
        let runtime = self.clone();
        let resolution = self.world.state().announce(self.feed, id);
        if matches!(resolution, Resolution::Panics) {
            self.record(&Entry::Panicked);
            panic!("the resolver, by the simulation");
        }
        async move {
            match resolution {
                Resolution::After(Duration::ZERO) => Ok(request),
                Resolution::After(late) => {
                    let mut attempt = DialGuard { runtime: runtime.clone(), id: id.get(), over: false };
                    runtime.sleep(late).await;
                    attempt.end();
                    Ok(request)
                }
                Resolution::Fails | Resolution::Panics => Err("no token".into()),
            }
        }
    }

    /// Waits in virtual time.
    pub async fn sleep(&self, span: Duration) {
        let until = self.world.now().saturating_add(span);
        let mut planned = false;
        poll_fn(|cx| {
            let mut state = self.world.state();
            if state.now >= until {
                return Poll::Ready(());
            }
            // Polled by one task only.
            if !std::mem::replace(&mut planned, true) {
                state.schedule(until, ScheduledEvent::Wake(cx.waker().clone()));
            }
            Poll::Pending
        })
        .await;
    }

    /// Polls woken tasks until none is left. Returns the number of polls, or `None` if that never ends.
    pub(crate) fn run(&self) -> Option<usize> {
        let mut polls = 0;
        loop {
            let before = polls;
            let mut from = 0;
            while let Some(next) = self.poll_from(from) {
                polls += 1;
                from = next;
            }
            if polls == before {
                return Some(polls);
            }
            if polls > TOO_MANY_POLLS {
                return None;
            }
        }
    }

    /// Polls one woken task. Returns whether there was one.
    pub fn step(&self) -> bool {
        self.poll_from(0).is_some()
    }

    /// Polls the first woken task at or after `from`. Returns the index after it.
    fn poll_from(&self, from: usize) -> Option<usize> {
        let (index, feed, mut future, woken) = self.take(from)?;
        self.world.state().feeds[feed].touched = true;
        let waker = Waker::from(woken);
        if future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            self.lock()[index].future = Some(future);
        }
        Some(index + 1)
    }

    /// Takes the first woken task at or after `from`, with its index and the number of its feed.
    fn take(&self, from: usize) -> Option<(usize, usize, TaskFuture, Arc<Woken>)> {
        let mut tasks = self.lock();
        let ready = |task: &Task| task.future.is_some() && task.woken.0.swap(false, Ordering::Relaxed);
        let index = from + tasks.get(from..)?.iter().position(ready)?;
        let task = &mut tasks[index];
        Some((index, task.feed, task.future.take()?, task.woken.clone()))
    }

    /// Returns whether a task has not ended.
    #[must_use]
    pub fn has_tasks(&self) -> bool {
        self.lock().iter().any(|task| task.future.is_some())
    }

    /// Drops all tasks, as a runtime does that goes away. Without this none is freed that has not ended, since tasks and
    /// runtime own each other.
    pub fn drop_tasks(&self) {
        let gone = std::mem::take(&mut *self.lock());
        drop(gone);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Task>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Runtime for SimRuntime {
    type Alarm = SimAlarm;
    type Transport = SimTransport;

    fn now(&self) -> Timestamp {
        self.world.now()
    }

    fn alarm(&self) -> SimAlarm {
        SimAlarm { world: self.world.clone(), feed: self.feed }
    }

    fn connect(
        &self,
        _request: ConnectRequest,
    ) -> impl Future<Output = Result<SimTransport, Failure>> + Send + 'static {
        let runtime = self.clone();
        let (key, dial, span) = self.world.state().dial(self.feed);
        let mut attempt = DialGuard { runtime: runtime.clone(), id: key.id, over: false };
        async move {
            if dial == Dial::Hang {
                return pending().await;
            }
            runtime.sleep(span).await;
            attempt.end();
            let failure = match dial {
                Dial::Accept if runtime.world.state().is_down() => {
                    Failure::Connect(ConnectFailure::Tcp { detail: "reset by an outage".to_owned() })
                }
                Dial::Accept => return Ok(SimTransport::open(runtime.world, key)),
                Dial::Fail(failure) => failure,
                Dial::Hang => return pending().await,
            };
            runtime.record(&Entry::DialFailed { id: key.id, failure: failure.clone() });
            Err(failure)
        }
    }
}

impl Spawn for SimRuntime {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let woken = Arc::<Woken>::default();
        woken.0.store(true, Ordering::Relaxed);
        self.lock().push(Task { feed: self.feed, future: Some(Box::pin(task)), woken });
    }
}

/// Records an attempt that is dropped before its end.
struct DialGuard {
    runtime: SimRuntime,
    id: u64,
    over: bool,
}

impl DialGuard {
    const fn end(&mut self) {
        self.over = true;
    }
}

impl Drop for DialGuard {
    fn drop(&mut self) {
        if !self.over {
            self.runtime.record(&Entry::Gone { id: self.id });
        }
    }
}

/// The feed's timer, in virtual time.
pub struct SimAlarm {
    world: World,
    feed: usize,
}

impl Alarm for SimAlarm {
    fn set(&mut self, at: Timestamp) {
        let mut state = self.world.state();
        state.feeds[self.feed].alarm.at = Some(at);
        state.schedule(at, ScheduledEvent::Alarm(self.feed));
    }

    fn poll_ring(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.world.state();
        let now = state.now;
        let alarm = &mut state.feeds[self.feed].alarm;
        if alarm.at.is_some_and(|at| at <= now) {
            alarm.at = None;
            return Poll::Ready(());
        }
        if !alarm.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            alarm.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}
