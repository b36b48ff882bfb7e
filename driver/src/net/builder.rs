//! The network's options, from a feed's builder.

use std::fmt::Display;
use std::sync::Arc;

use tidegate_core::FrameHandler;

use super::connect::connector::Connector;
use super::connect::proxy::Proxy;
use super::platform::Net;
use super::tls::options::TlsOptions;
use crate::builder::{BuildError, FeedBuilder};
use crate::runtime::Runtime;

/// A runtime that connects through a [`Connector`].
pub trait Networked: Runtime {
    /// The runtime's side of the network.
    type Net: Net;

    /// The connector.
    fn connector(&self) -> &Arc<Connector>;

    /// The connector, to be changed before the feed starts.
    fn connector_mut(&mut self) -> &mut Connector;
}

impl<R: Networked, H: FrameHandler> FeedBuilder<R, H> {
    /// How connections are made, in place of what was set so far.
    pub fn connector(self, connector: Connector) -> Self {
        self.change(|_| Ok::<_, BuildError>(connector))
    }

    /// Goes through this proxy, whatever the environment says: a [`Proxy`], or its URL. See [`Connector::proxy`].
    pub fn proxy(self, proxy: impl TryInto<Proxy, Error: Display>) -> Self {
        self.change(|connector| proxy.try_into().map(|proxy| connector.proxy(proxy)))
    }

    /// Goes through no proxy, whatever the environment says.
    pub fn no_proxy(self) -> Self {
        self.change(|connector| Ok::<_, BuildError>(connector.no_proxy()))
    }

    /// The options of TLS. See [`Connector::tls`].
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
