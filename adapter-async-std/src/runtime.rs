//! What smol and async-std have in common as runtimes of feeds: all but where tasks run.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tidegate_driver::ConnectRequest;
use tidegate_driver::core::{Failure, Timestamp};
use tidegate_driver::net::Connector;

use crate::Transport;
use crate::clock::{Alarm, Clock};
use crate::net::AsyncIo;

/// Where the tasks of spawned feeds run.
pub trait Spawner: Clone + Default + Send + Unpin + 'static {
    /// Runs `task` to its end, detached.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);
}

/// Runs feeds on async-io; `S` runs their tasks.
///
/// ```
/// # #[cfg(feature = "smol")]
/// let runtime = tidegate_async_std::smol::Runtime::new(tidegate_async_std::Connector::default());
/// ```
#[derive(Clone)]
pub struct Runtime<S> {
    connector: Arc<Connector>,
    clock: Clock,
    spawner: S,
}

impl<S: Spawner> Runtime<S> {
    /// A runtime that connects through `connector`. Its time starts now.
    pub fn new(connector: impl Into<Arc<Connector>>) -> Self {
        Self { connector: connector.into(), clock: Clock::start(), spawner: S::default() }
    }

    /// With another place for tasks to run.
    pub(crate) fn with_spawner(self, spawner: S) -> Self {
        Self { spawner, ..self }
    }
}

impl<S: Spawner> Default for Runtime<S> {
    /// With the default [`Connector`].
    fn default() -> Self {
        Self::new(Connector::default())
    }
}

impl<S> fmt::Debug for Runtime<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("connector", &self.connector).finish_non_exhaustive()
    }
}

impl<S: Spawner> tidegate_driver::Runtime for Runtime<S> {
    type Alarm = Alarm;
    type Transport = Transport;

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn alarm(&self) -> Alarm {
        self.clock.alarm()
    }

    fn connect(
        &self,
        request: ConnectRequest,
    ) -> impl Future<Output = Result<Transport, Failure>> + Send + 'static {
        Arc::clone(&self.connector).connect::<AsyncIo>(request)
    }
}

impl<S: Spawner> tidegate_driver::Spawn for Runtime<S> {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.spawner.spawn(task);
    }
}

/// Makes one connection, without recovery: when it ends, it has ended.
///
/// # Errors
/// What went wrong on the way; [`Failure::ConnectTimeout`] if it took longer than `timeout`, the whole of it: name
/// lookup, TCP, proxy, TLS and the upgrade (C3).
pub async fn connect_once(
    request: ConnectRequest,
    connector: &Connector,
    timeout: Duration,
) -> Result<Transport, Failure> {
    tidegate_driver::net::connect_once::<AsyncIo>(request, connector, timeout).await
}
