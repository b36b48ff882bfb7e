//! What is outside of a feed.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Waker};

use loom::thread::{self, JoinHandle};
use tidegate_driver::core::{Config, ConfigBuilder, RetryPolicy, Timestamp};
use tidegate_driver::{FeedBuilder, MessageFeed};

use crate::explore::block_on;

/// All that is outside of a feed. Clones are the same world.
///
/// Its lock is none of loom's: what it holds belongs to the task until that is over.
#[derive(Clone)]
pub struct World {
    state: Arc<Mutex<State>>,
    clock: Clock,
}

/// Whether time passes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// No deadline ever comes: one that wakes the task would hide a lost wake-up.
    Frozen,
    /// Each deadline comes as soon as the task waits for it.
    Jumps,
}

/// What a connection does next. After the last step, nothing arrives.
#[derive(Clone, Copy)]
pub enum Step {
    /// A message of this text arrives.
    Message(&'static str),
    /// A binary message of so many zeros arrives, at most 512 KiB.
    Zeros(usize),
    /// Nothing arrives in this poll. The task is polled again, and other threads may run before that.
    Yield,
    /// The connection breaks.
    Reset,
}

pub(crate) struct State {
    pub(crate) now: Timestamp,
    /// The scripts of connections to come. Without one, an attempt is refused.
    pub(crate) scripts: VecDeque<Vec<Step>>,
    pub(crate) opened: usize,
    pub(crate) closed: usize,
    /// Each text that was sent, with the number of its connection.
    pub(crate) sent: Vec<(usize, String)>,
    pub(crate) task: Option<Task>,
}

/// A feed's task, before a thread runs it.
pub struct Task(pub(crate) Pin<Box<dyn Future<Output = ()> + Send>>);

impl World {
    /// A world with these connections.
    #[must_use]
    pub fn new(clock: Clock, scripts: &[&[Step]]) -> Self {
        let state = State {
            now: Timestamp::ZERO,
            scripts: scripts.iter().map(|script| script.to_vec()).collect(),
            opened: 0,
            closed: 0,
            sent: Vec::new(),
            task: None,
        };
        Self { state: Arc::new(Mutex::new(state)), clock }
    }

    /// A feed of this world that does not retry unless `change` says so, and its task.
    #[must_use]
    pub fn feed(&self, change: impl FnOnce(ConfigBuilder) -> ConfigBuilder) -> (MessageFeed, Task) {
        let config = Config::builder().retry(RetryPolicy::default().max_retries(0));
        let feed = FeedBuilder::new(self.clone(), "ws://feed.example").config(change(config)).seed(7);
        let feed = feed.spawn().unwrap();
        let task = self.state().task.take().unwrap();
        (feed, task)
    }

    /// Connections opened so far.
    #[must_use]
    pub fn opened(&self) -> usize {
        self.state().opened
    }

    /// Each text that was sent, with the number of its connection, once no connection is open any more.
    #[must_use]
    pub fn sent(&self) -> Vec<(usize, String)> {
        let state = self.state();
        assert_eq!(state.closed, state.opened, "a connection is still open");
        state.sent.clone()
    }

    /// Moves the clock to `at` if it jumps. Returns whether it does.
    pub(crate) fn jump_to(&self, at: Timestamp) -> bool {
        let mut state = self.state();
        let jumps = self.clock == Clock::Jumps;
        if jumps {
            state.now = state.now.max(at);
        }
        jumps
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Task {
    /// Runs the task to its end, in a thread.
    pub fn start(self) -> JoinHandle<()> {
        thread::spawn(move || block_on(self.0))
    }

    /// Polls the task so often, woken or not, and drops it, in a thread.
    pub fn cut_short(mut self, polls: usize) -> JoinHandle<()> {
        thread::spawn(move || {
            for _ in 0..polls {
                let over = self.0.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                assert!(over.is_pending(), "the task was to be cut short");
            }
        })
    }
}
