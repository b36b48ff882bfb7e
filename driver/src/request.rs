//! The URL and the headers of an attempt. A URL is checked when it is set, headers when the request is used (C4).

use std::fmt;
use std::str::FromStr;

use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use tidegate_core::{ConnectFailure, Failure};

use crate::url::{self, Scheme, UrlError};

/// Headers that the handshake sets, that only a server sends, or that announce a body.
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

/// The target of an attempt: a `ws` or `wss` URL, and the headers of the upgrade.
#[derive(Clone)]
pub struct ConnectRequest {
    scheme: Scheme,
    uri: Uri,
    host: String,
    /// The `Host` header, if it differs from the URL's authority.
    host_header: Option<String>,
    headers: HeaderMap,
}

impl ConnectRequest {
    /// Parses `url`.
    ///
    /// Characters beyond ASCII are encoded: the host by IDNA (UTS 46), path and query in percent-encoding. Text that is
    /// already percent-encoded stays unchanged. A fragment is removed.
    ///
    /// # Errors
    /// Returns an error if `url` is not a valid URL, has another scheme than `ws` or `wss`, has no host, or has user
    /// information (RFC 3986 §3.2.1). Send credentials in a header.
    pub fn new(url: impl AsRef<str>) -> Result<Self, UrlError> {
        let (scheme, uri) = url::parse(url.as_ref())?;
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        Ok(Self { scheme, uri, host, host_header: None, headers: HeaderMap::new() })
    }

    /// Replaces the path and query. They are encoded like those of the URL.
    ///
    /// # Errors
    /// Returns an error if `path` does not start with `/`, or has a character that is not allowed there.
    pub fn with_path(mut self, path: &str) -> Result<Self, UrlError> {
        let mut parts = self.uri.into_parts();
        parts.path_and_query = Some(url::parse_path(path)?);
        self.uri = Uri::from_parts(parts).map_err(|_| UrlError::TooLong)?;
        Ok(self)
    }

    /// Sets the `Host` header, for a server that is reached by another name than the URL's.
    ///
    /// TLS still requires a certificate for the URL's host. A redirect to another origin uses that origin's `Host`.
    ///
    /// # Errors
    /// Returns an error if `host` is not a host name or address, with an optional port.
    pub fn with_host(mut self, host: &str) -> Result<Self, UrlError> {
        let (host, port) = url::parse_authority(host, 0)?;
        self.host_header = Some(host + port);
        Ok(self)
    }

    /// Adds a header. A name may be given more than once.
    ///
    /// # Failures
    /// These headers fail the request when it is sent, with a [`RequestError`]:
    ///
    /// - those of the handshake itself: `Host`, `Connection`, `Upgrade`, and `Sec-WebSocket-Key`, `-Version`, `-Accept`
    ///   and `-Extensions`;
    /// - those of a body: `Content-Length` and `Transfer-Encoding`;
    /// - a `Sec-WebSocket-Protocol` that is not a list of different tokens (RFC 6455 §4.1).
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// Checks whether the request can be sent.
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

    /// Returns the subprotocols offered in `Sec-WebSocket-Protocol`, in the order of preference.
    pub(crate) fn subprotocols(&self) -> impl Iterator<Item = &[u8]> {
        let values = self.headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
        values.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
    }

    /// Returns the URL's scheme.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Returns the whole URL. Its query may contain secrets, so show [`Self::redacted`] instead.
    #[must_use]
    pub const fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Returns the host name or address, an IPv6 address without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port, or the scheme's default port if the URL has none.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.uri.port_u16().unwrap_or(self.scheme.default_port())
    }

    /// Returns the `Host` header: the URL's host and port, or the value of [`with_host`](Self::with_host).
    #[must_use]
    pub fn host_header(&self) -> &str {
        let url = || self.uri.authority().map_or("", |authority| authority.as_str());
        self.host_header.as_deref().unwrap_or_else(url)
    }

    /// Returns this request with the headers of `other`, for a redirect within one origin.
    #[cfg(feature = "net")]
    pub(crate) fn with_headers_of(self, other: &Self) -> Self {
        Self { host_header: other.host_header.clone(), headers: other.headers.clone(), ..self }
    }

    /// Returns the headers of the upgrade.
    #[must_use]
    pub const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Returns the headers as they are sent: with all subprotocols in one header, since some servers read only one.
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

    /// Returns scheme, host, port and path, which may be shown.
    #[must_use]
    pub fn redacted(&self) -> String {
        let authority = self.uri.authority().map_or("", |authority| authority.as_str());
        format!("{}://{}{}", self.scheme.as_str(), authority, self.uri.path())
    }
}

/// Shows scheme, host, port, path, and the names of the headers. Their values and the query may be secrets.
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

/// Returns whether `text` is a token (RFC 9110 §5.6.2).
pub(crate) fn is_token(text: &[u8]) -> bool {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(is_token)
}

/// Why a request cannot be sent. It contains no header value, which may be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// The request has a header that the handshake sets or does not allow.
    Reserved {
        /// The header.
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
