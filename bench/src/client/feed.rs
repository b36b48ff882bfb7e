//! tidegate, through the facade, as its users write it.

use std::hint::black_box;
use std::time::Duration;

use tidegate::{Config, Delivery, Feed, Message, RetryPolicy, Source};
use tidegate_bench_meter::{ClockId, Job, Meter, clock};

use super::json::Sums;
use super::platform::Platform;
use crate::Result;
use crate::args::Mode;
use crate::latency::LatencyRecorder;
use crate::payload::parse_number;

/// Runs `$use` with the feed that `$builder` makes in `$mode`: inline and spawned feeds are two types.
macro_rules! with_feed {
    ($platform:ty, $mode:expr, $builder:expr, $feed:ident => $use:expr) => {{
        let (mode, builder) = ($mode, $builder);
        <$platform>::run(async move {
            match mode {
                Mode::Inline => {
                    let $feed = builder.inline()?;
                    $use.await
                }
                Mode::Spawned => {
                    let $feed = builder.spawn()?;
                    $use.await
                }
                Mode::Raw => Err("a feed runs inline or spawned".into()),
            }
        })
    }};
}

pub(crate) fn messages<P: Platform>(mode: Mode, job: &Job) -> Result<()> {
    let mut meter = Meter::new(job);
    let each = move |message: Message| {
        meter.message(message.len());
        Ok(())
    };
    with_feed!(P, mode, P::feed(&job.url), feed => each_item(feed, each))
}

pub(crate) fn json<P: Platform>(mode: Mode, job: &Job) -> Result<()> {
    let mut meter = Meter::new(job);
    let each = move |sum: f64| {
        black_box(sum);
        meter.item();
        Ok(())
    };
    with_feed!(P, mode, P::feed(&job.url).handler(Sums), feed => each_item(feed, each))
}

pub(crate) fn latency<P: Platform>(mode: Mode, url: &str, count: u64) -> Result<()> {
    let mut recorder = LatencyRecorder::new(count)?;
    let each = move |message: Message| recorder.record(message.as_text().unwrap_or_default());
    with_feed!(P, mode, P::feed(url), feed => each_item(feed, each))
}

pub(crate) fn reconnects<P: Platform>(mode: Mode, url: &str, count: u32, delay: Duration) -> Result<()> {
    let config = Config::builder().retry(RetryPolicy::fixed(delay).unlimited());
    with_feed!(P, mode, P::feed(url).config(config), feed => until_back(feed, count, delay))
}

async fn each_item<S: Source>(mut feed: Feed<S>, mut each: impl FnMut(S::Item) -> Result<()>) -> Result<()> {
    while let Some(delivery) = feed.recv().await {
        match delivery? {
            Delivery::Item(item) => each(item)?,
            Delivery::Opened { .. } | Delivery::Live { .. } => {}
            Delivery::Interrupted { .. } | Delivery::Dropped { .. } => return Err("interrupted".into()),
        }
    }
    Ok(())
}

/// Prints how long each of `count` reconnects took beyond `delay`: from the time at which the server dropped the connection,
/// which is its last message, to Live.
async fn until_back<S: Source<Item = Message>>(mut feed: Feed<S>, count: u32, delay: Duration) -> Result<()> {
    let mut dropped_at = None;
    let mut beyond = Vec::new();
    while beyond.len() < count as usize {
        match feed.recv().await.ok_or("the feed ended")?? {
            Delivery::Item(message) => {
                let stamp = message.as_text().and_then(parse_number).ok_or("a message without a stamp")?;
                dropped_at = Some(Duration::from_nanos(stamp));
            }
            Delivery::Live { .. } => {
                // No connection was dropped before the first one.
                let Some(dropped_at) = dropped_at.take() else { continue };
                let took = clock(ClockId::Monotonic) - dropped_at;
                beyond.push(took.checked_sub(delay).ok_or("a reconnect before its delay was over")?);
            }
            Delivery::Opened { .. } | Delivery::Interrupted { .. } => {}
            Delivery::Dropped { .. } => return Err("a message was dropped".into()),
        }
    }
    println!("{}", serde_json::to_string(&beyond.iter().map(Duration::as_secs_f64).collect::<Vec<_>>())?);
    Ok(())
}
