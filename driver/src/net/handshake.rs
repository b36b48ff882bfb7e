//! The HTTP upgrade (RFC 6455 §4.1), from a socket to one that speaks frames.

use std::time::SystemTime;

use bytes::Bytes;
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::AsyncWriteExt;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, LOCATION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use tidegate_core::Failure;
use tungstenite::handshake::client::generate_key;
use tungstenite::handshake::derive_accept_key;

use super::head::{HeadFault, Prefixed, read_head};
use super::retry_after::retry_after;
use super::{failure, redirect};
use crate::request::ConnectRequest;

/// What the handshake itself sends, what only a server sends, and what would announce a body.
const RESERVED: [HeaderName; 9] = [
    HOST,
    CONNECTION,
    UPGRADE,
    SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION,
    SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_EXTENSIONS,
    CONTENT_LENGTH,
    TRANSFER_ENCODING,
];

/// The longest head of an answer, in bytes.
const MAX_HEAD: usize = 64 * 1024;

/// The most headers of an answer.
const MAX_HEADERS: usize = 128;

/// The most interim answers before the one that counts, as in Go's client.
const MAX_INTERIM: usize = 5;

/// What the server answers.
pub(crate) enum Answer<S> {
    /// The stream from the first byte behind the answer on, and the subprotocol that was chosen.
    Upgraded(Prefixed<S>, Option<String>),
    /// Ask there.
    Redirect(HeaderValue),
}

/// Asks for the upgrade over `stream`.
pub(crate) async fn upgrade<S>(request: &ConnectRequest, mut stream: S) -> Result<Answer<S>, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let key = generate_key();
    let asked = head(request, &key)?;
    let written = async {
        stream.write_all(&asked).await?;
        stream.flush().await
    };
    let written = written.await;
    // A server may refuse without reading all that it is sent: its answer says more than the broken pipe.
    let (head, rest) = match (written, final_answer(&mut stream).await) {
        (Err(error), Err(NoAnswer::Head(_))) => return Err(failure::of_exchange(&error)),
        (Ok(()), Err(NoAnswer::Head(fault))) => return Err(failure::of_head(&fault)),
        (_, Err(NoAnswer::Invalid(failure))) => return Err(failure),
        (_, Ok(answer)) => answer,
    };
    judge(request, &key, &head).map(|verdict| match verdict {
        Verdict::Upgraded(subprotocol) => Answer::Upgraded(Prefixed::new(rest, stream), subprotocol),
        Verdict::Redirect(location) => Answer::Redirect(location),
    })
}

/// Status and headers of an answer.
type Head = (u16, HeaderMap);

/// Why there is no answer that counts.
enum NoAnswer {
    Head(HeadFault),
    Invalid(Failure),
}

/// The first answer that is not an interim one (RFC 9110 §15.2), and what came behind it. 101 is final: nothing of HTTP
/// follows.
async fn final_answer<S: AsyncRead + Unpin>(stream: &mut S) -> Result<(Head, Bytes), NoAnswer> {
    let mut rest = Bytes::new();
    for _ in 0..=MAX_INTERIM {
        // What came behind the last is less than one read, so that the next takes all of it.
        let read = read_head(Prefixed::new(rest, &mut *stream), MAX_HEAD).await;
        let (head, behind) = read.map_err(NoAnswer::Head)?;
        rest = behind.into_parts().0;
        let head = parse(&head).map_err(NoAnswer::Invalid)?;
        if head.0 == 101 || !(100..200).contains(&head.0) {
            return Ok((head, rest));
        }
    }
    let detail = format!("it was announced more than {MAX_INTERIM} times, and did not come");
    Err(NoAnswer::Invalid(Failure::Upgrade { detail }))
}

/// The request's head as it goes out.
fn head(request: &ConnectRequest, key: &str) -> Result<Vec<u8>, Failure> {
    let headers = request.headers();
    if let Some(name) = RESERVED.iter().find(|name| headers.contains_key(*name)) {
        let detail =
            format!("it could not be asked for: the header {name} is the transport's own, remove it");
        return Err(Failure::Upgrade { detail });
    }
    let uri = request.uri();
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    // `ws://host?query` asks for `/?query`.
    let slash = if path.starts_with('/') { "" } else { "/" };
    let mut head = format!(
        "GET {slash}{path} HTTP/1.1\r\nHost: {authority}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
    )
    .into_bytes();
    let offered = offered(headers);
    if !offered.is_empty() {
        // One header, whatever the application gave: not every server reads several.
        put(&mut head, &SEC_WEBSOCKET_PROTOCOL, &offered.join(&b", "[..]));
    }
    for (name, value) in headers.iter().filter(|(name, _)| *name != SEC_WEBSOCKET_PROTOCOL) {
        put(&mut head, name, value.as_bytes());
    }
    head.extend_from_slice(b"\r\n");
    Ok(head)
}

/// Names in the usual case of letters: some servers take them for case-sensitive.
fn put(head: &mut Vec<u8>, name: &HeaderName, value: &[u8]) {
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

fn offered(headers: &HeaderMap) -> Vec<&[u8]> {
    headers
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|name| !name.is_empty())
        .collect()
}

