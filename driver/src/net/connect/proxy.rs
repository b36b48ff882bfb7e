//! Tunnels through a proxy: HTTP CONNECT (RFC 9110 §9.3.6) and SOCKS5 (RFC 1928, RFC 1929).

mod connect;
mod environment;
mod error;
mod no_proxy;
#[cfg(test)]
mod script;
mod socks;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::str::FromStr;

use futures_io::{AsyncRead, AsyncWrite};
use percent_encoding::percent_decode_str;
use tidegate_core::{ConnectFailure, Failure, ProxyProblem};

use crate::net::socket::Prefixed;
use connect::Authorization;
use socks::Credentials;

pub(crate) use environment::Environment;
pub use error::ProxyError;

/// The default port for all schemes, as in curl.
const DEFAULT_PORT: u16 = 1080;

/// A proxy to connect through.
///
/// | URL | protocol | the name of the server is looked up |
/// |---|---|---|
/// | `http://host:port`, or `host:port` | HTTP CONNECT | by the proxy |
/// | `socks5://host:port` | SOCKS5 | here; the proxy is asked for the address that the system prefers |
/// | `socks5h://host:port` | SOCKS5 | by the proxy |
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    protocol: Protocol,
    /// A name or an address, an IPv6 address without its brackets.
    host: String,
    port: u16,
}

#[derive(Clone, PartialEq, Eq)]
enum Protocol {
    Http(Option<Authorization>),
    Socks5 { lookup: Lookup, credentials: Option<Credentials> },
}

/// The side that looks up the name of the destination.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lookup {
    Here,
    Proxy,
}

/// The far end of a tunnel.
#[derive(Clone, Debug)]
pub(crate) enum Destination {
    /// The host of a URL, an IPv6 address without its brackets, and a port.
    Name(String, u16),
    /// An address that has been looked up.
    Address(SocketAddr),
}

impl Proxy {
    /// Parses `http://[user:password@]host[:port]`, the same with `socks5://` or `socks5h://`, or `host:port`, which
    /// means `http`.
    ///
    /// The default port is 1080, as in curl. User name and password are percent-decoded.
    ///
    /// # Errors
    /// Returns an error if `url` has none of these forms, or has credentials that the protocol cannot transmit.
    pub fn new(url: &str) -> Result<Self, ProxyError> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        let protocol = match scheme.to_ascii_lowercase().as_str() {
            "http" => Protocol::Http(None),
            "socks5" => Protocol::Socks5 { lookup: Lookup::Here, credentials: None },
            "socks5h" => Protocol::Socks5 { lookup: Lookup::Proxy, credentials: None },
            "https" => return Err(ProxyError::Https),
            _ => return Err(ProxyError::Scheme),
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if !matches!(path, "" | "/") {
            return Err(ProxyError::Path);
        }
        let (user_info, host_and_port) = match authority.rsplit_once('@') {
            Some((user_info, host_and_port)) => (user_info, host_and_port),
            None => ("", authority),
        };
        let (host, port) = split_port(host_and_port)?;
        let proxy = Self { protocol, host: host.to_owned(), port };
        if user_info.is_empty() {
            return Ok(proxy);
        }
        let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
        proxy.with_credentials(decode(user)?, decode(password)?)
    }

    /// Sets the credentials, which are sent unchanged. Replaces those of the URL.
    ///
    /// # Errors
    /// Returns an error if the protocol cannot transmit the credentials. HTTP allows no colon in the user name and no
    /// control characters (RFC 7617). SOCKS5 requires 1 to 255 bytes of each (RFC 1929).
    pub fn with_credentials(
        mut self,
        user: impl Into<String>,
        password: impl Into<String>,
    ) -> Result<Self, ProxyError> {
        match &mut self.protocol {
            Protocol::Http(authorization) => {
                *authorization = Some(Authorization::basic(&user.into(), &password.into())?);
            }
            Protocol::Socks5 { credentials, .. } => {
                *credentials = Some(Credentials::new(user.into(), password.into())?);
            }
        }
        Ok(self)
    }

    /// Returns the name or address of the proxy, an IPv6 address without its brackets.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// Returns whether the name of the destination must be looked up on this side.
    pub(crate) const fn wants_address(&self) -> bool {
        matches!(self.protocol, Protocol::Socks5 { lookup: Lookup::Here, .. })
    }

    /// Opens a tunnel to `destination` over a stream that is connected to the proxy. Returns the stream, which starts
    /// with the first byte of the destination. Has no timeout.
    pub(crate) async fn tunnel<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        destination: &Destination,
    ) -> Result<Prefixed<S>, Failure> {
        match &self.protocol {
            Protocol::Http(authorization) => {
                connect::tunnel(stream, destination, authorization.as_ref()).await
            }
            Protocol::Socks5 { credentials, .. } => {
                socks::tunnel(stream, destination, credentials.as_ref()).await
            }
        }
    }
}

/// Shows scheme, host and port: the credentials are secrets.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match &self.protocol {
            Protocol::Http(_) => "http",
            Protocol::Socks5 { lookup: Lookup::Here, .. } => "socks5",
            Protocol::Socks5 { lookup: Lookup::Proxy, .. } => "socks5h",
        };
        write!(f, "{scheme}://{}", authority(&self.host, self.port))
    }
}

/// Shows the same as [`Display`](fmt::Display), without the credentials.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

impl FromStr for Proxy {
    type Err = ProxyError;

    fn from_str(url: &str) -> Result<Self, ProxyError> {
        Self::new(url)
    }
}

/// Lets [`FeedBuilder::proxy`](crate::FeedBuilder::proxy) accept a URL.
impl TryFrom<&str> for Proxy {
    type Error = ProxyError;

    fn try_from(url: &str) -> Result<Self, ProxyError> {
        Self::new(url)
    }
}

/// Returns `host:port`, with brackets around an IPv6 address (RFC 3986 §3.2).
fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn split_port(host_and_port: &str) -> Result<(&str, u16), ProxyError> {
    let (host, port) = match host_and_port.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']').ok_or(ProxyError::Host)?;
            address.parse::<Ipv6Addr>().map_err(|_| ProxyError::Host)?;
            let port = match after.strip_prefix(':') {
                None if after.is_empty() => None,
                None => return Err(ProxyError::Host),
                port => port,
            };
            (address, port)
        }
        None => {
            let (host, port) = host_and_port
                .rsplit_once(':')
                .map_or((host_and_port, None), |(host, port)| (host, Some(port)));
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            if host.is_empty() || !host.bytes().all(is_plain) {
                return Err(ProxyError::Host);
            }
            (host, port)
        }
    };
    let port = port.map_or(Some(DEFAULT_PORT), parse_port).ok_or(ProxyError::Port)?;
    Ok((host, port))
}

/// Parses digits only: the standard library's parser also accepts a sign.
fn parse_port(port: &str) -> Option<u16> {
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    port.parse().ok().filter(|port| digits && *port != 0)
}

fn decode(part: &str) -> Result<String, ProxyError> {
    if !part.is_ascii() {
        return Err(ProxyError::Encoding);
    }
    let decoded = percent_decode_str(part).decode_utf8().map_err(|_| ProxyError::Encoding)?;
    Ok(decoded.into_owned())
}

fn failure(problem: ProxyProblem, detail: impl Into<String>) -> Failure {
    Failure::Connect(ConnectFailure::Proxy { problem, detail: detail.into() })
}
