//! The HTTP upgrade (RFC 6455 §4.1).

use std::io;
use std::time::SystemTime;

use bytes::Bytes;
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::AsyncWriteExt;
use http::header::{
    CONNECTION, LOCATION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use tidegate_core::{ConnectFailure, Connected, Failure, Headers, Refusal};
use tungstenite::handshake::client::generate_key;
use tungstenite::handshake::derive_accept_key;

use super::answer::Answer;
use super::body;
use super::head::{HeadError, read_head};
use super::retry_after::retry_after;
use crate::net::socket::Prefixed;
use crate::net::tls;
use crate::request::ConnectRequest;
use crate::secrets::Secrets;

/// Maximum length of the head of an answer, in bytes.
const MAX_HEAD: usize = 64 * 1024;

/// Maximum number of interim answers before the final one, as in Go's client.
const MAX_INTERIM: usize = 5;

/// Accepted of a request that was not refused.
pub(crate) enum Accepted<S> {
    /// The stream after the answer, and what the answer says.
    Upgraded(Prefixed<S>, Connected),
    /// The `Location` of a redirect.
    Redirect(HeaderValue),
}

/// Requests the upgrade over `stream`. Reads the body of a refusal until `body_timeout` is ready, and hides `secrets`
/// in it.
pub(crate) async fn upgrade<S>(
    request: &ConnectRequest,
    secrets: &Secrets,
    mut stream: S,
    body_timeout: impl Future<Output = ()>,
) -> Result<Accepted<S>, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let key = generate_key();
    let head = head(request, &key);
    let written = async {
        stream.write_all(&head).await?;
        stream.flush().await
    };
    let written = written.await;
    // A server may refuse without reading the whole request. Its answer says more than a broken pipe.
    let (answer, rest) = match (written, final_answer(&mut stream).await) {
        (Err(error), Err(NoAnswer::Head(_))) => return Err(of_io(&error)),
        (Ok(()), Err(NoAnswer::Head(error))) => return Err(of_head(&error)),
        (_, Err(NoAnswer::Invalid(detail))) => {
            return Err(Failure::Connect(ConnectFailure::Upgrade { detail }));
        }
        (_, Ok(answer)) => answer,
    };
    let stream = Prefixed::new(rest, stream);
    match answer.headers.get(LOCATION) {
        _ if answer.status == 101 => {
            validate(request, &key, &answer)?;
            Ok(Accepted::Upgraded(stream, Connected::new(bounded(&answer.headers))))
        }
        Some(location) if matches!(answer.status, 301 | 302 | 307 | 308) => {
            Ok(Accepted::Redirect(location.clone()))
        }
        Some(_) | None => {
            let body = body::read(stream, answer.status, &answer.headers, body_timeout).await;
            Err(refused(&answer, &body, secrets))
        }
    }
}

fn bounded(headers: &HeaderMap) -> Headers {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
}

/// Returns the failure for an answer that is not an upgrade.
pub(crate) fn refused(answer: &Answer, body: &str, secrets: &Secrets) -> Failure {
    let refusal = Refusal::default()
        .with_headers(bounded(&answer.headers))
        .with_reason(&secrets.hidden_in(&answer.reason))
        .with_body(&secrets.hidden_in(body));
    Failure::Connect(ConnectFailure::Rejected {
        status: answer.status,
        retry_after: retry_after(&answer.headers, SystemTime::now()),
        refusal: Box::new(refusal),
    })
}

/// Returns why there was no answer to the upgrade.
pub(crate) fn of_head(error: &HeadError) -> Failure {
    match error {
        HeadError::NotHttp | HeadError::Tls | HeadError::TooLong(_) => {
            Failure::Connect(ConnectFailure::Upgrade { detail: error.to_string() })
        }
        HeadError::Ended => {
            let detail = "the server closed the connection before it answered the upgrade".to_owned();
            Failure::io(detail)
        }
        HeadError::Io(error) => of_io(error),
    }
}

/// Returns why the connection broke during the upgrade.
fn of_io(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return of_head(&HeadError::Ended);
    }
    // With TLS 1.3, a server refuses the client's certificate only after the client has finished its handshake.
    tls::failure::in_io(error).unwrap_or_else(|| Failure::io(error.to_string()))
}

