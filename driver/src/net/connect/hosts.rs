//! The addresses of a host, given by the application or looked up by the system.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use super::eyeballs::ConnectError;
use crate::net::platform::Net;
use crate::url;

/// Addresses and targets that the application set for hosts, by [normal] names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hosts {
    addresses: HashMap<String, Vec<IpAddr>>,
    targets: HashMap<(String, u16), (String, u16)>,
}

impl Hosts {
    pub(crate) fn insert(&mut self, host: &str, addresses: impl IntoIterator<Item = IpAddr>) {
        self.addresses.insert(normal(host), addresses.into_iter().collect());
    }

    pub(crate) fn insert_target(&mut self, from: (&str, u16), to: (&str, u16)) {
        self.targets.insert((normal(from.0), from.1), (normal(to.0), to.1));
    }

    /// Returns the host and port to connect to in place of those of a URL.
    pub(crate) fn target<'a>(&'a self, host: &'a str, port: u16) -> (&'a str, u16) {
        let target = self.targets.get(&(normal(host), port));
        target.map_or((host, port), |(host, port)| (host, *port))
    }

    /// Returns the addresses of `host`, at least one, in the order of preference.
    pub(crate) async fn lookup<N: Net>(
        &self,
        host: &str,
        port: u16,
    ) -> Result<Vec<SocketAddr>, ConnectError> {
        let with_port = |ip| SocketAddr::new(ip, port);
        let addresses: Vec<_> = if let Some(given) = self.addresses.get(&normal(host)) {
            given.iter().copied().map(with_port).collect()
        } else if let Ok(address) = host.parse() {
            vec![with_port(address)]
        } else {
            let name = host.to_owned();
            N::unblock(move || (name, port).to_socket_addrs().map(Vec::from_iter))
                .await
                .map_err(|error| ConnectError::Lookup(format!("{host}: {error}")))?
        };
        if addresses.is_empty() {
            return Err(ConnectError::Lookup(format!("{host}: the name has no addresses")));
        }
        Ok(addresses)
    }
}

/// Returns one form for all ways to write a name or an address.
fn normal(host: &str) -> String {
    if let Ok(address) = host.parse::<IpAddr>() {
        return address.to_string();
    }
    let host = url::parse_authority(host, 0).map_or_else(|_| host.to_owned(), |(ascii, _)| ascii);
    host.to_ascii_lowercase()
}
