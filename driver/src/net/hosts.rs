//! The addresses of a host: the application's, or the system's.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use super::eyeballs::Unreachable;
use super::platform::Net;

/// Hosts whose addresses the application gave, in small letters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hosts(HashMap<String, Vec<IpAddr>>);

impl Hosts {
    pub(crate) fn insert(&mut self, host: &str, addresses: impl IntoIterator<Item = IpAddr>) {
        self.0.insert(host.to_ascii_lowercase(), addresses.into_iter().collect());
    }

    /// The addresses of `host`, in the order of preference. There is at least one.
    pub(crate) async fn lookup<N: Net>(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Unreachable> {
        let with_port = |ip| SocketAddr::new(ip, port);
        let addresses: Vec<_> = if let Some(given) = self.0.get(&host.to_ascii_lowercase()) {
            given.iter().copied().map(with_port).collect()
        } else if let Ok(address) = host.parse() {
            vec![with_port(address)]
        } else {
            let host = host.to_owned();
            N::unblock(move || (host, port).to_socket_addrs().map(Vec::from_iter))
                .await
                .map_err(|error| Unreachable::Lookup(error.to_string()))?
        };
        if addresses.is_empty() {
            return Err(Unreachable::Lookup("the name has no addresses".to_owned()));
        }
        Ok(addresses)
    }
}
