//! The HTTP upgrade (RFC 6455 §4.1), from a socket to one that speaks frames.

use async_tungstenite::tokio::client_async_with_config;
use async_tungstenite::tungstenite::handshake::client::{Request, generate_key};
use async_tungstenite::tungstenite::protocol::WebSocketConfig;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use tidegate_driver::ConnectRequest;
use tidegate_driver::core::Failure;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::failure;
use crate::head::{HeadLimited, Prefixed};

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

/// Asks for the upgrade over `stream`, and gives the stream back at the first byte behind the answer.
pub(crate) async fn upgrade<S>(request: &ConnectRequest, stream: S) -> Result<Prefixed<S>, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let request = http_request(request)?;
    // What tungstenite makes of the socket is taken apart again at once: no buffer for it.
    let config = WebSocketConfig::default().read_buffer_size(0);
    let (upgraded, response) = client_async_with_config(request, HeadLimited::new(stream), Some(config))
        .await
        .map_err(failure::of_upgrade)?;
    refuse_extensions(response.headers())?;
    Ok(upgraded.into_inner().into_inner().into_rest())
}

/// The request as tungstenite wants it: complete, with a fresh key.
fn http_request(request: &ConnectRequest) -> Result<Request, Failure> {
    let mut headers = request.headers().clone();
    if let Some(name) = RESERVED.iter().find(|name| headers.contains_key(*name)) {
        let detail =
            format!("it could not be asked for: the header {name} is the transport's own, remove it");
        return Err(Failure::Upgrade { detail });
    }
    join_subprotocols(&mut headers)?;
    headers.insert(HOST, host(request.uri())?);
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    let key = HeaderValue::try_from(generate_key()).map_err(|_| unusable("key"))?;
    headers.insert(SEC_WEBSOCKET_KEY, key);

    let mut http = Request::new(());
    *http.uri_mut() = rooted(request.uri().clone())?;
    *http.headers_mut() = headers;
    Ok(http)
}

fn host(uri: &Uri) -> Result<HeaderValue, Failure> {
    let authority = uri.authority().ok_or_else(|| unusable("host"))?;
    HeaderValue::try_from(authority.as_str()).map_err(|_| unusable("host"))
}

/// `ws://host?query` asks for `/?query`; tungstenite would leave the slash out.
fn rooted(uri: Uri) -> Result<Uri, Failure> {
    let mut parts = uri.into_parts();
    if let Some(path) = parts.path_and_query.take_if(|path| !path.as_str().starts_with('/')) {
        let path = PathAndQuery::try_from(format!("/{}", path.as_str())).map_err(|_| unusable("path"))?;
        parts.path_and_query = Some(path);
    }
    Uri::from_parts(parts).map_err(|_| unusable("path"))
}

/// Makes one header of several: tungstenite compares the server's choice with the first alone.
fn join_subprotocols(headers: &mut HeaderMap) -> Result<(), Failure> {
    let offered: Vec<_> = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().map(HeaderValue::as_bytes).collect();
    if offered.len() > 1 {
        let joined =
            HeaderValue::from_bytes(&offered.join(&b", "[..])).map_err(|_| unusable("subprotocol"))?;
        headers.insert(SEC_WEBSOCKET_PROTOCOL, joined);
    }
    Ok(())
}

fn unusable(part: &str) -> Failure {
    Failure::Upgrade { detail: format!("it could not be asked for: the {part} cannot be sent") }
}

/// RFC 6455 §4.1, point 5: nothing was offered, so nothing may be chosen. Tungstenite does not look.
fn refuse_extensions(headers: &HeaderMap) -> Result<(), Failure> {
    if headers.get_all(SEC_WEBSOCKET_EXTENSIONS).iter().all(HeaderValue::is_empty) {
        return Ok(());
    }
    let detail = "the server uses an extension that was not offered (Sec-WebSocket-Extensions)";
    Err(Failure::Upgrade { detail: detail.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(url: &str) -> ConnectRequest {
        ConnectRequest::new(url).unwrap()
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
            let http = http_request(&request(url)).unwrap();
            assert_eq!(http.uri().path_and_query().unwrap().as_str(), path, "{url}");
            assert_eq!(http.headers()[HOST], host, "{url}");
        }
    }

    #[test]
    fn the_headers_of_the_handshake_cannot_be_given() {
        for name in RESERVED {
            let request =
                request("ws://feed.test").with_header(name.clone(), HeaderValue::from_static("hunter2"));
            let failure = http_request(&request).unwrap_err();
            assert_eq!(failure.kind(), "upgrade");
            assert!(failure.to_string().contains(name.as_str()), "{failure}");
            assert!(!failure.to_string().contains("hunter2"), "{failure}");
        }
    }

    #[test]
    fn subprotocols_go_out_as_one_header() {
        let request = request("ws://feed.test")
            .with_header(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("v2"))
            .with_header(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("v1"));
        let http = http_request(&request).unwrap();
        let sent: Vec<_> = http.headers().get_all(SEC_WEBSOCKET_PROTOCOL).iter().collect();
        assert_eq!(sent, ["v2, v1"]);
    }

    #[test]
    fn every_request_has_a_key_of_its_own() {
        let key = || http_request(&request("ws://feed.test")).unwrap().headers()[SEC_WEBSOCKET_KEY].clone();
        assert_ne!(key(), key());
    }
}
