//! What a suite needs and a machine may lack.

use std::env;

use libtest_mimic::{Completion, Failed};

/// Skips a trial, and says why; fails it where `TIDEGATE_REQUIRE_ALL` is set, as it is in the gate.
///
/// # Errors
/// In that case.
pub fn absent(reason: impl ToString) -> Result<Completion, Failed> {
    match env::var_os("TIDEGATE_REQUIRE_ALL") {
        Some(_) => Err(reason.to_string().into()),
        None => Ok(Completion::ignored_with(reason)),
    }
}
