//! Catches panics of the application's functions.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls `run`, which runs code of the application. Returns `None` if it panics (H5).
pub(crate) fn guarded<T>(run: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(run)).ok()
}
