//! From a request to an open connection: name, TCP, TLS, upgrade, and the same again where a redirect leads.

use std::time::Duration;

use bytes::Bytes;
use futures_io::{AsyncRead, AsyncWrite};
use futures_rustls::TlsConnector;
use futures_rustls::rustls::pki_types::ServerName;
use tidegate_core::Failure;

use super::connector::Connector;
use super::eyeballs::Unreachable;
use super::proxy::{Proxy, Target};
use super::{eyeballs, redirect};
use crate::net::http::handshake::{Led, upgrade};
use crate::net::http::head::Prefixed;
use crate::net::platform::Net;
use crate::net::socket::Socket;
use crate::net::transport::Transport;
use crate::net::{failure, tls};
use crate::request::{ConnectRequest, RequestError, Scheme};
use crate::secrets::Secrets;

/// How long the body of a refusal is waited for. It is for people to read, and the status must not be lost to the connect
/// timeout.
const BODY_PATIENCE: Duration = Duration::from_millis(200);

/// One connection, however long it takes: the caller has the clock (C3).
pub(crate) async fn dial<N: Net>(
    connector: &Connector,
    request: ConnectRequest,
) -> Result<Transport<N::Stream>, Failure> {
    dial_over::<N, _, _>(connector, request, |request| reach::<N>(connector, request)).await
}

/// The same over any stream: `open` opens it for each request.
pub(crate) async fn dial_over<N, S, Opening>(
    connector: &Connector,
    mut request: ConnectRequest,
    open: impl Fn(ConnectRequest) -> Opening,
) -> Result<Transport<S>, Failure>
where
    N: Net,
    S: AsyncRead + AsyncWrite + Send + Unpin,
    Opening: Future<Output = Result<Prefixed<S>, Failure>>,
{
    request.check().map_err(RequestError::into_failure)?;
    let mut secrets = Secrets::of(&request);
    let mut led_to: Option<String> = None;
    for _ in 0..=redirect::MOST {
        let asked = ask::<N, S>(connector, &request, &secrets, open(request.clone())).await;
        let met_at = |failure| match &led_to {
            Some(url) => redirect::met_at(failure, url),
            None => failure,
        };
        match asked.map_err(met_at)? {
            Led::Upgraded(socket, subprotocol) => {
                return Ok(Transport::new(socket, connector.framing(), subprotocol, secrets));
            }
            Led::Redirect(location) => {
                let next = redirect::follow(&request, &location)?;
                secrets.add(&next);
                let url = secrets.hidden_in(&next.redacted());
                if !(connector.follows_to_other_origins() || redirect::same_origin(&request, &next)) {
                    return Err(Failure::Redirected { to: url });
                }
                (request, led_to) = (next, Some(url));
            }
        }
    }
    Err(redirect::too_many())
}

/// What one request leads to.
async fn ask<N: Net, S: AsyncRead + AsyncWrite + Unpin>(
    connector: &Connector,
    request: &ConnectRequest,
    secrets: &Secrets,
    opening: impl Future<Output = Result<Prefixed<S>, Failure>>,
) -> Result<Led<Socket<Prefixed<S>>>, Failure> {
    let stream = opening.await?;
    let socket = match request.scheme() {
        Scheme::Ws => Socket::Plain(stream),
        Scheme::Wss => secure::<N, S>(connector, request.host(), stream).await?,
    };
    // The timer starts when it is polled, which is once there is a body to read.
    let patience = async { N::sleep(BODY_PATIENCE).await };
    upgrade(request, secrets, socket, patience).await
}

/// TCP to the host of the request, through a proxy if there is one.
async fn reach<N: Net>(
    connector: &Connector,
    request: ConnectRequest,
) -> Result<Prefixed<N::Stream>, Failure> {
    let (host, port) = connector.hosts().target(request.host(), request.port());
    match connector.proxy_for(request.scheme(), host, port)? {
        Some(proxy) => through::<N>(connector, proxy, host, port).await,
        None => {
            let tcp = connect::<N>(connector, host, port).await;
            Ok(Prefixed::new(Bytes::new(), tcp.map_err(failure::of_tcp)?))
        }
    }
}

/// A way through `proxy` to the host; what comes behind, TLS too, is between the two ends.
async fn through<N: Net>(
    connector: &Connector,
    proxy: &Proxy,
    host: &str,
    port: u16,
) -> Result<Prefixed<N::Stream>, Failure> {
    let target = if proxy.wants_address() {
        let addresses = connector.hosts().lookup::<N>(host, port).await;
        Target::Address(addresses.map_err(failure::of_tcp)?[0])
    } else {
        Target::Name(host.to_owned(), port)
    };
    let stream = connect::<N>(connector, proxy.host(), proxy.port()).await;
    proxy.tunnel(stream.map_err(failure::of_proxy)?, &target).await
}

async fn connect<N: Net>(connector: &Connector, host: &str, port: u16) -> Result<N::Stream, Unreachable> {
    let addresses = connector.hosts().lookup::<N>(host, port).await?;
    eyeballs::race::<N>(addresses, connector.tcp()).await
}

async fn secure<N: Net, S: AsyncRead + AsyncWrite + Unpin>(
    connector: &Connector,
    host: &str,
    stream: Prefixed<S>,
) -> Result<Socket<Prefixed<S>>, Failure> {
    let Ok(name) = ServerName::try_from(host.to_owned()) else {
        return Err(tls::failure::of_host());
    };
    let config = TlsConnector::from(connector.tls_config::<N>().await?);
    match config.connect(name, stream).into_fallible().await {
        Ok(stream) => Ok(Socket::Tls(Box::new(stream))),
        Err((error, stream)) => Err(tls::failure::of_handshake(&error, stream).await),
    }
}
