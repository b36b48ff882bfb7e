//! From the feed to standard output.

use std::future::pending;

use tidegate::{Delivery, FeedHandle, SpawnedFeed};
use tokio::time::{Instant, sleep_until};

use crate::exit::Exit;
use crate::lines::{Entry, Format};
use crate::output::{End, Output};
use crate::signals::Signals;

/// Deliveries taken at a time.
const BATCH: usize = 1024;

/// Moves deliveries from a feed to standard output until one of the two ends, or the count is reached.
pub(crate) struct Pump {
    /// `None` once no more is wanted of it.
    feed: Option<SpawnedFeed<Entry>>,
    output: Output,
    format: Format,
    /// How many items to write at most.
    count: u64,
    /// How many were taken from the feed.
    taken: u64,
}

impl Pump {
    pub(crate) fn new(feed: SpawnedFeed<Entry>, output: Output, format: Format, count: Option<u64>) -> Self {
        Self { feed: Some(feed), output, format, count: count.unwrap_or(u64::MAX), taken: 0 }
    }

    /// Runs to the end, or until signals end it. Says what was not written, which is a failure.
    pub(crate) async fn run(mut self, feed: &FeedHandle, signals: &mut Signals) -> Exit {
        let ended = signals.stop(self.work(), || feed.shutdown()).await;
        let queued = if self.feed.is_some() {
            let stats = feed.stats();
            (stats.delivered + stats.queued).saturating_sub(self.taken)
        } else {
            0
        };
        drop(self.feed);
        let unwritten = self.output.stop(queued).await;
        match ended {
            Some(Ok(exit)) => exit,
            // The reader has seen enough.
            Some(Err(End::Closed)) => Exit::Finished,
            Some(Err(End::Failed(why))) => {
                Exit::failed(format!("standard output cannot be written: {why}; {unwritten}"))
            }
            None if unwritten.is_nothing() => Exit::Finished,
            None => Exit::failed(format!(
                "stopped by a signal while the reader of standard output was too slow; {unwritten}"
            )),
        }
    }

    async fn work(&mut self) -> Result<Exit, End> {
        let exit = self.follow().await?;
        // The connection closes while the rest is written.
        self.feed = None;
        self.output.flush().await?;
        Ok(exit)
    }

    async fn follow(&mut self) -> Result<Exit, End> {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            if self.output.is_due() {
                self.output.flush().await?;
            }
            let Some(feed) = self.feed.as_mut().filter(|_| self.taken < self.count) else {
                return Ok(Exit::Finished);
            };
            let received = tokio::select! {
                received = feed.recv_many(&mut batch, BATCH) => received,
                () = until(self.output.due()) => continue,
                end = self.output.ended() => return Err(end),
            };
            match received {
                Ok(0) => return Ok(Exit::Finished),
                Ok(_) => self.write(&mut batch),
                Err(reason) => return Ok(Exit::stopped(&reason)),
            }
        }
    }

    fn write(&mut self, batch: &mut Vec<Delivery<Entry>>) {
        let buffer = self.output.buffer();
        for delivery in batch.drain(..) {
            if self.taken == self.count {
                break;
            }
            if let Delivery::Item(_) = delivery {
                self.taken += 1;
            }
            self.format.write(&delivery, buffer);
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}
