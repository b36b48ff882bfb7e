//! async-tungstenite, as its users write it: `connect_async`, then `next`.

use std::hint::black_box;

use async_tungstenite::tungstenite::Message;
use futures_util::StreamExt;
use tidegate_bench_meter::{Job, Meter};

use super::json;
use super::platform::Platform;
use crate::Result;
use crate::latency::Lateness;

pub(crate) fn messages<P: Platform>(job: &Job) -> Result<()> {
    let mut meter = Meter::new(job);
    each_text::<P>(&job.url, |text| {
        meter.message(text.len());
        Ok(())
    })
}

pub(crate) fn json<P: Platform>(job: &Job) -> Result<()> {
    let mut meter = Meter::new(job);
    each_text::<P>(&job.url, |text| {
        black_box(json::sum(text.as_bytes())?);
        meter.item();
        Ok(())
    })
}

pub(crate) fn latency<P: Platform>(url: &str, count: u64) -> Result<()> {
    let mut lateness = Lateness::new(count)?;
    each_text::<P>(url, |text| lateness.stamped(text))
}

fn each_text<P: Platform>(url: &str, mut each: impl FnMut(&str) -> Result<()>) -> Result<()> {
    P::block_on(async {
        let mut socket = P::connect(url).await?;
        while let Some(message) = socket.next().await {
            if let Message::Text(text) = message? {
                each(&text)?;
            }
        }
        Ok(())
    })
}
