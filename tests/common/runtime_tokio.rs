//! What the suite needs of a runtime: here, of tokio.

use std::time::Duration;

use tidegate::FeedBuilder;
use tokio::runtime::{Builder, Handle, Runtime};

/// The runtime that feeds run on.
pub(crate) type Rt = tidegate::tokio::Runtime;

pub(crate) fn feed(url: &str) -> FeedBuilder<Rt> {
    tidegate::tokio::feed(url)
}

pub(crate) async fn sleep(span: Duration) {
    tokio::time::sleep(span).await;
}

pub(crate) async fn timeout<T>(span: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(span, work).await.ok()
}

/// How many tasks there are, besides the test itself.
pub(crate) fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// A whole runtime, to run in and to drop.
pub(crate) struct World(Runtime);

impl World {
    pub(crate) fn new() -> Self {
        Self(Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime"))
    }

    pub(crate) fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.0.block_on(work)
    }
}
