//! The application of a run: takes what the feed delivers, sends messages, shuts the feed down.

use std::time::Duration;

use fastrand::Rng;
use tidegate_driver::core::{Delivery, Phase, Timestamp};
use tidegate_driver::{Feed, FeedHandle, Source, Spawn};

use crate::entry::{Entry, shown};
use crate::pace::Pace;
use crate::rule::{Judges, Observed};
use crate::runtime::SimRuntime;
use crate::trace::Show;

/// Sends this often, and shuts the feed down at that time.
pub(crate) fn spawn_application(
    runtime: &SimRuntime,
    handle: &FeedHandle,
    send: Option<Duration>,
    shutdown: Option<Duration>,
) {
    if let Some(span) = send {
        let (sender, handle) = (runtime.clone(), handle.clone());
        runtime.spawn(async move {
            for number in 0_u64.. {
                sender.sleep(span).await;
                if handle.phase() == Phase::Stopped {
                    return;
                }
                sender.record(&Entry::Ordered { number });
                let _ = handle.send(format!("app {number}")).await;
            }
        });
    }
    match shutdown {
        // Before the first poll.
        Some(Duration::ZERO) => shut_down(runtime, handle),
        Some(span) => {
            let (clock, handle) = (runtime.clone(), handle.clone());
            runtime.spawn(async move {
                clock.sleep(span).await;
                shut_down(&clock, &handle);
            });
        }
        None => {}
    }
}

fn shut_down(runtime: &SimRuntime, handle: &FeedHandle) {
    runtime.record(&Entry::Shutdown);
    handle.shutdown();
}

/// Takes the deliveries of one feed.
pub(crate) struct Consumer<T> {
    runtime: SimRuntime,
    pace: Pace,
    rng: Rng,
    judges: Judges<T>,
    /// For the trace, if there is one.
    show: Option<Show<T>>,
    items: u64,
}

impl<T: Send + 'static> Consumer<T> {
    pub(crate) const fn new(
        runtime: SimRuntime,
        pace: Pace,
        rng: Rng,
        judges: Judges<T>,
        show: Option<Show<T>>,
    ) -> Self {
        Self { runtime, pace, rng, judges, show, items: 0 }
    }

    pub(crate) fn spawn<S>(mut self, mut feed: Feed<S>, abandon: Option<Duration>) -> FeedHandle
    where
        S: Source<Item = T> + Send + 'static,
    {
        let handle = feed.handle();
        let runtime = self.runtime.clone();
        self.waits(true);
        runtime.spawn(async move {
            while let Some(next) = feed.recv().await {
                match next {
                    Ok(delivery) => {
                        if let Some(rest) = self.take(&delivery) {
                            self.waits(false);
                            self.runtime.sleep(rest).await;
                            self.waits(true);
                        }
                    }
                    Err(reason) => {
                        let next = feed.recv().await;
                        self.runtime.record(&Entry::Ended { reason: Some(reason) });
                        if next.is_some() {
                            self.violate("S3: more after the end".to_owned());
                        }
                        return;
                    }
                }
                let elapsed = self.runtime.world.now().saturating_since(Timestamp::ZERO);
                if abandon.is_some_and(|span| elapsed >= span) {
                    self.waits(false);
                    self.runtime.record(&Entry::Abandoned);
                    return;
                }
            }
            self.runtime.record(&Entry::Ended { reason: None });
        });
        handle
    }

    fn waits(&self, waits: bool) {
        self.runtime.world.state().feeds[self.runtime.feed].consumer_waits = waits;
    }

    fn violate(&self, rule: String) {
        self.runtime.world.state().violate(rule);
    }

    /// Checks a delivery. Returns how long to rest after it.
    fn take(&mut self, delivery: &Delivery<T>) -> Option<Duration> {
        let delivered = shown(delivery, |item| self.show.as_ref().map(|show| show(item)).unwrap_or_default());
        let mut state = self.runtime.world.state();
        state.record(self.runtime.feed, &Entry::Consumed(delivered));
        let healed = state.healed;
        drop(state);
        self.judges.see(&Observed::Delivery(delivery));
        if delivery.is_marker() || healed {
            return None;
        }
        self.items += 1;
        self.pace.rest(self.items, &mut self.rng)
    }
}
