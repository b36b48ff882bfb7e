//! The hosts that are reached without the environment's proxy.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{ProxyError, parse_port};

/// The entries of `NO_PROXY`, and this machine itself.
#[derive(Clone, Debug, Default)]
pub(super) struct NoProxy(Vec<Entry>);

#[derive(Clone, Debug)]
struct Entry {
    pattern: Pattern,
    /// `None` means any port.
    port: Option<u16>,
}

#[derive(Clone, Debug)]
enum Pattern {
    All,
    Network(IpNet),
    /// This name and all its subdomains. In lower case, without dots around it.
    Under(String),
}

impl NoProxy {
    /// Parses entries separated by commas or blanks.
    pub(super) fn new(list: &str) -> Result<Self, ProxyError> {
        let entries = list.split(|c: char| c == ',' || c.is_whitespace()).filter(|entry| !entry.is_empty());
        Ok(Self(entries.map(Entry::new).collect::<Result<_, _>>()?))
    }

    pub(super) fn covers(&self, host: &str, port: u16) -> bool {
        let host = Host::new(host);
        host.is_loopback() || self.0.iter().any(|entry| entry.covers(&host, port))
    }
}

impl Entry {
    fn new(entry: &str) -> Result<Self, ProxyError> {
        if entry.contains('/') {
            let network = entry.parse().map_err(|_| ProxyError::Exception)?;
            return Ok(Self { pattern: Pattern::Network(network), port: None });
        }
        // An IPv6 address without brackets has no port, although it has colons.
        let (host, port) = match entry.rsplit_once(':') {
            Some((host, port)) if entry.parse::<IpAddr>().is_err() && !entry.ends_with(']') => {
                (host, Some(parse_port(port).ok_or(ProxyError::Exception)?))
            }
            Some(_) | None => (entry, None),
        };
        let pattern = match Host::new(host.trim_start_matches('[').trim_end_matches(']')) {
            Host::Address(address) => Pattern::Network(address.into()),
            Host::Name(name) if name == "*" => Pattern::All,
            // `*.example.com` and `.example.com` mean `example.com`, as in curl.
            Host::Name(name) => {
                Pattern::Under(name.trim_start_matches('*').trim_start_matches('.').to_owned())
            }
        };
        Ok(Self { pattern, port })
    }

    fn covers(&self, host: &Host, port: u16) -> bool {
        self.port.is_none_or(|only| only == port)
            && match (&self.pattern, host) {
                (Pattern::All, _) => true,
                (Pattern::Network(network), Host::Address(address)) => network.contains(address),
                (Pattern::Under(name), Host::Name(host)) => is_under(host, name),
                (Pattern::Network(_), Host::Name(_)) | (Pattern::Under(_), Host::Address(_)) => false,
            }
    }
}

/// A host in the form that is compared.
enum Host {
    /// An address. An IPv6 address that stands for an IPv4 one is converted.
    Address(IpAddr),
    /// A name, in lower case, without the dot of the root.
    Name(String),
}

impl Host {
    fn new(host: &str) -> Self {
        match host.parse::<IpAddr>() {
            Ok(address) => Self::Address(address.to_canonical()),
            Err(_) => Self::Name(host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()),
        }
    }

    /// Returns whether the host is this machine: a proxy elsewhere would not find it there (RFC 6761 §6.3).
    fn is_loopback(&self) -> bool {
        match self {
            Self::Address(address) => address.is_loopback(),
            Self::Name(name) => is_under(name, "localhost"),
        }
    }
}

/// Returns whether `host` is `name` or one of its subdomains.
fn is_under(host: &str, name: &str) -> bool {
    host.strip_suffix(name).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}
