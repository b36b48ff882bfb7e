//! Makes a connection: addresses, TCP, proxy, TLS and upgrade, and the same for each redirect.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_io::{AsyncRead, AsyncWrite};
use futures_rustls::TlsConnector;
use futures_rustls::rustls::pki_types::ServerName;
use futures_util::future::{Either, select};
use tidegate_core::{ConnectFailure, Failure, ProxyProblem};

use super::connector::Connector;
use super::eyeballs::{self, ConnectError};
use super::proxy::{Destination, Proxy};
use super::redirect;
use crate::net::http::handshake::{Accepted, upgrade};
use crate::net::platform::Net;
use crate::net::socket::{Prefixed, Socket};
use crate::net::tls;
use crate::net::transport::WebSocket;
use crate::request::{ConnectRequest, RequestError};
use crate::secrets::Secrets;
use crate::url::Scheme;

/// Time limit for the body of a refusal. People read it, but waiting for it must not run into the connect timeout,
/// which would hide the status.
const BODY_TIMEOUT: Duration = Duration::from_millis(200);

impl Connector {
    /// Makes a connection, without a timeout.
    ///
    /// # Errors
    /// Returns the reason if there is no connection.
    pub async fn connect<N: Net>(
        self: Arc<Self>,
        request: ConnectRequest,
    ) -> Result<WebSocket<N::Stream>, Failure> {
        dial::<N>(&self, request).await
    }
}

/// Makes one connection, without recovery: it is not made again after it ends.
///
/// # Errors
/// Returns the reason if there is no connection, [`ConnectFailure::Timeout`] after `timeout`. The timeout bounds name
/// lookup, TCP, proxy, TLS and the upgrade together.
pub async fn connect_once<N: Net>(
    request: ConnectRequest,
    connector: &Connector,
    timeout: Duration,
) -> Result<WebSocket<N::Stream>, Failure> {
    match select(pin!(dial::<N>(connector, request)), pin!(N::timer(timeout))).await {
        Either::Left((result, _)) => result,
        Either::Right(_) => Err(Failure::Connect(ConnectFailure::Timeout)),
    }
}

/// Makes one connection, without a timeout: the caller has the clock (C3).
async fn dial<N: Net>(
    connector: &Connector,
    request: ConnectRequest,
) -> Result<WebSocket<N::Stream>, Failure> {
    dial_over::<N, _, _>(connector, request, |request| open_stream::<N>(connector, request)).await
}

/// The same as [`dial`] over any stream: `open` opens one for each request.
pub(crate) async fn dial_over<N, S, Opening>(
    connector: &Connector,
    mut request: ConnectRequest,
    open: impl Fn(ConnectRequest) -> Opening,
) -> Result<WebSocket<S>, Failure>
where
    N: Net,
    S: AsyncRead + AsyncWrite + Send + Unpin,
    Opening: Future<Output = Result<Prefixed<S>, Failure>>,
{
    request.check().map_err(RequestError::into_failure)?;
    let mut secrets = Secrets::of(&request);
    let mut redirected_to: Option<String> = None;
    for _ in 0..=redirect::MAX_REDIRECTS {
        let outcome = exchange::<N, S>(connector, &request, &secrets, open(request.clone())).await;
        let met_at = |failure| match &redirected_to {
            Some(url) => redirect::met_at(failure, url),
            None => failure,
        };
        match outcome.map_err(met_at)? {
            Accepted::Upgraded(socket, connected) => {
                return Ok(WebSocket::new(socket, connector.framing(), connected, secrets));
            }
            Accepted::Redirect(location) => {
                let next = redirect::follow(&request, &location)?;
                secrets.add(&next);
                let url = secrets.hidden_in(&next.redacted());
                if !(connector.follows_to_other_origins() || redirect::same_origin(&request, &next)) {
                    return Err(Failure::Connect(ConnectFailure::Redirected { to: url }));
                }
                (request, redirected_to) = (next, Some(url));
            }
        }
    }
    Err(redirect::too_many())
}

/// Sends one request over the stream that `opening` returns, and reads the answer.
async fn exchange<N: Net, S: AsyncRead + AsyncWrite + Unpin>(
    connector: &Connector,
    request: &ConnectRequest,
    secrets: &Secrets,
    opening: impl Future<Output = Result<Prefixed<S>, Failure>>,
) -> Result<Accepted<Socket<Prefixed<S>>>, Failure> {
    let stream = opening.await?;
    let socket = match request.scheme() {
        Scheme::Ws => Socket::Plain(stream),
        Scheme::Wss => start_tls::<N, S>(connector, request.host(), stream).await?,
    };
    // Polled, and so started, only once there is a body to read.
    let body_timeout = async { drop(N::timer(BODY_TIMEOUT).await) };
    upgrade(request, secrets, socket, body_timeout).await
}

/// Opens a TCP connection to the host of the request, through a proxy if there is one.
async fn open_stream<N: Net>(
    connector: &Connector,
    request: ConnectRequest,
) -> Result<Prefixed<N::Stream>, Failure> {
    let (host, port) = connector.hosts().target(request.host(), request.port());
    match connector.proxy_for(request.scheme(), host, port)? {
        Some(proxy) => open_tunnel::<N>(connector, proxy, host, port).await,
        None => Ok(Prefixed::new(Bytes::new(), connect_tcp::<N>(connector, host, port).await?)),
    }
}

/// Opens a tunnel through `proxy` to the host.
async fn open_tunnel<N: Net>(
    connector: &Connector,
    proxy: &Proxy,
    host: &str,
    port: u16,
) -> Result<Prefixed<N::Stream>, Failure> {
    let destination = if proxy.wants_address() {
        Destination::Address(connector.hosts().lookup::<N>(host, port).await?[0])
    } else {
        Destination::Name(host.to_owned(), port)
    };
    let stream = connect_tcp::<N>(connector, proxy.host(), proxy.port()).await;
    let unreachable = |error| {
        let detail = Failure::from(error).to_string();
        Failure::Connect(ConnectFailure::Proxy { problem: ProxyProblem::Unreachable, detail })
    };
    proxy.tunnel(stream.map_err(unreachable)?, &destination).await
}

async fn connect_tcp<N: Net>(
    connector: &Connector,
    host: &str,
    port: u16,
) -> Result<N::Stream, ConnectError> {
    let addresses = connector.hosts().lookup::<N>(host, port).await?;
    eyeballs::race::<N>(addresses, connector.tcp()).await
}

async fn start_tls<N: Net, S: AsyncRead + AsyncWrite + Unpin>(
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
