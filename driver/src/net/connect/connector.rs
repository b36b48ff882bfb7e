//! Options of connections.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_rustls::rustls::ClientConfig;
use tidegate_core::{ConnectFailure, Failure, ProxyProblem};

use super::hosts::Hosts;
use super::proxy::{Environment, Proxy, ProxyError};
use super::tcp::TcpOptions;
use crate::net::limits::{LimitError, Limits};
use crate::net::platform::Net;
use crate::net::tls::config::TlsConfig;
use crate::net::tls::options::{TlsError, TlsOptions};
use crate::net::transport::Framing;
use crate::url::Scheme;

/// Most bytes that wait to be written to a socket, and so the longest frame that can be sent. Without a bound, pongs for a
/// peer that pings and does not read would pile up.
const MAX_WRITE_BUFFER: usize = 64 << 20;

/// How connections are made, on any runtime. Clones share the TLS configuration; one connector serves any number of
/// feeds.
///
/// All addresses of a host are tried, IPv6 and IPv4 in turn, each with a head start of 250 ms on the next (RFC 8305).
/// Redirects (301, 302, 307 and 308) are followed, up to five in one attempt, never from `wss` to `ws`, and to another origin
/// only with [`follow_to_other_origins`](Self::follow_to_other_origins). The next attempt starts at the first URL again.
///
/// By default the environment names the proxy: `https_proxy`, then `all_proxy` for `wss`, `all_proxy` for `ws`, except for hosts
/// in `no_proxy` and for this machine itself. Each name is also read in capitals. A `wss` connection through a proxy is
/// encrypted from end to end.
///
/// `TCP_NODELAY` is on. An invalid option is an error when it is set, not at the first connection.
///
/// ```
/// use std::time::Duration;
///
/// use tidegate_driver::net::{Connector, Limits};
///
/// let connector = Connector::default()
///     .limits(Limits::default().max_message_size(1 << 20)?)
///     .read_buffer_size(64 * 1024)?
///     .tcp_keepalive(Duration::from_secs(30));
/// # Ok::<(), tidegate_driver::net::LimitError>(())
/// ```
#[derive(Clone)]
pub struct Connector {
    tls: TlsConfig,
    limits: Limits,
    read_buffer_size: usize,
    tcp: TcpOptions,
    proxies: Proxies,
    hosts: Hosts,
    other_origins: bool,
}

/// Source of the proxy.
#[derive(Clone, Debug)]
enum Proxies {
    /// The environment when the connector was made. If it is not valid, every attempt fails with its error.
    Environment(Arc<Result<Environment, ProxyError>>),
    One(Proxy),
    None,
}

impl Connector {
    /// Replaces the options of TLS. Their files are read now, on the calling thread. The platform's authorities are loaded
    /// once, at the first `wss` connection.
    ///
    /// # Errors
    /// If a file cannot be read, or does not contain the expected PEM blocks.
    pub fn tls(self, options: TlsOptions) -> Result<Self, TlsError> {
        Ok(Self { tls: TlsConfig::new(&options)?, ..self })
    }

    /// Replaces the limits on frames and messages.
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Maximum size of one read, in bytes; 256 KiB by default. A connection starts with 64 KiB, and reads more at a time while
    /// it is busy. Larger reads save system calls.
    ///
    /// Read buffers belong to the thread, which keeps up to 4 MiB of them for reuse, and 2 MiB more for short messages. A
    /// connection holds a read buffer only while its consumer is slow to take what was read. A silent connection has none, and
    /// keeps 1 KiB for the framing.
    ///
    /// # Errors
    /// If it is less than 1 KiB or more than 16 MiB.
    pub fn read_buffer_size(self, bytes: usize) -> Result<Self, LimitError> {
        let read_buffer_size = LimitError::check("read_buffer_size", bytes, 1 << 10, 16 << 20)?;
        Ok(Self { read_buffer_size, ..self })
    }

    /// Connects through this proxy, whatever the environment says.
    #[must_use]
    pub fn proxy(self, proxy: Proxy) -> Self {
        Self { proxies: Proxies::One(proxy), ..self }
    }

    /// Connects through no proxy, whatever the environment says.
    #[must_use]
    pub fn no_proxy(self) -> Self {
        Self { proxies: Proxies::None, ..self }
    }

