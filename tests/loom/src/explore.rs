//! Running a scenario in every order of its threads.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use loom::sync::Notify;

/// How much of the possible orders is run.
#[derive(Clone, Copy)]
pub enum Extent {
    /// All with as many preemptions as the bound allows.
    All,
    /// Of those, the first that are found, since there are too many.
    Some(usize),
}

/// Preemptions in one run; `LOOM_MAX_PREEMPTIONS` overrides it. A thread that waits is not preempted.
const PREEMPTIONS: usize = 2;

/// Runs `scenario` in every order of its threads, and prints how many there are.
pub fn explore(name: &'static str, extent: Extent, scenario: fn()) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound.get_or_insert(PREEMPTIONS);
    model.max_branches = 10_000;
    if let Extent::Some(cap) = extent {
        model.max_permutations.get_or_insert(cap);
        // loom looks at the cap each time that it would save its state.
        model.checkpoint_interval = 1000;
    }
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    model.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        scenario();
    });
    println!("{name}: {} orders", runs.load(Ordering::Relaxed));
}

/// Drives `future` to its end in this thread.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let parker = Arc::new(Parker(Notify::new()));
    let waker = Waker::from(parker.clone());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        parker.0.wait();
    }
}

struct Parker(Notify);

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        self.0.notify();
    }
}
