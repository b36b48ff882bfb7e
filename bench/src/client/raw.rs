//! async-tungstenite, as its users write it: `connect_async`, then `next`.

use std::hint::black_box;

use async_tungstenite::tungstenite::Message;
use futures_util::StreamExt;
use tidegate_bench_meter::{Job, Meter};
use tokio::sync::mpsc;

use super::json;
use super::platform::Platform;
use crate::Result;
use crate::latency::LatencyRecorder;

pub(crate) fn messages<P: Platform>(job: &Job) -> Result<()> {
    let mut meter = Meter::new(job);
    each_text::<P>(&job.url, move |text| {
        meter.message(text.len());
        Ok(())
    })
}

/// Most bytes and most messages that are handed over at once.
const BATCH: (usize, usize) = (256 * 1024, 256);

/// Reads in a task of its own, which hands over all messages that are ready: the least cost of a consumer in another task.
pub(crate) fn messages_in_task<P: Platform>(job: &Job) -> Result<()> {
    let (job, mut meter) = (job.clone(), Meter::new(job));
    P::run(async move {
        let (sender, mut batches) = mpsc::channel(2);
        let mut ready = P::connect(&job.url).await?.ready_chunks((BATCH.0 / job.size).clamp(1, BATCH.1));
        P::spawn(async move {
            while let Some(batch) = ready.next().await {
                if sender.send(batch).await.is_err() {
                    break;
                }
            }
        });
        while let Some(batch) = batches.recv().await {
            for message in batch {
                if let Message::Text(text) = message? {
                    meter.message(text.len());
                }
            }
        }
        Ok(())
    })
}

pub(crate) fn json<P: Platform>(job: &Job) -> Result<()> {
    let mut meter = Meter::new(job);
    each_text::<P>(&job.url, move |text| {
        black_box(json::sum(text.as_bytes())?);
        meter.item();
        Ok(())
    })
}

pub(crate) fn latency<P: Platform>(url: &str, count: u64) -> Result<()> {
    let mut recorder = LatencyRecorder::new(count)?;
    each_text::<P>(url, move |text| recorder.record(text))
}

fn each_text<P: Platform>(
    url: &str,
    mut each: impl FnMut(&str) -> Result<()> + Send + 'static,
) -> Result<()> {
    let url = url.to_owned();
    P::run(async move {
        let mut socket = P::connect(&url).await?;
        while let Some(message) = socket.next().await {
            if let Message::Text(text) = message? {
                each(&text)?;
            }
        }
        Ok(())
    })
}
