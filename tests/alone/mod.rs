//! Cases that need the process for themselves: each takes [`alone`] first.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod leaks;
mod secrets;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Held by the one case that runs.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
