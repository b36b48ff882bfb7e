//! Waiting with a bound, without the runtime under test: async-io's timer has a thread of its own.
//!
//! What does not come in time is a panic that names the line of the case that waited for it.

use std::panic::Location;
use std::pin::pin;
use std::time::Duration;

use async_io::Timer;
use futures_util::future::{Either, select};

/// Far longer than anything here takes: it only keeps a broken test from hanging.
pub const WAIT: Duration = Duration::from_secs(10);

/// That many milliseconds.
#[must_use]
pub const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Lets time pass.
pub async fn sleep(span: Duration) {
    Timer::after(span).await;
}

/// What `work` comes to, if it does within `span`.
pub async fn timeout<T>(span: Duration, work: impl Future<Output = T>) -> Option<T> {
    match select(pin!(work), pin!(sleep(span))).await {
        Either::Left((done, _)) => Some(done),
        Either::Right(((), _)) => None,
    }
}

/// What `work` comes to, well before [`WAIT`] is over.
#[track_caller]
pub fn within<T>(work: impl Future<Output = T>) -> impl Future<Output = T> {
    within_at(work, Location::caller())
}

/// As [`within`], for helpers: `caller` is who waits.
pub(crate) async fn within_at<T>(work: impl Future<Output = T>, caller: &Location<'_>) -> T {
    let done = timeout(WAIT, work).await;
    done.unwrap_or_else(|| panic!("it hangs: what {caller} waits for has not come within {WAIT:?}"))
}

/// Waits until something that cannot be waited for has come about.
#[track_caller]
pub fn eventually(mut look: impl FnMut() -> bool) -> impl Future<Output = ()> {
    within(async move {
        while !look() {
            sleep(ms(2)).await;
        }
    })
}
