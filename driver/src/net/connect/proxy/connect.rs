//! HTTP CONNECT (RFC 9110 §9.3.6), with basic authentication (RFC 7617).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::AsyncWriteExt;
use httparse::{EMPTY_HEADER, ParserConfig, Response};
use tidegate_core::{Failure, ProxyProblem};

use super::{Destination, ProxyError, authority, failure};
use crate::net::http::head::read_head;
use crate::net::socket::Prefixed;

/// Maximum length of the head of an answer, in bytes.
const MAX_HEAD: usize = 16 * 1024;

/// Maximum number of header lines of an answer. They are ignored.
const MAX_HEADERS: usize = 128;

/// The value of a `Proxy-Authorization` header: a secret.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Authorization(String);

impl Authorization {
    pub(super) fn basic(user: &str, password: &str) -> Result<Self, ProxyError> {
        let has_control = |part: &str| part.chars().any(char::is_control);
        if user.contains(':') || has_control(user) || has_control(password) {
            return Err(ProxyError::BasicCredentials);
        }
        Ok(Self(format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))))
    }
}

pub(super) async fn tunnel<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    destination: &Destination,
    authorization: Option<&Authorization>,
) -> Result<Prefixed<S>, Failure> {
    let broken = |error: &dyn std::fmt::Display| failure(ProxyProblem::Failed, error.to_string());
    let request = request(destination, authorization);
    stream.write_all(request.as_bytes()).await.map_err(|error| broken(&error))?;
    stream.flush().await.map_err(|error| broken(&error))?;
    let (head, stream) = read_head(stream, MAX_HEAD).await.map_err(|error| broken(&error))?;
    match status(&head) {
        // An answer to CONNECT has no body, whatever its headers say (RFC 9110 §9.3.6).
        Some(200..=299) => Ok(stream),
        Some(status) => Err(refusal(status, authorization.is_some())),
        None => Err(failure(ProxyProblem::Failed, "the answer is not HTTP/1.1: check host and port")),
    }
}

fn request(destination: &Destination, authorization: Option<&Authorization>) -> String {
    let authority = match destination {
        Destination::Name(host, port) => authority(host, *port),
        Destination::Address(address) => authority(&address.ip().to_string(), address.port()),
    };
    let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n");
    if let Some(Authorization(value)) = authorization {
        request.extend(["Proxy-Authorization: ", value, "\r\n"]);
    }
    request + "\r\n"
}

/// Returns the status of an answer, or `None` if it is not HTTP.
fn status(head: &[u8]) -> Option<u16> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut answer = Response::new(&mut headers);
    let mut parser = ParserConfig::default();
    parser.ignore_invalid_headers_in_responses(true);
    parser.parse_response(&mut answer, head).ok()?;
    answer.code
}

/// Returns the failure for a status. The same statuses are retried as for a server (R6).
fn refusal(status: u16, authorized: bool) -> Failure {
    let (problem, what) = match status {
        // Only a server should answer 401, but tinyproxy does so for wrong credentials.
        401 | 407 if authorized => (ProxyProblem::Credentials, "it refuses these credentials"),
        401 | 407 => (ProxyProblem::Credentials, "it requires credentials"),
        408 | 425 | 429 => (ProxyProblem::Failed, "it is busy"),
        400..=499 => (ProxyProblem::Forbidden, "it does not allow this host"),
        _ => (ProxyProblem::Failed, "it could not connect"),
    };
    failure(problem, format!("{what} (HTTP status {status})"))
}