enum Verdict {
    Upgraded(Option<String>),
    Redirect(HeaderValue),
}

fn judge(request: &ConnectRequest, key: &str, (status, headers): &Head) -> Result<Verdict, Failure> {
    let status = *status;
    if status != 101 {
        if let (true, Some(location)) = (redirect::is_redirect(status), headers.get(LOCATION)) {
            return Ok(Verdict::Redirect(location.clone()));
        }
        return Err(Failure::rejected(status, retry_after(headers, SystemTime::now())));
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
    subprotocol(&offered(request.headers()), headers).map(Verdict::Upgraded)
}

/// The one that the server chose, if any was offered. Without a choice there is nothing to speak (as browsers have it).
fn subprotocol(offered: &[&[u8]], headers: &HeaderMap) -> Result<Option<String>, Failure> {
    let mut chosen = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().map(HeaderValue::as_bytes);
    match (chosen.next(), chosen.next()) {
        (None, _) if offered.is_empty() => Ok(None),
        (None, _) => {
            Err(invalid("the server knows none of the offered subprotocols (Sec-WebSocket-Protocol)"))
        }
        (Some(one), None) if offered.contains(&one) => Ok(Some(String::from_utf8_lossy(one).into_owned())),
        (Some(_), _) => {
            Err(invalid("the server chose a subprotocol that was not offered (Sec-WebSocket-Protocol)"))
        }
    }
}

/// Status and headers of a whole head.
fn parse(head: &[u8]) -> Result<Head, Failure> {
    let mut lines = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut answer = httparse::Response::new(&mut lines);
    match answer.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err(invalid("its head breaks off")),
        // The parser's words: which part of the head, and nothing of what is in it.
        Err(error) => return Err(invalid(&format!("its head is not HTTP: {error}"))),
    }
    if answer.version != Some(1) {
        return Err(invalid("it is HTTP/1.0, which cannot upgrade"));
    }
    let mut headers = HeaderMap::with_capacity(answer.headers.len());
    for line in answer.headers.iter() {
        let name = HeaderName::from_bytes(line.name.as_bytes());
        let value = HeaderValue::from_bytes(line.value);
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(invalid("a header in it is not valid HTTP"));
        };
        headers.append(name, value);
    }
    Ok((answer.code.unwrap_or_default(), headers))
}

/// Whether a header that is a list holds `token`, in any case of letters (RFC 9110 §5.6.1).
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    values
        .flat_map(|value| value.split(|byte| *byte == b','))
        .any(|found| found.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

fn invalid(detail: &str) -> Failure {
    Failure::Upgrade { detail: detail.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(url: &str) -> ConnectRequest {
        ConnectRequest::new(url).unwrap()
    }

    fn sent(request: &ConnectRequest) -> String {
        String::from_utf8(head(request, "KEY").unwrap()).unwrap()
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
    fn the_headers_of_the_handshake_cannot_be_given() {
        for name in RESERVED {
            let request =
                request("ws://feed.test").with_header(name.clone(), HeaderValue::from_static("hunter2"));
            let failure = head(&request, "KEY").unwrap_err();
            assert_eq!(failure.kind(), "upgrade");
            assert!(failure.to_string().contains(name.as_str()), "{failure}");
            assert!(!failure.to_string().contains("hunter2"), "{failure}");
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
    fn judged(offered: &str, edit: impl Fn(String) -> String) -> Result<Option<String>, Failure> {
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
        match judge(&request, "KEY", &parse(edit(answer).as_bytes())?)? {
            Verdict::Upgraded(subprotocol) => Ok(subprotocol),
            Verdict::Redirect(_) => panic!("no redirect was sent"),
        }
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
            assert_eq!(judged("", edit), Ok(None), "{}", edit("x".to_owned()));
        }
    }

    #[test]
    fn the_choice_of_a_subprotocol() {
        let choosing = |chosen: &'static str| {
            move |answer: String| {
                answer.replace("\r\n\r\n", &format!("\r\nSec-WebSocket-Protocol: {chosen}\r\n\r\n"))
            }
        };
        assert_eq!(judged("v2, v1", choosing("v1")), Ok(Some("v1".to_owned())));
        assert_eq!(judged("v1", choosing("v2")).unwrap_err().kind(), "upgrade");
        assert_eq!(judged("v2, v1", choosing("v2, v1")).unwrap_err().kind(), "upgrade");
        assert_eq!(judged("", choosing("v1")).unwrap_err().kind(), "upgrade");
        assert_eq!(judged("v1", |answer| answer).unwrap_err().kind(), "upgrade");
    }

    #[test]
    fn more_headers_than_anyone_needs() {
        let lines = |count: usize| "X: y\r\n".repeat(count);
        let with = |count: usize| {
            move |answer: String| answer.replace("Upgrade: w", &format!("{}Upgrade: w", lines(count)))
        };
        assert_eq!(judged("", with(MAX_HEADERS - 3)), Ok(None));
        assert_eq!(judged("", with(MAX_HEADERS - 2)).unwrap_err().kind(), "upgrade");
    }
}
