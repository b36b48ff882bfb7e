//! Exchanges with a peer over any stream, for the fuzz targets.
//!
//! Only built with `--cfg fuzzing`, which cargo-fuzz sets. Not part of the public API.

use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use futures_io::{AsyncRead, AsyncWrite};
use tidegate_core::{Connected, Failure};

use super::connect::connector::Connector;
use super::connect::proxy::{Destination, Proxy};
use super::connect::redirect;
use super::http::handshake::{self, upgrade};
use super::socket::{Prefixed, Socket};
use super::transport::WebSocket;
use crate::request::ConnectRequest;
use crate::secrets::Secrets;

/// Outcome of one request.
#[derive(Debug)]
pub enum Outcome<S> {
    /// An open connection.
    Open(WebSocket<S>),
    /// The request that a redirect leads to.
    Redirect(ConnectRequest),
}

/// Returns a connection after its upgrade. `stream` contains only frames.
pub fn open<S: AsyncRead + AsyncWrite + Unpin>(connector: &Connector, stream: S) -> WebSocket<S> {
    let socket = Prefixed::new(Bytes::new(), Socket::Plain(Prefixed::new(Bytes::new(), stream)));
    WebSocket::new(socket, connector.framing(), Connected::default(), Secrets::default())
}

/// Makes one request of an attempt over a TCP connection: opens the tunnel if there is a proxy, then does the upgrade.
/// `earlier` requests of the attempt were redirected; their secrets are hidden, too.
///
/// # Errors
/// Returns the same errors as an attempt.
pub async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    connector: &Connector,
    request: &ConnectRequest,
    earlier: &[ConnectRequest],
    stream: S,
) -> Result<Outcome<S>, Failure> {
    let proxy = connector.proxy_for(request.scheme(), request.host(), request.port())?;
    let stream = match proxy {
        Some(proxy) => proxy.tunnel(stream, &destination(proxy, request)).await?,
        None => Prefixed::new(Bytes::new(), stream),
    };
    let (mut secrets, body_timeout) = (Secrets::of(request), std::future::pending());
    earlier.iter().for_each(|request| secrets.add(request));
    match upgrade(request, &secrets, Socket::Plain(stream), body_timeout).await? {
        handshake::Accepted::Upgraded(socket, connected) => {
            Ok(Outcome::Open(WebSocket::new(socket, connector.framing(), connected, secrets)))
        }
        handshake::Accepted::Redirect(location) => {
            redirect::follow(request, &location).map(Outcome::Redirect)
        }
    }
}

/// Returns the destination, without a lookup: every host has the loopback address.
fn destination(proxy: &Proxy, request: &ConnectRequest) -> Destination {
    if proxy.wants_address() {
        Destination::Address(SocketAddr::from((Ipv4Addr::LOCALHOST, request.port())))
    } else {
        Destination::Name(request.host().to_owned(), request.port())
    }
}
