//! What applications can set of how connections are made.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_rustls::rustls::ClientConfig;
use tidegate_core::{Failure, ProxyProblem};

use super::hosts::Hosts;
use super::proxy::{Environment, Proxy, ProxyError};
use super::tcp::TcpOptions;
use crate::net::limits::{LimitError, Limits};
use crate::net::platform::Net;
use crate::net::tls::config::Tls;
use crate::net::tls::options::{TlsError, TlsOptions};
use crate::net::transport::Framing;
use crate::url::Scheme;

/// The most that may wait to be written to a socket, in bytes: 64 MiB, and so the longest frame that can be sent. Without
/// it, a peer that pings and does not read would have its pongs pile up without end.
const MAX_WRITE_BUFFER: usize = 64 << 20;

/// How connections are made, on any runtime. Clones share the TLS configuration; one connector serves any number of
/// feeds.
///
/// All addresses of a host are tried, IPv6 and IPv4 in turn, each with a head start of 250 ms on the next (RFC 8305).
/// Answers 301, 302, 307 and 308 are followed, five in one attempt, never from `wss` to `ws`, and to another origin only with
/// [`follow_to_other_origins`](Self::follow_to_other_origins). The next attempt begins at the first URL again.
///
/// By default the environment says which proxy to go through: `https_proxy`, then `all_proxy` for `wss`, `all_proxy` for
/// `ws`, but for hosts in `no_proxy` and this machine itself; each in capitals too. What goes through a proxy is TLS from
/// end to end if the URL is `wss`.
///
/// `TCP_NODELAY` is on. An option that cannot be used is refused when it is set, not at the first connection.
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
    tls: Tls,
    limits: Limits,
    read_buffer_size: usize,
    tcp: TcpOptions,
    proxies: Proxies,
    hosts: Hosts,
    other_origins: bool,
}

/// Which proxy to go through.
#[derive(Clone, Debug)]
enum Proxies {
    /// What the environment said when the connector was made. If it cannot be used, every attempt says so.
    Environment(Arc<Result<Environment, ProxyError>>),
    One(Proxy),
    None,
}

impl Connector {
    /// Replaces the options of TLS. Files they name are read now, on the calling thread; the platform's authorities are
    /// loaded at the first `wss` connection, and once.
    ///
    /// # Errors
    /// If a file cannot be read, or does not hold what it should.
    pub fn tls(self, options: TlsOptions) -> Result<Self, TlsError> {
        Ok(Self { tls: Tls::new(&options)?, ..self })
    }

    /// Replaces the limits on frames and messages.
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Maximum size of one read, in bytes; 256 KiB by default. A connection starts with 64 KiB, and reads more at a time while
    /// it is busy. Larger reads save system calls.
    ///
    /// The memory for it belongs to the thread, which keeps up to 4 MiB of it, and 2 MiB more for short messages, so that
    /// messages need not take theirs anew. A connection takes it along only while it holds something that was read and
    /// not taken, because its consumer is slow; one that is silent has none, and keeps 1 KiB for the framing.
    ///
    /// # Errors
    /// If it is less than 1 KiB or more than 16 MiB.
    pub fn read_buffer_size(self, bytes: usize) -> Result<Self, LimitError> {
        let read_buffer_size = LimitError::check("read_buffer_size", bytes, 1 << 10, 16 << 20)?;
        Ok(Self { read_buffer_size, ..self })
    }

    /// Goes through this proxy, whatever the environment says.
    #[must_use]
    pub fn proxy(self, proxy: Proxy) -> Self {
        Self { proxies: Proxies::One(proxy), ..self }
    }

    /// Goes through no proxy, whatever the environment says.
    #[must_use]
    pub fn no_proxy(self) -> Self {
        Self { proxies: Proxies::None, ..self }
    }

    /// Takes these for the addresses of `host`, in this order of preference, in place of a lookup: for tests, and where
    /// another source of names is at hand. Certificates and headers are still about `host`. Names that a proxy looks up are
    /// not touched.
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
    /// sends after the upgrade may hold credentials: such a redirect then fails as [`Failure::Redirected`], which names the
    /// new URL.
    ///
    /// Of the headers only `Accept-Language`, `Origin`, `Sec-WebSocket-Protocol` and `User-Agent` go to another origin, and
    /// no value that is marked as sensitive.
    #[must_use]
    pub fn follow_to_other_origins(self, follow: bool) -> Self {
        Self { other_origins: follow, ..self }
    }

    /// Lets the system probe a connection that has been silent for this long, and again as often; off by default. The span
    /// is cut to whole seconds, and brought to at least 1 s and at most 32,767 s (9 hours). It finds a peer that is gone, not
    /// one that hangs: `idle_timeout` and `ping_interval` find both.
    #[must_use]
    pub fn tcp_keepalive(mut self, after: Duration) -> Self {
        self.tcp.keepalive = Some(after);
        self
    }

    /// The local address to connect from, for hosts with several. Only addresses of the same family can be reached then.
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
                Err(error) => {
                    Err(Failure::Proxy { problem: ProxyProblem::Misconfigured, detail: error.to_string() })
                }
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
            tls: Tls::default(),
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
