//! From a request to an open connection: name, TCP, TLS, upgrade.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use async_tungstenite::tungstenite::protocol::WebSocketConfig;
use tidegate_driver::core::{Failure, TlsProblem};
use tidegate_driver::{ConnectRequest, Scheme};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::client_config::Tls;
use crate::handshake::upgrade;
use crate::limits::{LimitError, Limits};
use crate::socket::Socket;
use crate::tls::{TlsError, TlsOptions};
use crate::transport::Transport;

/// The most that may wait to be written to a socket, in bytes: 64 MiB, and so the longest frame that can be sent. Without
/// it, a peer that pings and does not read would have its pongs pile up without end.
const MAX_WRITE_BUFFER: usize = 64 << 20;

/// How connections are made. Clones share the TLS configuration; one connector serves any number of feeds.
///
/// An option that cannot be used is refused when it is set, not at the first connection.
///
/// ```
/// use tidegate_tokio::{Connector, Limits};
///
/// let connector = Connector::default()
///     .limits(Limits::default().max_message_size(1 << 20)?)
///     .read_buffer_size(64 * 1024)?;
/// # Ok::<(), tidegate_tokio::LimitError>(())
/// ```
#[derive(Clone)]
pub struct Connector {
    tls: Tls,
    limits: Limits,
    read_buffer_size: usize,
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

    /// The size of a connection's read buffer, in bytes; 32 KiB by default.
    ///
    /// Each read from the socket first zeroes what is free of it. On a sparse feed, one message a read, 128 KiB costs
    /// half as much again per message as 16 KiB does. On a busy one a larger buffer saves system calls: messages of
    /// 1 KiB were measured at 0.83 us with 8 KiB, 0.61 with 16, 0.52 with 32 and 0.44 with 64. An idle connection keeps
    /// its buffer, and a message that is kept pins the buffer it came in.
    ///
    /// # Errors
    /// If it is less than 1 KiB or more than 16 MiB.
    pub fn read_buffer_size(self, bytes: usize) -> Result<Self, LimitError> {
        let read_buffer_size = LimitError::check("read_buffer_size", bytes, 1 << 10, 16 << 20)?;
        Ok(Self { read_buffer_size, ..self })
    }

    /// One connection, however long it takes: the caller has the clock (C3).
    pub(crate) async fn connect(&self, request: ConnectRequest) -> Result<Transport, Failure> {
        let tcp = connect_tcp(request.host(), request.port()).await?;
        let socket = match request.scheme() {
            Scheme::Ws => Socket::Plain(tcp),
            Scheme::Wss => self.secure(request.host(), tcp).await?,
        };
        let upgraded = upgrade(&request, socket).await?;
        Ok(Transport::new(upgraded, self.websocket_config()).await)
    }

    async fn secure(&self, host: &str, tcp: TcpStream) -> Result<Socket, Failure> {
        let Ok(name) = ServerName::try_from(host.to_owned()) else {
            let detail = "the host is neither a DNS name nor an IP address".to_owned();
            return Err(Failure::Tls { problem: TlsProblem::Other, detail });
        };
        let connector = TlsConnector::from(self.tls.config().await?);
        match connector.connect(name, tcp).await {
            Ok(stream) => Ok(Socket::Tls(Box::new(stream))),
            Err(error) => Err(Failure::Tls { problem: TlsProblem::Other, detail: error.to_string() }),
        }
    }

    fn websocket_config(&self) -> WebSocketConfig {
        WebSocketConfig::default()
            .read_buffer_size(self.read_buffer_size)
            .max_write_buffer_size(MAX_WRITE_BUFFER)
            .max_frame_size(Some(self.limits.frame))
            .max_message_size(Some(self.limits.message))
    }
}

impl Default for Connector {
    fn default() -> Self {
        Self { tls: Tls::default(), limits: Limits::default(), read_buffer_size: 32 << 10 }
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("limits", &self.limits)
            .field("read_buffer_size", &self.read_buffer_size)
            .finish_non_exhaustive()
    }
}

/// Makes one connection, without recovery: when it ends, it has ended.
///
/// # Errors
/// What went wrong on the way; [`Failure::ConnectTimeout`] if it took longer than `timeout`, the whole of it: name
/// lookup, TCP, TLS and the upgrade (C3).
///
/// # Panics
/// Outside of a tokio runtime whose I/O and time are enabled.
pub async fn connect_once(
    request: ConnectRequest,
    connector: &Connector,
    timeout: Duration,
) -> Result<Transport, Failure> {
    tokio::time::timeout(timeout, connector.connect(request)).await.unwrap_or(Err(Failure::ConnectTimeout))
}

async fn connect_tcp(host: &str, port: u16) -> Result<TcpStream, Failure> {
    match lookup_host((host, port)).await {
        Ok(addresses) => connect_any(addresses).await,
        Err(error) => Err(Failure::Lookup { detail: error.to_string() }),
    }
}

/// The first of the addresses that answers, in the order of the resolver.
async fn connect_any(addresses: impl Iterator<Item = SocketAddr>) -> Result<TcpStream, Failure> {
    let mut refusals = Vec::new();
    for address in addresses {
        match connect_address(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => refusals.push(format!("{address}: {error}")),
        }
    }
    if refusals.is_empty() {
        return Err(Failure::Lookup { detail: "the name has no addresses".to_owned() });
    }
    Err(Failure::Tcp { detail: refusals.join("; ") })
}

async fn connect_address(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    // A feed's frames are small and wanted now: no waiting for a full segment.
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// An address that refuses: its listener has gone.
    async fn refusing() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
    }

    #[tokio::test]
    async fn all_addresses_are_tried_in_their_order() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let later = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        let addresses = [refusing().await, refusing().await, open, later.local_addr().unwrap()];
        let stream = connect_any(addresses.into_iter()).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open);
        assert!(stream.nodelay().unwrap());
    }

    #[tokio::test]
    async fn every_refusal_is_told() {
        let addresses = [refusing().await, refusing().await];
        let failure = connect_any(addresses.into_iter()).await.unwrap_err();
        assert_eq!(failure.kind(), "tcp");
        for address in addresses {
            assert!(failure.to_string().contains(&address.to_string()), "{failure}");
        }
    }

    #[tokio::test]
    async fn a_name_without_addresses() {
        assert_eq!(connect_any(std::iter::empty()).await.unwrap_err().kind(), "lookup");
    }

    #[test]
    fn a_read_buffer_out_of_bounds_is_refused_by_name() {
        for bytes in [0, 1023, (16 << 20) + 1, usize::MAX] {
            let error = Connector::default().read_buffer_size(bytes).unwrap_err();
            assert_eq!(error.option(), "read_buffer_size");
        }
        assert!(Connector::default().read_buffer_size(1024).is_ok());
    }
}
