//! The common part of the programs here. Each is one client of another author in a package of its own, so that the others still build
//! if one does not.

use std::error::Error;

pub use tidegate_bench_meter::{FLAVOR, Job, Meter, PLACE, fail};

/// Runs a client on the tokio runtime that [`FLAVOR`] names, in the place that [`PLACE`] names.
pub fn run(client: impl Future<Output = Result<(), Box<dyn Error + Send + Sync>>> + Send + 'static) {
    let mut builder = match std::env::var(FLAVOR).as_deref() {
        Ok("current-thread") => tokio::runtime::Builder::new_current_thread(),
        Ok(_) | Err(_) => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = builder.enable_all().build().unwrap_or_else(|error| fail(&format!("no runtime: {error}")));
    let outcome = match std::env::var(PLACE).as_deref() {
        Ok("main") => runtime.block_on(client),
        Ok(_) | Err(_) => {
            let task = runtime.spawn(client);
            runtime.block_on(task).unwrap_or_else(|error| fail(&error.to_string()))
        }
    };
    match outcome {
        Ok(()) => fail("the connection ended before the last message"),
        Err(error) => fail(&error.to_string()),
    }
}
