//! What runs under valgrind: one thread, no sockets while messages flow, the same steps every time.

use std::hint::black_box;
use std::net::TcpListener;

use async_tungstenite::client_async;
use async_tungstenite::tungstenite::Message;
use bytes::Bytes;
use clap::ValueEnum;
use futures_util::StreamExt;
use smol::future::block_on;
use tidegate::Message::Text;
use tidegate::core::{Connected, Event, Frame, Timestamp};
use tidegate::driver::net::{Connector, SocketRuntime};
use tidegate::{Config, Delivery, Feed, FeedBuilder, PassThrough, Source};

use super::memory::{EXECUTOR, MemoryNet, MemoryStream};
use super::{Extent, SIZES, SMALL};
use crate::Result;
use crate::payload::json;

/// What takes messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// A clone of a payload, and its drop: what `Core` takes for having messages at all.
    Payload,
    /// The machine alone: a frame in, an item out.
    Core,
    /// async-tungstenite.
    Raw,
    /// A feed that the consumer drives.
    Inline,
    /// A feed in a task of its own, on the consumer's thread.
    Spawned,
}

impl Scenario {
    pub(super) fn sizes(self, extent: Extent) -> &'static [usize] {
        match (self, extent) {
            (Self::Payload | Self::Core, Extent::All | Extent::Small) => &[SMALL],
            (Self::Raw | Self::Inline | Self::Spawned, Extent::All) => &SIZES,
            (Self::Raw | Self::Inline | Self::Spawned, Extent::Small) => &[SMALL],
        }
    }

    /// Whether frames come out of a stream.
    pub(super) fn is_connection(self) -> bool {
        match self {
            Self::Raw | Self::Inline | Self::Spawned => true,
            Self::Payload | Self::Core => false,
        }
    }
}

/// Takes `count` messages of `size`.
pub(super) fn run(scenario: Scenario, size: usize, count: u64) -> Result<()> {
    match scenario {
        Scenario::Payload => payload(size, count),
        Scenario::Core => core(size, count),
        Scenario::Raw => block_on(raw(size, count)),
        Scenario::Inline => {
            let (_listener, builder) = feed(size)?;
            block_on(take(builder.inline()?, size, count))
        }
        Scenario::Spawned => {
            let (_listener, builder) = feed(size)?;
            block_on(EXECUTOR.run(take(builder.spawn()?, size, count)))
        }
    }
}

fn payload(size: usize, count: u64) -> Result<()> {
    let payload = shared(size);
    for _ in 0..count {
        drop(black_box(payload.clone()));
    }
    Ok(())
}

fn core(size: usize, count: u64) -> Result<()> {
    let (now, payload) = (Timestamp::ZERO, shared(size));
    let config = Config::default();
    let mut demand = config.demand_window();
    let mut feed = tidegate::core::Machine::new(config, PassThrough, 1);
    feed.handle(Event::Start, now);
    let id = feed.connection().ok_or("no attempt")?;
    feed.handle(Event::Connected { id, connected: Connected::default() }, now);
    while feed.poll_action().is_some() {}
    if feed.poll_delivery(now) != Some(Delivery::Live { id }) {
        return Err("the connection is not Live".into());
    }
    for _ in 0..count {
        if let Some(more) = demand.top_up() {
            feed.request(more);
        }
        feed.handle(Event::Frame { id, frame: Frame::Message(Text(payload.clone())) }, now);
        match feed.poll_delivery(now) {
            Some(Delivery::Item(message)) => drop(black_box(message)),
            Some(Delivery::Live { .. } | Delivery::Interrupted { .. } | Delivery::Dropped { .. }) | None => {
                return Err("a frame that made no item".into());
            }
        }
        demand.taken();
    }
    Ok(())
}

/// A payload of which every clone is counted, as those are that come out of a read buffer.
fn shared(size: usize) -> Bytes {
    let payload = Bytes::from(json(size));
    // The first clone makes it so.
    drop(payload.clone());
    payload
}

async fn raw(size: usize, count: u64) -> Result<()> {
    let (mut socket, _) = client_async(format!("ws://127.0.0.1/{size}"), MemoryStream::new()).await?;
    for _ in 0..count {
        let Message::Text(text) = socket.next().await.ok_or("the connection ended")?? else {
            return Err("something came that was not sent".into());
        };
        if text.len() != size {
            return Err(format!("a message of {} bytes, and not of {size}", text.len()).into());
        }
        drop(black_box(text));
    }
    Ok(())
}

/// A feed through the real handshake and transport. The socket that it connects leads to the listener, which nobody looks
/// at; what it reads comes from memory.
fn feed(size: usize) -> Result<(TcpListener, FeedBuilder<SocketRuntime<MemoryNet>>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("ws://{}/{size}", listener.local_addr()?);
    let runtime = SocketRuntime::with_net(MemoryNet, Connector::default().no_proxy());
    Ok((listener, FeedBuilder::new(runtime, url).seed(1)))
}

async fn take<S: Source<Item = tidegate::Message>>(mut feed: Feed<S>, size: usize, count: u64) -> Result<()> {
    let mut taken = 0;
    while taken < count {
        match feed.recv().await.ok_or("the feed ended")?? {
            Delivery::Item(message) if message.len() == size => {
                black_box(message);
                taken += 1;
            }
            Delivery::Live { .. } => {}
            Delivery::Item(_) | Delivery::Interrupted { .. } | Delivery::Dropped { .. } => {
                return Err("something came that was not sent".into());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_takes_all_its_messages() {
        for scenario in Scenario::value_variants() {
            for size in scenario.sizes(Extent::All) {
                // More than a burst of the largest.
                run(*scenario, *size, 50).unwrap();
            }
        }
    }
}
