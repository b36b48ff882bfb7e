//! From a request to an open connection: name, TCP, TLS, upgrade, and the same again where a redirect leads.

use bytes::Bytes;
use futures_rustls::TlsConnector;
use futures_rustls::rustls::pki_types::ServerName;
use tidegate_core::Failure;

use super::connector::Connector;
use super::eyeballs::Unreachable;
use super::handshake::{Answer, upgrade};
use super::head::Prefixed;
use super::platform::Net;
use super::proxy::{Proxy, Target};
use super::socket::Socket;
use super::transport::Transport;
use super::{eyeballs, failure, redirect};
use crate::request::{ConnectRequest, Scheme};

/// One connection, however long it takes: the caller has the clock (C3).
pub(crate) async fn dial<N: Net>(
    connector: &Connector,
    mut request: ConnectRequest,
) -> Result<Transport<N::Stream>, Failure> {
    for _ in 0..=redirect::MOST {
        let socket = open::<N>(connector, &request).await?;
        match upgrade(&request, socket).await? {
            Answer::Upgraded(socket, subprotocol) => {
                return Ok(Transport::new(socket, connector.framing(), subprotocol));
            }
            Answer::Redirect(location) => request = redirect::follow(&request, &location)?,
        }
    }
    Err(redirect::too_many())
}

/// The bytes that the upgrade is asked for over.
async fn open<N: Net>(
    connector: &Connector,
    request: &ConnectRequest,
) -> Result<Socket<Prefixed<N::Stream>>, Failure> {
    let tcp = match connector.proxy_for(request)? {
        Some(proxy) => through::<N>(connector, proxy, request).await?,
        None => {
            let tcp = connect::<N>(connector, request.host(), request.port()).await;
            Prefixed::new(Bytes::new(), tcp.map_err(failure::of_tcp)?)
        }
    };
    match request.scheme() {
        Scheme::Ws => Ok(Socket::Plain(tcp)),
        Scheme::Wss => secure::<N>(connector, request.host(), tcp).await,
    }
}

/// A way through `proxy` to the host; what comes behind, TLS too, is between the two ends.
async fn through<N: Net>(
    connector: &Connector,
    proxy: &Proxy,
    request: &ConnectRequest,
) -> Result<Prefixed<N::Stream>, Failure> {
    let target = if proxy.wants_address() {
        let addresses = connector.hosts().lookup::<N>(request.host(), request.port()).await;
        Target::Address(addresses.map_err(failure::of_tcp)?[0])
    } else {
        Target::Name(request.host().to_owned(), request.port())
    };
    let stream = connect::<N>(connector, proxy.host(), proxy.port()).await;
    proxy.tunnel(stream.map_err(failure::of_proxy)?, &target).await
}

async fn connect<N: Net>(connector: &Connector, host: &str, port: u16) -> Result<N::Stream, Unreachable> {
    let addresses = connector.hosts().lookup::<N>(host, port).await?;
    eyeballs::race::<N>(addresses, connector.tcp()).await
}

async fn secure<N: Net>(
    connector: &Connector,
    host: &str,
    tcp: Prefixed<N::Stream>,
) -> Result<Socket<Prefixed<N::Stream>>, Failure> {
    let Ok(name) = ServerName::try_from(host.to_owned()) else {
        return Err(failure::tls::of_host());
    };
    let config = TlsConnector::from(connector.tls_config::<N>().await?);
    match config.connect(name, tcp).into_fallible().await {
        Ok(stream) => Ok(Socket::Tls(Box::new(stream))),
        Err((error, tcp)) => Err(failure::tls::of_handshake(&error, tcp).await),
    }
}
