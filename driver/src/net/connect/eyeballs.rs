//! Connects to the first of several addresses that answers ("Happy Eyeballs", RFC 8305).

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{Either, select};
use futures_util::stream::FuturesUnordered;
use tidegate_core::{ConnectFailure, Failure};

use super::tcp::TcpOptions;
use crate::net::platform::Net;

/// Delay between the starts of two attempts (RFC 8305 §5, "Connection Attempt Delay").
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Why there is no TCP connection.
pub(crate) enum ConnectError {
    /// The name could not be looked up, or has no addresses.
    Lookup(String),
    /// Every address failed. The text names each.
    Tcp(String),
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Lookup(detail) => Self::Connect(ConnectFailure::Lookup { detail }),
            ConnectError::Tcp(detail) => Self::Connect(ConnectFailure::Tcp { detail }),
        }
    }
}

/// Connects to the first of the addresses that answers.
pub(crate) async fn race<N: Net>(
    addresses: Vec<SocketAddr>,
    options: &TcpOptions,
) -> Result<N::Stream, ConnectError> {
    let mut waiting = interleaved(addresses);
    waiting.retain(|address| options.can_reach(address));
    if waiting.is_empty() {
        let detail = "the host has no address of the family of the address that was bound to";
        return Err(ConnectError::Tcp(detail.to_owned()));
    }
    let mut running = FuturesUnordered::new();
    let mut errors = Vec::new();
    while let Some(address) = waiting.pop_front() {
        running.push(attempt::<N>(address, options));
        // A failure lets the next address start at once.
        match select(running.next(), pin!(N::timer(ATTEMPT_DELAY))).await {
            Either::Left((Some(Ok(stream)), _)) => return Ok(stream),
            Either::Left((Some(Err(error)), _)) => errors.push(error),
            Either::Left((None, _)) | Either::Right(_) => {}
        }
    }
    while let Some(result) = running.next().await {
        match result {
            Ok(stream) => return Ok(stream),
            Err(error) => errors.push(error),
        }
    }
    Err(ConnectError::Tcp(errors.join("; ")))
}

async fn attempt<N: Net>(address: SocketAddr, options: &TcpOptions) -> Result<N::Stream, String> {
    let connected: io::Result<N::Stream> = match options.connect(&address) {
        Ok(socket) => N::connected(socket).await,
        Err(error) => Err(error),
    };
    connected.map_err(|error| format!("{address}: {error}"))
}

/// Alternates the families, starting with that of the first address. Keeps the order within a family (RFC 8305 §4).
fn interleaved(addresses: Vec<SocketAddr>) -> VecDeque<SocketAddr> {
    let Some(first) = addresses.first().map(SocketAddr::is_ipv6) else { return VecDeque::new() };
    let (preferred, other): (VecDeque<_>, VecDeque<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first);
    let mut all = VecDeque::with_capacity(preferred.len() + other.len());
    let (mut preferred, mut other) = (preferred.into_iter(), other.into_iter());
    loop {
        let pair = (preferred.next(), other.next());
        if pair == (None, None) {
            return all;
        }
        all.extend(pair.0.into_iter().chain(pair.1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(addresses: &[&str]) -> Vec<SocketAddr> {
        addresses.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 80)).collect()
    }

    #[test]
    fn families_take_turns() {
        let table: [(&[&str], &[&str]); 5] = [
            (&[], &[]),
            (&["10.0.0.1", "10.0.0.2"], &["10.0.0.1", "10.0.0.2"]),
            (&["::1", "::2", "10.0.0.1", "10.0.0.2"], &["::1", "10.0.0.1", "::2", "10.0.0.2"]),
            (&["10.0.0.1", "::1", "::2", "::3"], &["10.0.0.1", "::1", "::2", "::3"]),
            (&["::1", "::2", "::3", "10.0.0.1"], &["::1", "10.0.0.1", "::2", "::3"]),
        ];
        for (given, expected) in table {
            assert_eq!(interleaved(ip(given)), ip(expected), "{given:?}");
        }
    }
}