    /// Sets the addresses of `host`, in this order of preference, instead of a lookup: for tests, and for another source of
    /// names. Certificates and headers still follow `host`. Names that a proxy looks up are not affected.
    #[must_use]
    pub fn resolve(mut self, host: &str, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        self.hosts.insert(host, addresses);
        self
    }

    /// Connects to `to` instead of `from`, the host and port of a URL, as curl's `--connect-to` does. The certificate, `Host`
    /// and redirects still follow `from`; the choice of a proxy follows `to`. IPv6 addresses are given without brackets.
    #[must_use]
    pub fn connect_to(mut self, from: (&str, u16), to: (&str, u16)) -> Self {
        self.hosts.insert_target(from, to);
        self
    }

    /// Follows redirects to another origin: another scheme, host or port (RFC 6454 §4). Off by default, because what a feed
    /// sends after the upgrade may hold credentials: such a redirect then fails as [`ConnectFailure::Redirected`], which names
    /// the new URL.
    ///
    /// Of the headers only `Accept-Language`, `Origin`, `Sec-WebSocket-Protocol` and `User-Agent` go to another origin, and
    /// no value that is marked as sensitive.
    #[must_use]
    pub fn follow_to_other_origins(self, follow: bool) -> Self {
        Self { other_origins: follow, ..self }
    }

    /// Lets the system probe a connection after this much silence, and then at the same interval; off by default. The span is
    /// truncated to whole seconds, and clamped to between 1 s and 32,767 s (9 hours). Probes detect a peer that is gone, not
    /// one that hangs: `idle_timeout` and `ping_interval` detect both.
    #[must_use]
    pub fn tcp_keepalive(mut self, after: Duration) -> Self {
        self.tcp.keepalive = Some(after);
        self
    }

    /// Sets the local address to connect from, for machines with several. Only addresses of the same family can be reached
    /// then.
    #[must_use]
    pub fn bind_address(mut self, local: IpAddr) -> Self {
        self.tcp.bind = Some(local);
        self
    }

    /// The proxy to go through to this host.
    pub(crate) fn proxy_for(&self, scheme: Scheme, host: &str, port: u16) -> Result<Option<&Proxy>, Failure> {
        match &self.proxies {
            Proxies::None => Ok(None),
            Proxies::One(proxy) => Ok(Some(proxy)),
            Proxies::Environment(environment) => match environment.as_ref() {
                Ok(environment) => Ok(environment.proxy_for(scheme, host, port)),
                Err(error) => Err(Failure::Connect(ConnectFailure::Proxy {
                    problem: ProxyProblem::Misconfigured,
                    detail: error.to_string(),
                })),
            },
        }
    }

    pub(crate) const fn tcp(&self) -> &TcpOptions {
        &self.tcp
    }

    pub(crate) const fn follows_to_other_origins(&self) -> bool {
        self.other_origins
    }

    pub(crate) const fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    pub(crate) async fn tls_config<N: Net>(&self) -> Result<Arc<ClientConfig>, Failure> {
        self.tls.config::<N>().await
    }

    pub(crate) const fn framing(&self) -> Framing {
        Framing {
            read_buffer_size: self.read_buffer_size,
            max_write_buffer_size: MAX_WRITE_BUFFER,
            limits: self.limits,
        }
    }
}

impl Default for Connector {
    /// Reads the environment's proxies now.
    fn default() -> Self {
        Self {
            tls: TlsConfig::default(),
            limits: Limits::default(),
            read_buffer_size: 256 << 10,
            tcp: TcpOptions::default(),
            proxies: Proxies::Environment(Arc::new(Environment::read())),
            hosts: Hosts::default(),
            other_origins: false,
        }
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("limits", &self.limits)
            .field("read_buffer_size", &self.read_buffer_size)
            .field("tcp", &self.tcp)
            .field("proxies", &self.proxies)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_buffer_out_of_bounds_is_refused_by_name() {
        for bytes in [0, 1023, (16 << 20) + 1, usize::MAX] {
            let error = Connector::default().read_buffer_size(bytes).unwrap_err();
            assert_eq!(error.option(), "read_buffer_size");
        }
        assert!(Connector::default().read_buffer_size(1024).is_ok());
    }
}
