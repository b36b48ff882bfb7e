//! Client processes: each runs one client and prints lines.

mod feed;
mod json;
mod many;
mod platform;
mod raw;
mod socket;

use std::time::Duration;

use crate::Result;
use crate::args::{Client, Jitter, Mode, Pings, Runtime};
use platform::{AsyncStd, Smol, Tokio};
use rustix::process::{Signal, set_parent_process_death_signal};
use tidegate_bench_meter::Job;

/// Calls a function that is generic over [`Platform`](platform::Platform) for the one of `runtime`.
macro_rules! on {
    ($runtime:expr, $($function:ident)::+ ( $($argument:expr),* $(,)? )) => {
        match $runtime {
            Runtime::Tokio => $($function)::+::<Tokio>($($argument),*),
            Runtime::Smol => $($function)::+::<Smol>($($argument),*),
            Runtime::AsyncStd => $($function)::+::<AsyncStd>($($argument),*),
            Runtime::None => Err("this client needs a runtime".into()),
        }
    };
}

/// Receives messages as fast as possible. Ends the process at the last one; returns only if that did not arrive.
pub(crate) fn throughput(client: Client, runtime: Runtime, mode: Mode, job: Job) -> Result<()> {
    match (client, mode) {
        (Client::ReadOnly, Mode::Raw) => socket::read_only(&job),
        (Client::MinimalParse, Mode::Raw) => socket::minimal_parse(&job),
        (Client::AsyncTungstenite, Mode::Raw) => on!(runtime, raw::messages(&job)),
        (Client::AsyncTungstenite, Mode::Spawned) => on!(runtime, raw::messages_in_task(&job)),
        (Client::AsyncTungsteniteJson, Mode::Raw) => on!(runtime, raw::json(&job)),
        (Client::Tidegate, Mode::Inline | Mode::Spawned) => on!(runtime, feed::messages(mode, &job)),
        (Client::TidegateJson, Mode::Inline | Mode::Spawned) => on!(runtime, feed::json(mode, &job)),
        (
            Client::ReadOnly
            | Client::MinimalParse
            | Client::AsyncTungstenite
            | Client::AsyncTungsteniteJson
            | Client::Tidegate
            | Client::TidegateJson,
            Mode::Raw | Mode::Inline | Mode::Spawned,
        ) => Err(format!("{client:?} has no mode {mode:?}").into()),
    }?;
    Err("the messages ended before the last one".into())
}

/// Receives `count` messages with time stamps, and prints their latency.
pub(crate) fn latency(client: Client, runtime: Runtime, mode: Mode, url: &str, count: u64) -> Result<()> {
    match (client, mode) {
        (Client::AsyncTungstenite, Mode::Raw) => on!(runtime, raw::latency(url, count)),
        (Client::Tidegate, Mode::Inline | Mode::Spawned) => on!(runtime, feed::latency(mode, url, count)),
        (
            Client::ReadOnly
            | Client::MinimalParse
            | Client::AsyncTungstenite
            | Client::AsyncTungsteniteJson
            | Client::Tidegate
            | Client::TidegateJson,
            Mode::Raw | Mode::Inline | Mode::Spawned,
        ) => Err(format!("no latency of {client:?} in mode {mode:?}").into()),
    }
}

/// Runs `feeds` feeds without end, and prints a line whenever all of them are Live.
pub(crate) fn scale(
    runtime: Runtime,
    mode: Mode,
    feeds: usize,
    jitter: Jitter,
    pings: Pings,
    urls: Vec<String>,
) -> Result<()> {
    end_with_parent()?;
    on!(runtime, many::run(mode, feeds, jitter, pings, urls))
}

/// Reconnects `count` times, and prints how long each took beyond its delay.
pub(crate) fn reconnect(runtime: Runtime, mode: Mode, url: &str, count: u32, delay: Duration) -> Result<()> {
    end_with_parent()?;
    on!(runtime, feed::reconnects(mode, url, count, delay))
}

/// Has the system kill this process if the harness dies: clients that reconnect would run without end.
fn end_with_parent() -> Result<()> {
    Ok(set_parent_process_death_signal(Some(Signal::KILL))?)
}
