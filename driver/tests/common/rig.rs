//! A feed in its world, in a task or in the stream itself.

use std::ops::Range;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_core::Stream;
use tidegate_driver::core::{Delivery, FrameHandler, Message, Phase, SendError, StopReason};
use tidegate_driver::{FeedBuilder, FeedHandle};

use super::world::{Wakes, World};
use super::{Remote, SECOND, builder, items};

/// How a feed is run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Spawned.
    Task,
    /// Inline.
    Stream,
}

type Next = Option<Result<Delivery<Message>, StopReason>>;

pub(crate) struct Rig {
    pub(crate) world: World,
    pub(crate) feed: Pin<Box<dyn Stream<Item = Result<Delivery<Message>, StopReason>>>>,
    pub(crate) handle: FeedHandle,
    /// The consumer's wake-ups.
    pub(crate) wakes: Arc<Wakes>,
    mode: Mode,
    seen: Vec<String>,
}

impl Rig {
    /// A feed with the usual options that is Live.
    pub(crate) fn live(mode: Mode) -> Self {
        Self::with(mode, |builder| builder)
    }

    /// A feed whose attempts succeed, and that has done all it can.
    pub(crate) fn with<H>(
        mode: Mode,
        change: impl FnOnce(FeedBuilder<World>) -> FeedBuilder<World, H>,
    ) -> Self
    where
        H: FrameHandler<Item = Message, Session: Send> + Send + 'static,
    {
        let world = World::default();
        Self::new(mode, &world, change(builder(&world)))
    }

    /// A feed that has been started and has done all it can.
    pub(crate) fn new<H>(mode: Mode, world: &World, builder: FeedBuilder<World, H>) -> Self
    where
        H: FrameHandler<Item = Message, Session: Send> + Send + 'static,
    {
        let mut rig = Self::idle(mode, world, builder);
        rig.settle();
        rig
    }

    /// A feed that nobody has polled.
    pub(crate) fn idle<H>(mode: Mode, world: &World, builder: FeedBuilder<World, H>) -> Self
    where
        H: FrameHandler<Item = Message, Session: Send> + Send + 'static,
    {
        let (handle, feed): (_, Pin<Box<dyn Stream<Item = _>>>) = match mode {
            Mode::Task => {
                let feed = builder.spawn().expect("the options are possible");
                (feed.handle(), Box::pin(feed))
            }
            Mode::Stream => {
                let feed = builder.inline().expect("the options are possible");
                (feed.handle(), Box::pin(feed))
            }
        };
        let wakes = Arc::<Wakes>::default();
        wakes.wake_by_ref();
        Self { world: world.clone(), feed, handle, wakes, mode, seen: Vec::new() }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.handle.phase()
    }

    /// The other end of the open connection.
    pub(crate) fn peer(&self) -> Remote {
        self.world.remote().expect("a connection is open")
    }

    /// Messages arrive, `item 0` and so on.
    pub(crate) fn send_items(&self, numbers: Range<usize>) {
        items(numbers).into_iter().for_each(|item| self.peer().send(item));
    }

    /// One poll of the consumer.
    pub(crate) fn poll(&mut self) -> Poll<Next> {
        self.feed.as_mut().poll_next(&mut Context::from_waker(&Waker::from(self.wakes.clone())))
    }

    /// Lets the feed do all it can. A consumer in another task takes nothing meanwhile; one that drives the feed itself
    /// cannot avoid it, and keeps what it gets for [`Self::drain`].
    pub(crate) fn settle(&mut self) {
        loop {
            self.world.settle();
            if self.mode == Mode::Task || self.wakes.take() == 0 {
                return;
            }
            self.take_all();
        }
    }

    /// Everything that the consumer can get now, one line each; `end` is the last.
    pub(crate) fn drain(&mut self) -> Vec<String> {
        loop {
            self.world.settle();
            self.take_all();
            if self.wakes.take() == 0 && self.world.settle() == 0 {
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

    /// Drops the feed, and lets its task close the connection.
    pub(crate) fn drop_feed(self) {
        drop(self.feed);
        self.world.settle();
        self.world.advance(SECOND);
        self.world.settle();
    }

    /// Drives `future` and the feed; `None` if it waits for something that does not happen.
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
            if wakes.take() == 0 {
                return None;
            }
        }
    }

    /// Sends a message, as [`Self::wait`] does.
    pub(crate) fn send(&mut self, message: &str) -> Option<Result<(), SendError>> {
        let handle = self.handle.clone();
        self.wait(async { handle.send(message).await.map(drop) })
    }

    fn take_all(&mut self) {
        while self.seen.last().is_none_or(|line| line != "end")
            && let Poll::Ready(next) = self.poll()
        {
            // That a connection opens goes without saying.
            if !matches!(next, Some(Ok(Delivery::Opened { .. }))) {
                self.seen.push(line(next));
            }
        }
    }
}

fn line(next: Next) -> String {
    match next {
        None => "end".to_owned(),
        Some(Err(reason)) => format!("error {}", reason.kind()),
        Some(Ok(Delivery::Opened { id })) => format!("opened {id}"),
        Some(Ok(Delivery::Live { id })) => format!("live {id}"),
        Some(Ok(Delivery::Item(message))) => message.as_text().unwrap_or("binary").to_owned(),
        Some(Ok(Delivery::Interrupted { id, failure })) => {
            format!("interrupted {id} {}", failure.map_or("on purpose", |failure| failure.kind()))
        }
        Some(Ok(Delivery::Dropped { count })) => format!("dropped {count}"),
    }
}
