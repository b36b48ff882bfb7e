//! SOCKS5 (RFC 1928), with user name and password (RFC 1929).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_io::{AsyncRead, AsyncWrite};
use tidegate_core::{Failure, ProxyProblem};
use tokio_socks::io::AsyncSocket;
use tokio_socks::tcp::Socks5Stream;
use tokio_socks::{Error, IntoTargetAddr, TargetAddr};

use super::{ProxyError, Target, failure};
use crate::net::head::Prefixed;

/// User name and password, 1 to 255 bytes each: secrets.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    user: String,
    password: String,
}

impl Credentials {
    pub(super) fn new(user: String, password: String) -> Result<Self, ProxyError> {
        if [&user, &password].iter().all(|part| (1..=255).contains(&part.len())) {
            Ok(Self { user, password })
        } else {
            Err(ProxyError::SocksCredentials)
        }
    }
}

pub(super) async fn tunnel<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    target: &Target,
    credentials: Option<&Credentials>,
) -> Result<Prefixed<S>, Failure> {
    let target = address(target).map_err(|_| {
        failure(ProxyProblem::Failed, "the host's name is longer than the 255 bytes that SOCKS5 takes")
    })?;
    let socket = Flushing(stream);
    let tunnel = match credentials {
        None => Socks5Stream::connect_with_socket(socket, target).await,
        Some(Credentials { user, password }) => {
            Socks5Stream::connect_with_password_and_socket(socket, target, user, password).await
        }
    };
    let Flushing(stream) = tunnel.map_err(|error| refusal(&error, credentials.is_some()))?.into_inner();
    Ok(Prefixed::new(Bytes::new(), stream))
}

/// A name that is an address goes as one.
fn address(target: &Target) -> Result<TargetAddr<'_>, Error> {
    match target {
        Target::Name(host, port) => (host.as_str(), *port).into_target_addr(),
        Target::Address(address) => Ok(TargetAddr::Ip(*address)),
    }
}

fn refusal(error: &Error, authorized: bool) -> Failure {
    let (problem, what) = match error {
        Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            (ProxyProblem::Failed, "the connection was closed before the answer was complete")
        }
        Error::Io(error) => return failure(ProxyProblem::Failed, error.to_string()),
        Error::PasswordAuthFailure(_) | Error::InvalidAuthValues(_) => {
            (ProxyProblem::Credentials, "it refuses the credentials it was given")
        }
        Error::NoAcceptableAuthMethods if authorized => {
            (ProxyProblem::Credentials, "it takes neither a user name and a password nor none")
        }
        Error::NoAcceptableAuthMethods | Error::AuthorizationRequired => {
            (ProxyProblem::Credentials, "it wants credentials")
        }
        Error::ConnectionNotAllowedByRuleset => {
            (ProxyProblem::Forbidden, "connection not allowed by its ruleset (SOCKS5 reply 2)")
        }
        Error::GeneralSocksServerFailure => {
            (ProxyProblem::Failed, "general SOCKS server failure (SOCKS5 reply 1)")
        }
        Error::NetworkUnreachable => (ProxyProblem::Failed, "network unreachable (SOCKS5 reply 3)"),
        Error::HostUnreachable => (ProxyProblem::Failed, "host unreachable (SOCKS5 reply 4)"),
        Error::ConnectionRefused => (ProxyProblem::Failed, "connection refused (SOCKS5 reply 5)"),
        Error::TtlExpired => (ProxyProblem::Failed, "TTL expired (SOCKS5 reply 6)"),
        Error::CommandNotSupported => (ProxyProblem::Failed, "command not supported (SOCKS5 reply 7)"),
        Error::AddressTypeNotSupported => {
            (ProxyProblem::Failed, "address type not supported (SOCKS5 reply 8)")
        }
        // The first stands for a reply code of no known meaning as well; the last four are not of SOCKS5 at all.
        Error::UnknownAuthMethod
        | Error::InvalidResponseVersion
        | Error::InvalidReservedByte
        | Error::UnknownAddressType
        | Error::InvalidTargetAddress(_)
        | Error::ParseError(_)
        | Error::UnknownError
        | Error::ProxyServerUnreachable
        | Error::IdentdAuthFailure
        | Error::InvalidUserIdAuthFailure => (ProxyProblem::Failed, "what came back is not SOCKS5"),
    };
    failure(problem, what)
}

/// Flushes before it reads: `tokio_socks` never does, and a stream with a buffer would wait for ever.
struct Flushing<S>(S);

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncSocket for Flushing<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.0).poll_flush(cx))?;
        Pin::new(&mut self.0).poll_read(cx, buf)
    }

    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }
}
