//! What the fuzz targets reach: the exchanges with a peer over a stream of their own, with no socket below.
//!
//! Built with `--cfg fuzzing` alone, which cargo-fuzz sets: no part of the interface.

use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use futures_io::{AsyncRead, AsyncWrite};
use tidegate_core::Failure;

use super::connect::connector::Connector;
use super::connect::proxy::{Proxy, Target};
use super::connect::redirect;
use super::http::handshake;
use super::http::head::Prefixed;
use super::socket::Socket;
use super::transport::Transport;
use crate::request::ConnectRequest;
use crate::secrets::Secrets;

/// Where one request led.
#[derive(Debug)]
pub enum Led<S> {
    /// To an open connection.
    Open(Transport<S>),
    /// To another place, with what is to be sent there.
    Elsewhere(ConnectRequest),
}

/// A connection that has been upgraded: all that `stream` gives are frames.
pub fn open<S: AsyncRead + AsyncWrite + Unpin>(connector: &Connector, stream: S) -> Transport<S> {
    let socket = Prefixed::new(Bytes::new(), Socket::Plain(Prefixed::new(Bytes::new(), stream)));
    Transport::new(socket, connector.framing(), None, Secrets::default())
}

/// One round of an attempt, as it goes once TCP is connected: through the proxy if there is one, then the upgrade.
///
/// # Errors
/// As with an attempt.
pub async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    connector: &Connector,
    request: &ConnectRequest,
    stream: S,
) -> Result<Led<S>, Failure> {
    let proxy = connector.proxy_for(request.scheme(), request.host(), request.port())?;
    let stream = match proxy {
        Some(proxy) => proxy.tunnel(stream, &target(proxy, request)).await?,
        None => Prefixed::new(Bytes::new(), stream),
    };
    let (secrets, patience) = (Secrets::of(request), std::future::pending());
    match handshake::upgrade(request, &secrets, Socket::Plain(stream), patience).await? {
        handshake::Led::Upgraded(socket, subprotocol) => {
            Ok(Led::Open(Transport::new(socket, connector.framing(), subprotocol, secrets)))
        }
        handshake::Led::Redirect(location) => redirect::follow(request, &location).map(Led::Elsewhere),
    }
}

/// No name is looked up: a made-up address stands for what the lookup would give.
fn target(proxy: &Proxy, request: &ConnectRequest) -> Target {
    if proxy.wants_address() {
        Target::Address(SocketAddr::from((Ipv4Addr::LOCALHOST, request.port())))
    } else {
        Target::Name(request.host().to_owned(), request.port())
    }
}
