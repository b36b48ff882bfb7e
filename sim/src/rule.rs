//! Rules of the user's: what they see of a feed.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use tidegate_driver::core::{ConnectionId, Delivery, Message, Timestamp};

use crate::runtime::SimRuntime;

/// What a [rule](crate::SimulationBuilder::rule) sees of a feed, in the order in which it happens.
#[derive(Debug)]
#[non_exhaustive]
pub enum Observed<'a, T> {
    /// The handler is about to get a new connection.
    Opened {
        /// The connection.
        id: ConnectionId,
    },
    /// The handler is about to get a message.
    Message {
        /// Its connection.
        id: ConnectionId,
        /// The message.
        message: &'a Message,
    },
    /// The connection has become Live. The consumer is told of it when it comes to the marker, which may be later.
    Live {
        /// The connection.
        id: ConnectionId,
    },
    /// The consumer has taken a delivery.
    Delivery(&'a Delivery<T>),
}

/// A rule of the user's for one feed.
pub(crate) type Judge<T> = Box<dyn FnMut(&Observed<'_, T>, Timestamp) -> Result<(), String> + Send>;

/// The rules for one feed. Clones share them.
pub(crate) struct Judges<T> {
    judges: Arc<Mutex<Vec<Judge<T>>>>,
    runtime: SimRuntime,
}

impl<T> Clone for Judges<T> {
    fn clone(&self) -> Self {
        Self { judges: self.judges.clone(), runtime: self.runtime.clone() }
    }
}

impl<T> Judges<T> {
    pub(crate) fn new(judges: Vec<Judge<T>>, runtime: SimRuntime) -> Self {
        Self { judges: Arc::new(Mutex::new(judges)), runtime }
    }

    /// Has all rules look; the first that is broken, or panics, fails the run.
    pub(crate) fn see(&self, observed: &Observed<'_, T>) {
        let now = self.runtime.world.now();
        let mut judges = self.judges.lock().unwrap_or_else(PoisonError::into_inner);
        let verdict =
            catch_unwind(AssertUnwindSafe(|| judges.iter_mut().try_for_each(|judge| judge(observed, now))));
        if let Err(rule) = verdict.unwrap_or_else(|panic| Err(format!("panic: {}", panic_text(&*panic)))) {
            self.runtime.world.state().violate(rule);
        }
    }
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic")
}
