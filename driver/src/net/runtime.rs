//! A whole runtime from a [`Net`]: the system's clock, and alarms made of its timer.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tidegate_core::{Failure, Timestamp};

use super::builder::Networked;
use super::connect::connector::Connector;
use super::platform::{Net, SpawnNet};
use super::transport::Transport;
use crate::request::ConnectRequest;
use crate::runtime::{Alarm, Runtime, Spawn};

/// Runs feeds over any [`Net`].
#[derive(Clone)]
pub struct SocketRuntime<N> {
    net: N,
    connector: Arc<Connector>,
    origin: Instant,
}

impl<N: Net + Default> SocketRuntime<N> {
    /// A runtime that connects through `connector`. Its time starts now.
    pub fn new(connector: impl Into<Arc<Connector>>) -> Self {
        Self::with_net(N::default(), connector)
    }
}

impl<N: Net> SocketRuntime<N> {
    /// As [`new`](Self::new), for a [`Net`] with something to it.
    pub fn with_net(net: N, connector: impl Into<Arc<Connector>>) -> Self {
        Self { net, connector: connector.into(), origin: Instant::now() }
    }
}

impl<N: Net + Default> Default for SocketRuntime<N> {
    /// With the default [`Connector`].
    fn default() -> Self {
        Self::new(Connector::default())
    }
}

impl<N> fmt::Debug for SocketRuntime<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketRuntime").field("connector", &self.connector).finish_non_exhaustive()
    }
}

impl<N: Net> Runtime for SocketRuntime<N> {
    type Alarm = SleepAlarm;
    type Transport = Transport<N::Stream>;

    fn now(&self) -> Timestamp {
        let nanos = self.origin.elapsed().as_nanos();
        Timestamp::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn alarm(&self) -> SleepAlarm {
        SleepAlarm { origin: self.origin, start: |span| Box::pin(N::sleep(span)), sleep: None }
    }

    fn connect(
        &self,
        request: ConnectRequest,
    ) -> impl Future<Output = Result<Self::Transport, Failure>> + Send + 'static {
        Arc::clone(&self.connector).connect::<N>(request)
    }
}

impl<N: Net> Networked for SocketRuntime<N> {
    type Net = N;

    fn connector(&self) -> &Arc<Connector> {
        &self.connector
    }

    fn connector_mut(&mut self) -> &mut Connector {
        Arc::make_mut(&mut self.connector)
    }
}

impl<N: SpawnNet> Spawn for SocketRuntime<N> {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.net.spawn(task);
    }
}

type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// An alarm that sleeps anew whenever it is set.
pub struct SleepAlarm {
    origin: Instant,
    start: fn(Duration) -> Sleep,
    /// None while it is not set.
    sleep: Option<Sleep>,
}

impl fmt::Debug for SleepAlarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SleepAlarm").field("set", &self.sleep.is_some()).finish_non_exhaustive()
    }
}

impl Alarm for SleepAlarm {
    fn set(&mut self, at: Timestamp) {
        let at = Duration::from_nanos(at.as_nanos());
        self.sleep = Some((self.start)(at.saturating_sub(self.origin.elapsed())));
    }

    fn poll_ring(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(sleep) = &mut self.sleep else { return Poll::Pending };
        ready!(sleep.as_mut().poll(cx));
        self.sleep = None;
        Poll::Ready(())
    }
}
