//! The scenarios that run under valgrind: one thread, no sockets while messages flow, the same steps in every run.

use std::hint::black_box;
use std::net::TcpListener;
use std::time::Duration;

use async_tungstenite::client_async;
use async_tungstenite::tungstenite::Message;
use bytes::Bytes;
use clap::ValueEnum;
use futures_util::StreamExt;
use smol::future::block_on;
use tidegate::Message::Text;
use tidegate::driver::net::{Connector, SocketRuntime};
use tidegate::machine::{
    ConnectFailure, Connected, ConnectionId, Deadline, Event, Failure, Frame, FrameHandler, Machine,
    Overflow, RetryPolicy, Timestamp,
};
use tidegate::{Config, Delivery, Feed, FeedBuilder, PassThrough, Source};

use super::memory::{EXECUTOR, MemoryNet, MemoryStream};
use crate::Result;
use crate::payload::json;
use crate::table::{grouped, in_bytes, name};

/// Sizes of messages, in bytes.
const SIZES: [usize; 3] = [64, 1 << 10, 16 << 10];

/// The size in a quick run, and in scenarios that do not read the payload.
const SMALL: usize = 64;

/// Which sizes to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    All,
    /// 64 B alone.
    Small,
}

/// Instructions per message, or per reconnect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Figure {
    pub(super) scenario: Scenario,
    pub(super) size: usize,
    pub(super) instructions: f64,
}

impl Figure {
    pub(super) fn title(&self) -> String {
        self.scenario.title(self.size)
    }
}

/// A scenario, in the order of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// A clone of a payload and its drop: a part of all scenarios of the core.
    Payload,
    /// The machine alone: a frame in, an item out.
    Core,
    /// The machine with a layer around the handler, which maps items.
    Mapped,
    /// The machine while items wait: a frame in, an item out.
    Queue,
    /// The machine while its queue is full: a frame in, the oldest item dropped.
    DropOldest,
    /// The machine: a failed attempt, then a connection that goes Live and is lost.
    Reconnect,
    /// async-tungstenite.
    Raw,
    /// A feed that the consumer drives.
    Inline,
    /// A feed in a task of its own, on the consumer's thread.
    Spawned,
}

impl Scenario {
    /// The sizes at which it is measured: bytes of a message, items that wait in the queue, or reconnects before.
    pub(super) fn sizes(self, extent: Extent) -> &'static [usize] {
        match (self, extent) {
            (Self::Payload | Self::Core | Self::Mapped, Extent::All | Extent::Small) => &[SMALL],
            (Self::Raw | Self::Inline | Self::Spawned, Extent::All) => &SIZES,
            (Self::Raw | Self::Inline | Self::Spawned, Extent::Small) => &[SMALL],
            // No cost may grow with the size.
            (Self::Queue | Self::DropOldest, Extent::All) => &[1, 100_000],
            (Self::Reconnect, Extent::All) => &[0, 1_000],
            (Self::Queue | Self::DropOldest | Self::Reconnect, Extent::Small) => &[],
        }
    }

    /// The scenario and its size.
    pub(super) fn title(self, size: usize) -> String {
        format!("{}, {}", name(&self), self.size(size))
    }

    /// A size with its unit.
    pub(super) fn size(self, size: usize) -> String {
        match self {
            Self::Payload | Self::Core | Self::Mapped | Self::Raw | Self::Inline | Self::Spawned => {
                in_bytes(size)
            }
            Self::Queue | Self::DropOldest => format!("{} queued", grouped(size as f64)),
            Self::Reconnect => format!("after {}", grouped(size as f64)),
        }
    }

    /// How many messages or reconnects the shorter and the longer run have.
    pub(super) fn counts(self, size: usize) -> (usize, usize) {
        let count = match self {
            Self::Payload | Self::Core | Self::Mapped | Self::Raw | Self::Inline | Self::Spawned => {
                (MAX_BYTES / size).min(MAX_MESSAGES)
            }
            Self::Queue | Self::DropOldest => MAX_MESSAGES,
            Self::Reconnect => return (size, size + RECONNECTS),
        };
        (count, 2 * count)
    }

    /// Whether frames are read from a stream.
    pub(super) fn is_connection(self) -> bool {
        match self {
            Self::Raw | Self::Inline | Self::Spawned => true,
            Self::Payload | Self::Core | Self::Mapped | Self::Queue | Self::DropOldest | Self::Reconnect => {
                false
            }
        }
    }
}

/// Bytes of all messages of the shorter run, at most: this bounds its time.
const MAX_BYTES: usize = 8 << 20;

/// Messages of the shorter run, at most.
const MAX_MESSAGES: usize = 10_000;

/// Reconnects that the longer run has more than the shorter one.
const RECONNECTS: usize = 100;

