//! Many feeds in one process.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tidegate::{Config, Delivery, Feed, RetryPolicy, Source};

use super::platform::Platform;
use crate::Result;
use crate::args::{Jitter, Mode, Pings};
use crate::machine::raise_open_files;
use crate::scale::ALL_LIVE;

/// The delay before the first retry, and the longest.
const RETRIES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(4));

/// Runs `feeds` feeds without end, each read in a task of its own. They take the `urls` in turn, since one address has only
/// some 28,000 ports for clients.
pub(crate) fn run<P: Platform>(
    mode: Mode,
    feeds: usize,
    jitter: Jitter,
    pings: Pings,
    urls: Vec<String>,
) -> Result<()> {
    raise_open_files()?;
    P::run(async move {
        // The runtime has its threads now: their memory is not that of feeds.
        println!("{}", memory_kib()?);
        let live = Arc::new(Live { feeds, live: AtomicUsize::new(0) });
        for url in urls.iter().cycle().take(feeds) {
            let config = Config::builder().retry(policy(jitter));
            let builder = P::feed(url).config(match pings {
                Pings::Off => config.ping_interval(None),
                Pings::On => config,
            });
            let live = live.clone();
            match mode {
                Mode::Inline => P::spawn(watch(builder.inline()?, live)),
                Mode::Spawned => P::spawn(watch(builder.spawn()?, live)),
                Mode::Raw => return Err("a feed runs inline or spawned".into()),
            }
        }
        std::future::pending().await
    })
}

/// How many feeds are Live.
struct Live {
    feeds: usize,
    live: AtomicUsize,
}

async fn watch<S: Source>(mut feed: Feed<S>, all: Arc<Live>) {
    loop {
        match feed.recv().await {
            Some(Ok(Delivery::Live { .. })) => {
                if all.live.fetch_add(1, Ordering::Relaxed) + 1 == all.feeds {
                    println!("{ALL_LIVE}");
                }
            }
            Some(Ok(Delivery::Interrupted { .. })) => {
                all.live.fetch_sub(1, Ordering::Relaxed);
            }
            Some(Ok(Delivery::Item(_) | Delivery::Opened { .. } | Delivery::Dropped { .. })) => {}
            Some(Err(reason)) => return eprintln!("a feed stopped: {reason}"),
            None => return,
        }
    }
}

fn policy(jitter: Jitter) -> RetryPolicy {
    let (base, cap) = RETRIES;
    let jitter = match jitter {
        Jitter::Full => tidegate::Jitter::Full,
        Jitter::None => tidegate::Jitter::None,
    };
    RetryPolicy::exponential(base, cap).jitter(jitter)
}

fn memory_kib() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    Ok(tidegate_bench_meter::status_kib(&status, "VmRSS").ok_or("no VmRSS in /proc")?)
}
