//! A runtime over a [`Net`], and the options of a feed's builder that concern its connections.

use std::fmt::{self, Display};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tidegate_core::{Failure, FrameHandler, Timestamp};

use super::connect::connector::Connector;
use super::connect::proxy::Proxy;
use super::platform::{Net, SpawnNet};
use super::tls::options::TlsOptions;
use super::transport::WebSocket;
use crate::builder::{BuildError, FeedBuilder};
use crate::request::ConnectRequest;
use crate::runtime::{Alarm, Runtime, Spawn};
use crate::url::Scheme;

/// A runtime for feeds over any [`Net`].
#[derive(Clone)]
pub struct SocketRuntime<N> {
    net: N,
    connector: Arc<Connector>,
    origin: Instant,
}

impl<N: Net + Default> SocketRuntime<N> {
    /// Creates a runtime that connects through `connector`. The origin of its time is now.
    pub fn new(connector: impl Into<Arc<Connector>>) -> Self {
        Self::with_net(N::default(), connector)
    }
}

impl<N: Net> SocketRuntime<N> {
    /// The same as [`new`](Self::new), with a given [`Net`].
    pub fn with_net(net: N, connector: impl Into<Arc<Connector>>) -> Self {
        Self { net, connector: connector.into(), origin: N::now() }
    }
}

impl<N: Net + Default> Default for SocketRuntime<N> {
    /// Returns a runtime with the default [`Connector`].
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
    type Alarm = SocketAlarm<N>;
    type Transport = WebSocket<N::Stream>;

    fn now(&self) -> Timestamp {
        let nanos = elapsed::<N>(self.origin).as_nanos();
        Timestamp::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn alarm(&self) -> SocketAlarm<N> {
        SocketAlarm { origin: self.origin, timer: Box::pin(None) }
    }

    fn check(&self, request: &ConnectRequest) -> Result<(), BuildError> {
        match request.scheme() {
            Scheme::Ws => Ok(()),
            Scheme::Wss => {
                let checked = self.connector.check_tls();
                checked.map_err(|error| BuildError::Network { detail: error.to_string() })
            }
        }
    }

    fn connect(
        &self,
        request: ConnectRequest,
    ) -> impl Future<Output = Result<Self::Transport, Failure>> + Send + 'static {
        Arc::clone(&self.connector).connect::<N>(request)
    }
}

impl<N: SpawnNet> Spawn for SocketRuntime<N> {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.net.spawn(task);
    }
}

/// The alarm of a [`SocketRuntime`]. Each time it is set, it creates a timer of the [`Net`] and drops the previous one.
pub struct SocketAlarm<N: Net> {
    origin: Instant,
    timer: Pin<Box<Option<N::Timer>>>,
}

impl<N: Net> fmt::Debug for SocketAlarm<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketAlarm").field("set", &self.timer.is_some()).finish_non_exhaustive()
    }
}

impl<N: Net> Alarm for SocketAlarm<N> {
    fn set(&mut self, at: Timestamp) {
        let after = Duration::from_nanos(at.as_nanos()).saturating_sub(elapsed::<N>(self.origin));
        self.timer.set(Some(N::timer(after)));
    }

    fn poll_ring(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(timer) = self.timer.as_mut().as_pin_mut() else { return Poll::Pending };
        ready!(timer.poll(cx));
        self.timer.set(None);
        Poll::Ready(())
    }
}

fn elapsed<N: Net>(origin: Instant) -> Duration {
    N::now().saturating_duration_since(origin)
}

/// A runtime that connects through a [`Connector`].
pub trait Networked: Runtime {
    /// The runtime's sockets, clock and timers.
    type Net: Net;

    /// Returns the connector.
    fn connector(&self) -> &Arc<Connector>;

    /// Returns the connector, for changes before the feed starts.
    fn connector_mut(&mut self) -> &mut Connector;
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

impl<R: Networked, H: FrameHandler> FeedBuilder<R, H> {
    /// Connects through this proxy, whatever the environment says: a [`Proxy`], or its URL. See [`Connector::proxy`].
    pub fn proxy(self, proxy: impl TryInto<Proxy, Error: Display>) -> Self {
        self.change(|connector| proxy.try_into().map(|proxy| connector.proxy(proxy)))
    }

    /// Connects through no proxy, whatever the environment says.
    pub fn no_proxy(self) -> Self {
        self.change(|connector| Ok::<_, BuildError>(connector.no_proxy()))
    }

    /// Replaces the options of TLS. See [`Connector::tls`].
    pub fn tls(self, options: TlsOptions) -> Self {
        self.change(|connector| connector.tls(options))
    }

    fn change<E: Display>(self, change: impl FnOnce(Connector) -> Result<Connector, E>) -> Self {
        self.change_runtime(|runtime| {
            let connector = runtime.connector_mut();
            let changed = change(connector.clone());
            *connector = changed.map_err(|error| BuildError::Network { detail: error.to_string() })?;
            Ok(())
        })
    }
}