/// Takes `count` messages, or makes as many reconnects.
pub(super) fn run(scenario: Scenario, size: usize, count: u64) -> Result<()> {
    match scenario {
        Scenario::Payload => payload(size, count),
        Scenario::Core => core(PassThrough, size, count),
        Scenario::Mapped => core(PassThrough.map(|message| message), size, count),
        Scenario::Queue => queue(size, count),
        Scenario::DropOldest => drop_oldest(size, count),
        Scenario::Reconnect => reconnect(count),
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

fn core<H: FrameHandler<Item = tidegate::Message>>(handler: H, size: usize, count: u64) -> Result<()> {
    let (now, payload) = (Timestamp::ZERO, shared(size));
    let config = Config::default();
    let mut demand = config.demand_window();
    let (mut feed, id) = live(config, handler)?;
    for _ in 0..count {
        if let Some(more) = demand.top_up() {
            feed.request(more);
        }
        feed.handle(Event::Frame { id, frame: Frame::Message(Text(payload.clone())) }, now);
        match feed.poll_delivery(now) {
            Some(Delivery::Item(message)) => drop(black_box(message)),
            Some(
                Delivery::Opened { .. }
                | Delivery::Live { .. }
                | Delivery::Interrupted { .. }
                | Delivery::Dropped { .. },
            )
            | None => {
                return Err("a frame that made no item".into());
            }
        }
        demand.taken();
    }
    Ok(())
}

/// A machine that is Live, and its connection.
fn live<H: FrameHandler<Item = tidegate::Message>>(
    config: Config,
    handler: H,
) -> Result<(Machine<H>, ConnectionId)> {
    let mut feed = Machine::new(config, handler, 1);
    feed.handle(Event::Start, Timestamp::ZERO);
    let id = feed.connection().ok_or("no attempt")?;
    feed.handle(Event::Connected { id, connected: Connected::default() }, Timestamp::ZERO);
    while feed.poll_action().is_some() {}
    let markers = [feed.poll_delivery(Timestamp::ZERO), feed.poll_delivery(Timestamp::ZERO)];
    if markers != [Some(Delivery::Opened { id }), Some(Delivery::Live { id })] {
        return Err("the connection is not Live".into());
    }
    Ok((feed, id))
}

fn queue(queued: usize, count: u64) -> Result<()> {
    // Room for one more, and one before reading is paused.
    let config = Config::builder().buffer(queued + 2).buffer_bytes(usize::MAX);
    let (mut feed, id) = live(config.build()?, PassThrough)?;
    let payload = shared(SMALL);
    let frame = || Event::Frame { id, frame: Frame::Message(Text(payload.clone())) };
    (0..queued).for_each(|_| feed.handle(frame(), Timestamp::ZERO));
    for _ in 0..count {
        feed.handle(frame(), Timestamp::ZERO);
        feed.request(1);
        black_box(feed.poll_item().ok_or("a frame that made no item")?);
    }
    Ok(())
}

fn drop_oldest(queued: usize, count: u64) -> Result<()> {
    let config = Config::builder().buffer(queued).buffer_bytes(usize::MAX).overflow(Overflow::DropOldest);
    let (mut feed, id) = live(config.build()?, PassThrough)?;
    let payload = shared(SMALL);
    for _ in 0..queued as u64 + count {
        let frame = Frame::Message(Text(payload.clone()));
        feed.handle(Event::Frame { id, frame }, Timestamp::ZERO);
        while let Some(action) = feed.poll_action() {
            drop(black_box(action));
        }
    }
    if feed.stats().dropped == count { Ok(()) } else { Err("not every message dropped one".into()) }
}

fn reconnect(count: u64) -> Result<()> {
    let retry = RetryPolicy::exponential(Duration::from_millis(250), Duration::from_secs(4)).unlimited();
    let config = Config::builder().retry(retry).build()?;
    let handler = PassThrough.with_bootstrap(|_| Ok([Text(Bytes::from_static(b"subscribe"))]));
    let mut feed = Machine::new(config, handler, 1);
    feed.handle(Event::Start, Timestamp::ZERO);
    for _ in 0..count {
        let id = feed.connection().ok_or("no attempt")?;
        let detail = "connection refused".to_owned();
        let failure = Failure::Connect(ConnectFailure::Tcp { detail });
        feed.handle(Event::ConnectFailed { id, failure }, Timestamp::ZERO);
        let now = retry_at(&mut feed)?;
        feed.handle(Event::Tick, now);
        let id = feed.connection().ok_or("no attempt")?;
        feed.handle(Event::Connected { id, connected: Connected::default() }, now);
        black_box(feed.poll_send(id).ok_or("no bootstrap")?);
        feed.handle(Event::Flushed { id }, now);
        feed.handle(Event::Lost { id, failure: Failure::io("end of stream") }, now);
        let now = retry_at(&mut feed)?;
        feed.handle(Event::Tick, now);
    }
    if feed.stats().connections == count { Ok(()) } else { Err("not every connection was Live".into()) }
}

/// Takes all that a machine gives, and returns when it wants to retry.
fn retry_at(feed: &mut Machine<impl FrameHandler>) -> Result<Timestamp> {
    while let Some(action) = feed.poll_action() {
        drop(black_box(action));
    }
    while let Some(delivery) = feed.poll_delivery(Timestamp::ZERO) {
        drop(black_box(delivery));
    }
    match feed.deadline() {
        Deadline::At(at) => Ok(at),
        Deadline::Never => Err("no retry".into()),
    }
}

/// A payload with a reference count, like the payloads that share a read buffer.
fn shared(size: usize) -> Bytes {
    let payload = Bytes::from(json(size));
    // The first clone allocates the count.
    drop(payload.clone());
    payload
}

async fn raw(size: usize, count: u64) -> Result<()> {
    let (mut socket, _) = client_async(format!("ws://127.0.0.1/{size}"), MemoryStream::new()).await?;
    for _ in 0..count {
        let Message::Text(text) = socket.next().await.ok_or("the connection ended")?? else {
            return Err("a delivery that was not expected".into());
        };
        if text.len() != size {
            return Err(format!("a message of {} bytes, and not of {size}", text.len()).into());
        }
        drop(black_box(text));
    }
    Ok(())
}

/// A feed with the real handshake and transport. It connects to the listener, which nobody serves; its stream is in memory.
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
            Delivery::Opened { .. } | Delivery::Live { .. } => {}
            Delivery::Item(_) | Delivery::Interrupted { .. } | Delivery::Dropped { .. } => {
                return Err("a delivery that was not expected".into());
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

    #[test]
    fn large_messages_are_few() {
        assert_eq!(SIZES.map(|size| Scenario::Raw.counts(size).0), [10_000, 8192, 512]);
    }
}