/// Why there is no final answer.
enum NoAnswer {
    Head(HeadError),
    Invalid(String),
}

/// Reads the first answer that is not an interim one (RFC 9110 §15.2). Returns it with the bytes after it. 101 is
/// final, since no HTTP follows.
async fn final_answer<S: AsyncRead + Unpin>(stream: &mut S) -> Result<(Answer, Bytes), NoAnswer> {
    let mut rest = Bytes::new();
    for _ in 0..=MAX_INTERIM {
        // The bytes after the last head are fewer than one read, so the next read takes all of them.
        let read = read_head(Prefixed::new(rest, &mut *stream), MAX_HEAD).await;
        let (head, behind) = read.map_err(NoAnswer::Head)?;
        rest = behind.into_parts().0;
        let answer = Answer::parse(&head).map_err(NoAnswer::Invalid)?;
        if answer.status == 101 || !(100..200).contains(&answer.status) {
            return Ok((answer, rest));
        }
    }
    Err(NoAnswer::Invalid(format!(
        "more than {MAX_INTERIM} interim answers (HTTP 1xx) arrived, and no final one"
    )))
}

/// Returns the head of the request.
fn head(request: &ConnectRequest, key: &str) -> Vec<u8> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let host = request.host_header();
    let mut head = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
    )
    .into_bytes();
    for (name, value) in &request.sent_headers() {
        write_header(&mut head, name, value.as_bytes());
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// Capitalizes the name as usual, since some servers are case-sensitive.
fn write_header(head: &mut Vec<u8>, name: &HeaderName, value: &[u8]) {
    if *name == SEC_WEBSOCKET_PROTOCOL {
        head.extend_from_slice(b"Sec-WebSocket-Protocol");
    } else {
        let mut upper = true;
        for byte in name.as_str().bytes() {
            head.push(if upper { byte.to_ascii_uppercase() } else { byte });
            upper = byte == b'-';
        }
    }
    head.extend_from_slice(b": ");
    head.extend_from_slice(value);
    head.extend_from_slice(b"\r\n");
}

/// Checks a 101 (RFC 6455 §4.1).
fn validate(request: &ConnectRequest, key: &str, answer: &Answer) -> Result<(), Failure> {
    let headers = &answer.headers;
    if !answer.is_http_1_1 {
        return Err(invalid("it is HTTP/1.0, which cannot upgrade"));
    }
    if !has_token(headers, &UPGRADE, "websocket") {
        return Err(invalid("it switches to another protocol than websocket (Upgrade)"));
    }
    if !has_token(headers, &CONNECTION, "upgrade") {
        return Err(invalid("it does not say that the connection is upgraded (Connection)"));
    }
    let accept = headers.get(SEC_WEBSOCKET_ACCEPT).map(|value| value.as_bytes().trim_ascii());
    if accept != Some(derive_accept_key(key.as_bytes()).as_bytes()) {
        return Err(invalid("it is not an answer to this request (Sec-WebSocket-Accept)"));
    }
    // Nothing was offered, so nothing may be chosen (RFC 6455 §4.1, point 5).
    if headers.get_all(SEC_WEBSOCKET_EXTENSIONS).iter().any(|value| !value.is_empty()) {
        return Err(invalid("the server uses an extension that was not offered (Sec-WebSocket-Extensions)"));
    }
    check_subprotocol(&request.subprotocols().collect::<Vec<_>>(), headers)
}

/// Checks the subprotocol that the server chose. It must choose one of those that were offered, as in browsers.
fn check_subprotocol(offered: &[&[u8]], headers: &HeaderMap) -> Result<(), Failure> {
    let mut chosen = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().map(HeaderValue::as_bytes);
    match (chosen.next(), chosen.next()) {
        (None, _) if offered.is_empty() => Ok(()),
        (None, _) => {
            Err(invalid("the server knows none of the offered subprotocols (Sec-WebSocket-Protocol)"))
        }
        (Some(one), None) if offered.contains(&one) => Ok(()),
        (Some(_), _) => {
            Err(invalid("the server chose a subprotocol that was not offered (Sec-WebSocket-Protocol)"))
        }
    }
}

/// Returns whether a header that is a list contains `token`, ignoring case (RFC 9110 §5.6.1).
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    values
        .flat_map(|value| value.split(|byte| *byte == b','))
        .any(|found| found.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

fn invalid(detail: &str) -> Failure {
    Failure::Connect(ConnectFailure::Upgrade { detail: detail.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::super::answer::MAX_HEADERS;
    use super::*;

    fn request(url: &str) -> ConnectRequest {
        ConnectRequest::new(url).unwrap()
    }

    fn sent(request: &ConnectRequest) -> String {
        String::from_utf8(head(request, "KEY")).unwrap()
    }

    #[test]
    fn what_is_asked_for() {
        let table = [
            ("ws://feed.test", "/", "feed.test"),
            ("ws://feed.test?a=b", "/?a=b", "feed.test"),
            ("ws://feed.test/?a=b", "/?a=b", "feed.test"),
            ("ws://feed.test:8080/x/y?z", "/x/y?z", "feed.test:8080"),
            ("wss://[::1]:9/x", "/x", "[::1]:9"),
        ];
        for (url, path, host) in table {
            let expected = format!(
                "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: KEY\r\n\r\n"
            );
            assert_eq!(sent(&request(url)), expected, "{url}");
        }
    }

    #[test]
    fn subprotocols_go_out_as_one_header() {
        let request = request("ws://feed.test")
            .with_header(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("v3,v2"))
            .with_header(HeaderName::from_static("x-api-key"), HeaderValue::from_static("k"))
            .with_header(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("v1"));
        let sent = sent(&request);
        assert!(sent.ends_with("Sec-WebSocket-Protocol: v3, v2, v1\r\nX-Api-Key: k\r\n\r\n"), "{sent}");
    }

    /// A verdict on an answer that is valid but for what `edit` does to it.
    fn validated(offered: &str, edit: impl Fn(String) -> String) -> Result<(), Failure> {
        let mut request = request("ws://feed.test");
        if !offered.is_empty() {
            let offered = HeaderValue::from_str(offered).unwrap();
            request = request.with_header(SEC_WEBSOCKET_PROTOCOL, offered);
        }
        let accept = derive_accept_key(b"KEY");
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        validate(&request, "KEY", &Answer::parse(edit(answer).as_bytes()).map_err(|detail| invalid(&detail))?)
    }

    #[test]
    fn header_values_are_lists_in_any_case() {
        let answers: [fn(String) -> String; 5] = [
            |answer| answer,
            |answer| answer.replace("Upgrade: websocket", "upgrade: WebSocket"),
            |answer| answer.replace("Connection: Upgrade", "Connection: keep-alive, upgrade"),
            |answer| answer.replace("Connection: U", "Connection: keep-alive\r\nConnection: u"),
            |answer| answer.replace("\r\n\r\n", "\r\nSec-WebSocket-Extensions:\r\n\r\n"),
        ];
        for edit in answers {
            assert_eq!(validated("", edit), Ok(()), "{}", edit("x".to_owned()));
        }
    }

    #[test]
    fn the_choice_of_a_subprotocol() {
        let choosing = |chosen: &'static str| {
            move |answer: String| {
                answer.replace("\r\n\r\n", &format!("\r\nSec-WebSocket-Protocol: {chosen}\r\n\r\n"))
            }
        };
        assert_eq!(validated("v2, v1", choosing("v1")), Ok(()));
        assert_eq!(validated("v1", choosing("v2")).unwrap_err().kind(), "upgrade");
        assert_eq!(validated("v2, v1", choosing("v2, v1")).unwrap_err().kind(), "upgrade");
        assert_eq!(validated("", choosing("v1")).unwrap_err().kind(), "upgrade");
        assert_eq!(validated("v1", |answer| answer).unwrap_err().kind(), "upgrade");
    }

    #[test]
    fn more_headers_than_anyone_needs() {
        let lines = |count: usize| "X: y\r\n".repeat(count);
        let with = |count: usize| {
            move |answer: String| answer.replace("Upgrade: w", &format!("{}Upgrade: w", lines(count)))
        };
        assert_eq!(validated("", with(MAX_HEADERS - 3)), Ok(()));
        assert_eq!(validated("", with(MAX_HEADERS - 2)).unwrap_err().kind(), "upgrade");
    }
}
