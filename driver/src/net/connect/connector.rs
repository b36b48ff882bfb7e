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

/// Maximum number of bytes that wait to be written to a socket, and maximum length of a frame that is sent. Without a
/// bound, pongs for a peer that pings and does not read would pile up.
const MAX_WRITE_BUFFER: usize = 64 << 20;

/// Options for making connections, on any runtime.
///
/// One connector serves any number of feeds. Clones share the TLS configuration. An invalid option is an error when it
/// is set, not at the first connection. `TCP_NODELAY` is on.
///
/// All addresses of a host are tried, IPv6 and IPv4 in turn. Each has a head start of 250 ms on the next (RFC 8305).
///
/// Up to five redirects (301, 302, 307 and 308) are followed in one attempt, but never from `wss` to `ws`. Redirects to
/// another origin need [`follow_to_other_origins`](Self::follow_to_other_origins). The next attempt starts at the first
/// URL again.
///
/// By default the proxy is taken from the environment: from `https_proxy`, then `all_proxy` for `wss`, and from
/// `all_proxy` for `ws`. There is none for hosts in `no_proxy` and for this machine. The names in capitals are read
/// too. A `wss` connection through a proxy is encrypted from end to end.
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
    /// The environment at the time the connector was created. If it is not valid, every attempt fails with its error.
    Environment(Arc<Result<Environment, ProxyError>>),
    One(Proxy),
    None,
}

impl Connector {
    /// Replaces the options of TLS. Their files are read now, on the calling thread. The platform's authorities are
    /// loaded at the first `wss` connection.
    ///
    /// # Errors
    /// Returns an error if a file cannot be read, or does not contain the expected PEM blocks.
    pub fn tls(self, options: TlsOptions) -> Result<Self, TlsError> {
        Ok(Self { tls: TlsConfig::new(&options)?, ..self })
    }

    /// Replaces the limits on frames and messages.
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Sets the maximum size of one read, in bytes. Default 256 KiB. A connection starts with reads of 64 KiB, and
    /// reads more at a time while it is busy. Larger reads save system calls.
    ///
    /// Read buffers belong to the thread, which keeps up to 4 MiB of them for reuse, and 2 MiB more for short messages.
    /// A connection holds one only while its consumer is slow to take what was read. A silent connection holds none,
    /// and 1 KiB for the framing.
    ///
    /// # Errors
    /// Returns an error if `bytes` is less than 1 KiB or more than 16 MiB.
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

    /// Sets the addresses of `host`, in the order of preference, in place of a lookup: for tests, or for another source
    /// of addresses.
    ///
    /// The certificate and the headers still follow `host`. Names that a proxy looks up are not affected.
    #[must_use]
    pub fn resolve(mut self, host: &str, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        self.hosts.insert(host, addresses);
        self
    }

    /// Connects to `to` instead of `from`, the host and port of a URL, as curl's `--connect-to` does.
    ///
    /// The certificate, the `Host` header and redirects still follow `from`. The choice of a proxy follows `to`. IPv6
    /// addresses are given without brackets.
    #[must_use]
    pub fn connect_to(mut self, from: (&str, u16), to: (&str, u16)) -> Self {
        self.hosts.insert_target(from, to);
        self
    }

    /// Sets whether redirects to another origin are followed: to another scheme, host or port (RFC 6454 §4). Default
    /// off, because what a feed sends after the upgrade may contain credentials. While it is off, such a redirect fails
    /// with [`ConnectFailure::Redirected`], which names the new URL.
    ///
    /// Another origin receives only the headers `Accept-Language`, `Origin`, `Sec-WebSocket-Protocol` and `User-Agent`,
    /// and no value that is marked as sensitive.
    #[must_use]
    pub fn follow_to_other_origins(self, follow: bool) -> Self {
        Self { other_origins: follow, ..self }
    }

    /// Sets the TCP keepalive: the system probes a connection after this much silence, and then at the same interval.
    /// Default off.
    ///
    /// The duration is truncated to whole seconds, and clamped to between 1 s and 32,767 s (9 hours). Probes detect a
    /// peer that is gone, but not one that hangs. `idle_timeout` and `ping_interval` detect both.
    #[must_use]
    pub fn tcp_keepalive(mut self, after: Duration) -> Self {
        self.tcp.keepalive = Some(after);
        self
    }

    /// Sets the local address to connect from, for machines with several. Only addresses of the same family can then be
    /// reached.
    #[must_use]
    pub fn bind_address(mut self, local: IpAddr) -> Self {
        self.tcp.bind = Some(local);
        self
    }

    /// Returns the proxy for this host.
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

    /// Checks whether there is cryptography for TLS.
    pub(crate) fn check_tls(&self) -> Result<(), TlsError> {
        self.tls.check()
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
    /// Returns a connector with the default options. Reads the environment's proxies now.
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
