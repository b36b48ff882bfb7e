//! A feed in its world, in a task or in the stream itself.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_core::Stream;
use tidegate_driver::core::{Delivery, FrameHandler, Message, Phase, StopReason};
use tidegate_driver::{Feed, FeedBuilder, FeedHandle, Inline, Source, Spawned};

use super::wire::Peer;
use super::world::{Wakes, World};

/// A handler that can run in a task; the suites look at items as text.
pub(crate) trait App: FrameHandler<Item = Message, Session: Send> + Send + 'static {}

impl<H: FrameHandler<Item = Message, Session: Send> + Send + 'static> App for H {}

/// How a feed is run.
pub(crate) trait Mode {
    type Source<H: App>: Source<Item = Message>;
    const IN_STREAM: bool;

    fn start<H: App>(builder: FeedBuilder<World, H>) -> Feed<Self::Source<H>>;
}

/// Spawned.
pub(crate) struct InTask;

impl Mode for InTask {
    type Source<H: App> = Spawned<Message>;
    const IN_STREAM: bool = false;

    fn start<H: App>(builder: FeedBuilder<World, H>) -> Feed<Spawned<Message>> {
        builder.spawn().expect("the suites build what can be built")
    }
}

/// Inline.
pub(crate) struct InStream;

impl Mode for InStream {
    type Source<H: App> = Inline<World, H>;
    const IN_STREAM: bool = true;

    fn start<H: App>(builder: FeedBuilder<World, H>) -> Feed<Inline<World, H>> {
        builder.inline().expect("the suites build what can be built")
    }
}

pub(crate) struct Rig<S: Source<Item = Message>> {
    pub(crate) world: World,
    pub(crate) feed: Feed<S>,
    pub(crate) handle: FeedHandle,
    /// The consumer's wake-ups.
    pub(crate) wakes: Arc<Wakes>,
    in_stream: bool,
    seen: Vec<String>,
}

impl<S: Source<Item = Message>> Rig<S> {
    /// A feed that has been started and has done all it can.
    pub(crate) fn new<M: Mode<Source<H> = S>, H: App>(world: &World, builder: FeedBuilder<World, H>) -> Self {
        let mut rig = Self::idle::<M, H>(world, builder);
        rig.settle();
        rig
    }

    /// A feed that nobody has polled.
    pub(crate) fn idle<M: Mode<Source<H> = S>, H: App>(
        world: &World,
        builder: FeedBuilder<World, H>,
    ) -> Self {
        let feed = M::start(builder);
        let handle = feed.handle();
        let wakes = Arc::<Wakes>::default();
        wakes.wake_by_ref();
        Self { world: world.clone(), feed, handle, wakes, in_stream: M::IN_STREAM, seen: Vec::new() }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.handle.phase()
    }

    pub(crate) fn peer(&self, number: usize) -> Peer {
        self.world.peer(number)
    }

    /// One poll of the consumer.
    pub(crate) fn poll(&mut self) -> Poll<Option<Result<Delivery<Message>, StopReason>>> {
        Pin::new(&mut self.feed).poll_next(&mut Context::from_waker(&Waker::from(self.wakes.clone())))
    }

    /// Lets the feed do all it can. A consumer in another task takes nothing meanwhile; one that drives the feed itself
    /// cannot help it, and keeps what it gets for [`Self::drain`].
    pub(crate) fn settle(&mut self) {
        loop {
            self.world.run();
            if !self.in_stream || !self.wakes.take() {
                return;
            }
            self.take_all();
        }
    }

    /// Everything that the consumer can get now, one line each; `end` is the last.
    pub(crate) fn drain(&mut self) -> Vec<String> {
        loop {
            self.world.run();
            self.take_all();
            let woken = self.wakes.take();
            if !woken && self.world.run() == 0 {
                return std::mem::take(&mut self.seen);
            }
        }
    }

    /// Moves the clock, lets the feed do what is due, and then what it does after a second look.
    pub(crate) fn advance(&mut self, span: Duration) {
        self.world.advance(span);
        self.settle();
        self.look_again();
    }

    /// Lets the time pass that a verdict waits for a second look at the socket (L2).
    pub(crate) fn look_again(&mut self) {
        self.world.advance(Duration::from_millis(1));
        self.settle();
    }

    /// Drives `future` and the feed; `None` if it waits for something that does not come.
    pub(crate) fn wait<T>(&mut self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        let wakes = Arc::<Wakes>::default();
        loop {
            if let Poll::Ready(value) =
                future.as_mut().poll(&mut Context::from_waker(&Waker::from(wakes.clone())))
            {
                return Some(value);
            }
            self.settle();
            if !wakes.take() {
                return None;
            }
        }
    }

    fn take_all(&mut self) {
        while self.seen.last().is_none_or(|line| line != "end")
            && let Poll::Ready(next) = self.poll()
        {
            self.seen.push(line(next));
        }
    }
}

fn line(next: Option<Result<Delivery<Message>, StopReason>>) -> String {
    match next {
        None => "end".to_owned(),
        Some(Err(reason)) => format!("error {}", reason.kind()),
        Some(Ok(Delivery::Live { id })) => format!("live {id}"),
        Some(Ok(Delivery::Item(message))) => message.as_text().unwrap_or("binary").to_owned(),
        Some(Ok(Delivery::Interrupted { id, failure })) => {
            format!("interrupted {id} {}", failure.map_or("on purpose", |failure| failure.kind()))
        }
        Some(Ok(Delivery::Dropped { count })) => format!("dropped {count}"),
    }
}
