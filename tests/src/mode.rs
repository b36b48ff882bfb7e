//! A feed on any adapter, run in either way.

use std::marker::PhantomData;

use tidegate::driver::{Source, Spawn};
use tidegate::{Config, ConfigBuilder, Feed, FeedBuilder, FrameHandler, Inline, RetryPolicy, Spawned};

use crate::Connector;
use crate::adapter::{Adapter, World};
use crate::lines::Shown;
use crate::server::Server;
use crate::wait::{eventually, ms};

/// The runtime of a mode's adapter.
pub type Rt<M> = <<M as Mode>::Adapter as Adapter>::Rt;

/// Any handler that can run in a task.
pub trait Handler:
    FrameHandler<Session: Send + 'static, Item: Shown + Send + 'static> + Send + 'static
{
}

impl<H> Handler for H where
    H: FrameHandler<Session: Send + 'static, Item: Shown + Send + 'static> + Send + 'static
{
}

/// Any runtime that a feed can be run on in either way.
pub trait Runnable: Spawn<Alarm: 'static, Transport: 'static> + Clone {}

impl<R: Spawn<Alarm: 'static, Transport: 'static> + Clone> Runnable for R {}

/// How a feed is run, and on what.
pub trait Mode: 'static {
    /// What it runs on.
    type Adapter: Adapter;
    /// In a task, or in the stream itself.
    const SPAWNED: bool;
    /// Where its deliveries come from.
    type Source<R: Runnable, H: Handler>: Source<Item = H::Item> + 'static;

    /// Starts it.
    fn start<R: Runnable, H: Handler>(builder: FeedBuilder<R, H>) -> Feed<Self::Source<R, H>>;

    /// A feed of this URL.
    fn feed(url: &str) -> FeedBuilder<Rt<Self>> {
        Self::Adapter::feed(url)
    }

    /// A feed of this URL through `connector`.
    fn feed_with(connector: Connector, url: &str) -> FeedBuilder<Rt<Self>> {
        Self::Adapter::feed_with(connector, url)
    }

    /// A feed of this server.
    fn to(server: &Server) -> FeedBuilder<Rt<Self>> {
        Self::feed(&server.url())
    }
}

/// In a task.
pub struct Task<A>(PhantomData<A>);

impl<A: Adapter> Mode for Task<A> {
    type Adapter = A;
    const SPAWNED: bool = true;
    type Source<R: Runnable, H: Handler> = Spawned<H::Item>;

    fn start<R: Runnable, H: Handler>(builder: FeedBuilder<R, H>) -> Feed<Spawned<H::Item>> {
        builder.spawn().unwrap()
    }
}

/// In the stream itself.
pub struct NoTask<A>(PhantomData<A>);

impl<A: Adapter> Mode for NoTask<A> {
    type Adapter = A;
    const SPAWNED: bool = false;
    type Source<R: Runnable, H: Handler> = Inline<R, H>;

    fn start<R: Runnable, H: Handler>(builder: FeedBuilder<R, H>) -> Feed<Inline<R, H>> {
        builder.inline().unwrap()
    }
}

/// Waits until no task is left, where the runtime tells of its tasks.
#[track_caller]
pub fn no_task_is_left<M: Mode>() -> impl Future<Output = ()> {
    eventually(|| <M::Adapter as Adapter>::World::tasks().is_none_or(|count| count == 0))
}

/// Comes back soon, and for ever.
#[must_use]
pub fn quick() -> ConfigBuilder {
    Config::builder().retry(RetryPolicy::fixed(ms(10)).unlimited())
}
