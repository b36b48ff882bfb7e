//! The runtime of a simulation: a virtual clock, one thread, tasks in a fixed order.

use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tidegate_driver::core::{Failure, Timestamp};
use tidegate_driver::{Alarm, ConnectRequest, Runtime, Spawn};

use crate::entry::Entry;
use crate::server::Dial;
use crate::transport::SimTransport;
use crate::world::{Happening, World};

/// More polls than this without the clock moving is a loop that does not end.
const TOO_MANY_POLLS: usize = 100_000;

/// Clock, timer, network and tasks of a simulation, as a driver's runtime. Clones are the same.
#[derive(Clone)]
pub struct SimRuntime {
    pub(crate) world: World,
    tasks: Arc<Mutex<Vec<Task>>>,
}

struct Task {
    future: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
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
        Self { world, tasks: Arc::default() }
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
            // Only ever polled by the one task that made it.
            if !std::mem::replace(&mut planned, true) {
                state.plan(until, Happening::Wake(cx.waker().clone()));
            }
            Poll::Pending
        })
        .await;
    }

    /// Polls what was woken until nothing is. False if that has no end.
    pub(crate) fn run(&self) -> bool {
        let mut polls = 0;
        loop {
            let before = polls;
            let mut index = 0;
            while let Some(next) = self.take(index) {
                if let Some((mut future, woken)) = next {
                    polls += 1;
                    let waker = Waker::from(woken);
                    if future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
                        self.lock()[index].future = Some(future);
                    }
                }
                index += 1;
            }
            if polls == before {
                break;
            }
            if polls > TOO_MANY_POLLS {
                return false;
            }
        }
        true
    }

    /// The task at `index`, if there is one; its future, if it was woken.
    #[expect(clippy::type_complexity, reason = "a name would tell less")]
    fn take(&self, index: usize) -> Option<Option<(Pin<Box<dyn Future<Output = ()> + Send>>, Arc<Woken>)>> {
        let mut tasks = self.lock();
        let task = tasks.get_mut(index)?;
        if !task.woken.0.swap(false, Ordering::Relaxed) {
            return Some(None);
        }
        Some(task.future.take().map(|future| (future, task.woken.clone())))
    }

    /// The tasks hold the runtime, and the runtime the tasks: without this none is ever freed.
    pub(crate) fn drop_tasks(&self) {
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
        SimAlarm { world: self.world.clone() }
    }

    fn connect(
        &self,
        _request: ConnectRequest,
    ) -> impl Future<Output = Result<SimTransport, Failure>> + Send + 'static {
        let runtime = self.clone();
        let (id, dial, span) = self.world.state().dial();
        let mut attempt = DialGuard { world: self.world.clone(), id, over: false };
        async move {
            if dial == Dial::Hang {
                return pending().await;
            }
            runtime.sleep(span).await;
            attempt.end();
            match dial {
                Dial::Accept => Ok(SimTransport::open(runtime.world, id)),
                Dial::Fail(failure) => {
                    runtime.world.record(&Entry::DialFailed { id, failure: failure.clone() });
                    Err(failure)
                }
                Dial::Hang => pending().await,
            }
        }
    }
}

impl Spawn for SimRuntime {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let woken = Arc::<Woken>::default();
        woken.0.store(true, Ordering::Relaxed);
        self.lock().push(Task { future: Some(Box::pin(task)), woken });
    }
}

/// Tells when an attempt is dropped before it has come to an end.
struct DialGuard {
    world: World,
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
            self.world.record(&Entry::Gone { id: self.id });
        }
    }
}

/// The feed's timer, in virtual time.
pub struct SimAlarm {
    world: World,
}

impl Alarm for SimAlarm {
    fn set(&mut self, at: Timestamp) {
        let mut state = self.world.state();
        state.bell.at = Some(at);
        state.plan(at, Happening::Ring);
    }

    fn poll_ring(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.world.state();
        if state.bell.at.is_some_and(|at| at <= state.now) {
            state.bell.at = None;
            return Poll::Ready(());
        }
        state.bell.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}
