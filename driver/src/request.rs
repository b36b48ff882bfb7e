//! Where to connect, and with which headers: parsed once, valid from then on.

use std::fmt;
use std::str::FromStr;

use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use tidegate_core::{ConnectFailure, Failure};

use crate::url::{self, Scheme, UrlError};

/// Headers that the handshake itself sends, that only a server sends, and that would announce a body.
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

/// One attempt's target: a `ws` or `wss` URL with a host, and the headers of the upgrade.
#[derive(Clone)]
pub struct ConnectRequest {
    scheme: Scheme,
    uri: Uri,
    host: String,
    /// What `Host` says in place of the URL's authority.
    host_header: Option<String>,
    headers: HeaderMap,
}

impl ConnectRequest {
    /// Parses `url`. Characters beyond ASCII are allowed: the host is encoded by IDNA (UTS 46), path and query are
    /// percent-encoded. Text that is percent-encoded already stays unchanged. A fragment is removed.
    ///
    /// # Errors
    /// If it is not a URL, has another scheme than `ws` or `wss`, no host, or user information (RFC 3986 §3.2.1:
    /// credentials go into a header).
    pub fn new(url: impl AsRef<str>) -> Result<Self, UrlError> {
        let (scheme, uri) = url::parse(url.as_ref())?;
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        Ok(Self { scheme, uri, host, host_header: None, headers: HeaderMap::new() })
    }

    /// Replaces path and query, as the reference's `:path` option does. They are encoded as those of the URL.
    ///
    /// # Errors
    /// If `path` does not start with `/`, or holds a character that has no place there.
    pub fn with_path(mut self, path: &str) -> Result<Self, UrlError> {
        let mut parts = self.uri.into_parts();
        parts.path_and_query = Some(url::parse_path(path)?);
        self.uri = Uri::from_parts(parts).map_err(|_| UrlError::TooLong)?;
        Ok(self)
    }

    /// Sends another `Host` header than the URL's host and port, for a server that is reached by another name. TLS still asks
    /// for a certificate of the URL's host, and a redirect to another origin has that origin's `Host`.
    ///
    /// # Errors
    /// If `host` is not a host name or address, with or without a port.
    pub fn with_host(mut self, host: &str) -> Result<Self, UrlError> {
        let (host, port) = url::parse_authority(host, 0)?;
        self.host_header = Some(host + port);
        Ok(self)
    }

    /// Adds a header. A name may be given more than once.
    ///
    /// Sending the request fails with a [`RequestError`] if it has one of these: the headers of the handshake itself (`Host`, `Connection`, `Upgrade` and all `Sec-WebSocket-` but `Sec-WebSocket-Protocol`),
    /// `Content-Length`, `Transfer-Encoding`; or a `Sec-WebSocket-Protocol` that is not a list of tokens, each of them once
    /// (RFC 6455 §4.1).
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// Whether it can be sent.
    pub(crate) fn check(&self) -> Result<(), RequestError> {
        if let Some(name) = RESERVED.iter().find(|name| self.headers.contains_key(*name)) {
            return Err(RequestError::Reserved { name: name.clone() });
        }
        let mut offered: Vec<_> = self.subprotocols().collect();
        let count = offered.len();
        offered.sort_unstable();
        offered.dedup();
        if offered.len() < count || !offered.iter().all(|name| is_token(name)) {
            return Err(RequestError::Subprotocol);
        }
        Ok(())
    }

    /// What is offered in `Sec-WebSocket-Protocol`, in the order of preference.
    pub(crate) fn subprotocols(&self) -> impl Iterator<Item = &[u8]> {
        let values = self.headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
        values.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
    }

    /// Plain or TLS.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The whole URL. It may hold secrets in its query: show [`Self::redacted`] instead.
    #[must_use]
    pub const fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Host name or address, an IPv6 address without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, the scheme's own if the URL has none.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.uri.port_u16().unwrap_or(self.scheme.default_port())
    }

    /// What the `Host` header says: the URL's host and port, or what [`with_host`](Self::with_host) was given.
    #[must_use]
    pub fn host_header(&self) -> &str {
        let url = || self.uri.authority().map_or("", |authority| authority.as_str());
        self.host_header.as_deref().unwrap_or_else(url)
    }

    /// A request for another URL of the same origin, which takes all that was set along.
    #[cfg(feature = "net")]
    pub(crate) fn with_headers_of(self, other: &Self) -> Self {
        Self { host_header: other.host_header.clone(), headers: other.headers.clone(), ..self }
    }

    /// The headers to send with the upgrade.
    #[must_use]
    pub const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The same as they are sent: subprotocols are offered in one header, since not every server reads several.
    #[cfg(feature = "net")]
    pub(crate) fn sent_headers(&self) -> HeaderMap {
        let mut headers = self.headers.clone();
        let offered = self.subprotocols().collect::<Vec<_>>().join(&b", "[..]);
        if headers.contains_key(SEC_WEBSOCKET_PROTOCOL)
            && let Ok(offered) = HeaderValue::from_bytes(&offered)
        {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, offered);
        }
        headers
    }

    /// Scheme, host, port and path: what may be shown of it (T3).
    #[must_use]
    pub fn redacted(&self) -> String {
        let authority = self.uri.authority().map_or("", |authority| authority.as_str());
        format!("{}://{}{}", self.scheme.as_str(), authority, self.uri.path())
    }
}

/// Shows scheme, host, port, path, and the names of the headers; values and the query may be secrets.
impl fmt::Debug for ConnectRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectRequest")
            .field("url", &self.redacted())
            .field("headers", &self.headers.keys().map(HeaderName::as_str).collect::<Vec<_>>())
            .finish()
    }
}

impl FromStr for ConnectRequest {
    type Err = UrlError;

    fn from_str(url: &str) -> Result<Self, UrlError> {
        Self::new(url)
    }
}

/// RFC 9110 §5.6.2.
pub(crate) fn is_token(text: &[u8]) -> bool {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(is_token)
}

/// Why a request cannot be sent. It names no value, which may be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// It has a header that the handshake sets, or that has no place in it.
    Reserved {
        /// That header.
        name: HeaderName,
    },
    /// A subprotocol is not a token, or is offered twice (RFC 6455 §4.1).
    Subprotocol,
}

impl RequestError {
    pub(crate) fn into_failure(self) -> Failure {
        Failure::Connect(ConnectFailure::Request { detail: self.to_string() })
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reserved { name } if *name == HOST => {
                f.write_str("the header host cannot be added: set it with the option host")
            }
            Self::Reserved { name } => {
                write!(f, "the header {name} cannot be set: the handshake sends it itself or does not allow it; remove it")
            }
            Self::Subprotocol => f.write_str(
                "each subprotocol may be offered once, and may contain only letters, digits and !#$%&'*+-.^_`|~ (RFC 6455 §4.1)",
            ),
        }
    }
}

impl std::error::Error for RequestError {}
