//! SOCKS5 (RFC 1928), with user name and password (RFC 1929).

use std::io;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::{AsyncReadExt, AsyncWriteExt};
use tidegate_core::{Failure, ProxyProblem};

use super::{Destination, ProxyError, failure};
use crate::net::socket::Prefixed;

const VERSION: u8 = 5;
const CONNECT: u8 = 1;
const NO_AUTHENTICATION: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

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
    mut stream: S,
    destination: &Destination,
    credentials: Option<&Credentials>,
) -> Result<Prefixed<S>, Failure> {
    let request = request(destination)?;
    authenticate(&mut stream, credentials).await?;
    send(&mut stream, &request).await?;
    let [version, reply, reserved, kind] = read(&mut stream).await?;
    if version != VERSION || reserved != 0 {
        return Err(not_socks());
    }
    // Checked before the address is read: some proxies send none with a refusal.
    granted(reply)?;
    // The address and port of the proxy's end of the tunnel, which are not needed.
    let len = match kind {
        IPV4 => 4,
        IPV6 => 16,
        NAME => read::<_, 1>(&mut stream).await?[0].into(),
        _ => return Err(not_socks()),
    };
    let mut address = vec![0; len + 2];
    stream.read_exact(&mut address).await.map_err(broken)?;
    Ok(Prefixed::new(Bytes::new(), stream))
}

/// Negotiates the authentication (RFC 1928 §3, RFC 1929 §2).
async fn authenticate<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    credentials: Option<&Credentials>,
) -> Result<(), Failure> {
    let refused = |what| Err(failure(ProxyProblem::Credentials, what));
    let methods: &[u8] =
        if credentials.is_some() { &[NO_AUTHENTICATION, USER_AND_PASSWORD] } else { &[NO_AUTHENTICATION] };
    let count = if credentials.is_some() { 2 } else { 1 };
    send(stream, &[&[VERSION, count], methods].concat()).await?;
    let [version, method] = read(stream).await?;
    if version != VERSION {
        return Err(not_socks());
    }
    match (method, credentials) {
        (NO_AUTHENTICATION, _) => Ok(()),
        (USER_AND_PASSWORD, Some(Credentials { user, password })) => {
            let part = |part: &str| [&[length(part)], part.as_bytes()].concat();
            send(stream, &[vec![1], part(user), part(password)].concat()).await?;
            // The version is not checked: some proxies send that of SOCKS.
            let [_, status] = read(stream).await?;
            if status == 0 { Ok(()) } else { refused("it refuses these credentials") }
        }
        (0xff, Some(_)) => refused("it requires another authentication method"),
        (0xff | USER_AND_PASSWORD, None) => refused("it requires credentials"),
        (_, _) => Err(not_socks()),
    }
}

/// Returns the request (RFC 1928 §4). A name that is an address is sent as an address.
fn request(destination: &Destination) -> Result<Vec<u8>, Failure> {
    let (kind, address, port) = match destination {
        Destination::Name(host, port) => match host.parse::<IpAddr>() {
            Ok(ip) => return request(&Destination::Address(SocketAddr::new(ip, *port))),
            Err(_) if host.len() > 255 => {
                let what = "the host's name is longer than the 255 bytes that SOCKS5 takes";
                return Err(failure(ProxyProblem::Failed, what));
            }
            Err(_) => (NAME, [&[length(host)], host.as_bytes()].concat(), *port),
        },
        Destination::Address(SocketAddr::V4(address)) => {
            (IPV4, address.ip().octets().to_vec(), address.port())
        }
        Destination::Address(SocketAddr::V6(address)) => {
            (IPV6, address.ip().octets().to_vec(), address.port())
        }
    };
    Ok([&[VERSION, CONNECT, 0, kind], address.as_slice(), &port.to_be_bytes()].concat())
}

/// Checks the reply (RFC 1928 §6).
fn granted(reply: u8) -> Result<(), Failure> {
    let (problem, what) = match reply {
        0 => return Ok(()),
        1 => (ProxyProblem::Failed, "general SOCKS server failure"),
        2 => (ProxyProblem::Forbidden, "connection not allowed by its ruleset"),
        3 => (ProxyProblem::Failed, "network unreachable"),
        4 => (ProxyProblem::Failed, "host unreachable"),
        5 => (ProxyProblem::Failed, "connection refused"),
        6 => (ProxyProblem::Failed, "TTL expired"),
        7 => (ProxyProblem::Failed, "command not supported"),
        8 => (ProxyProblem::Failed, "address type not supported"),
        _ => (ProxyProblem::Failed, "it could not connect"),
    };
    Err(failure(problem, format!("{what} (SOCKS5 reply {reply})")))
}

/// Returns the length of a text that is known to be short enough.
fn length(text: &str) -> u8 {
    u8::try_from(text.len()).unwrap_or(u8::MAX)
}

async fn send<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> Result<(), Failure> {
    stream.write_all(bytes).await.map_err(broken)?;
    stream.flush().await.map_err(broken)
}

async fn read<S: AsyncRead + Unpin, const N: usize>(stream: &mut S) -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await.map_err(broken)?;
    Ok(bytes)
}

fn broken(error: io::Error) -> Failure {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return failure(ProxyProblem::Failed, "the connection was closed before the answer was complete");
    }
    failure(ProxyProblem::Failed, error.to_string())
}

fn not_socks() -> Failure {
    failure(ProxyProblem::Failed, "its answer is not SOCKS5")
}
