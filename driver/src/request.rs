//! Where to connect, and with which headers: parsed once, valid from then on.

use std::fmt;
use std::str::FromStr;

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

/// Whether a connection is plain or under TLS (RFC 6455 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `ws`, TCP, port 80 by default.
    Ws,
    /// `wss`, TLS, port 443 by default.
    Wss,
}

impl Scheme {
    /// As it stands in a URL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }

    /// The port a URL without one means.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }
}

/// One attempt's target: a `ws` or `wss` URL with a host, and the headers of the upgrade.
#[derive(Clone)]
pub struct ConnectRequest {
    scheme: Scheme,
    uri: Uri,
    host: String,
    headers: HeaderMap,
}

impl ConnectRequest {
    /// Parses `url`.
    ///
    /// # Errors
    /// If it is not a URL, has another scheme than `ws` or `wss`, no host, or user information (RFC 3986 §3.2.1:
    /// credentials go into a header).
    pub fn new(url: impl TryInto<Uri>) -> Result<Self, UrlError> {
        let uri = url.try_into().map_err(|_| UrlError::Syntax)?;
        let scheme = match uri.scheme_str() {
            // In any case of letters (RFC 3986 §3.1).
            Some(scheme) if scheme.eq_ignore_ascii_case("ws") => Scheme::Ws,
            Some(scheme) if scheme.eq_ignore_ascii_case("wss") => Scheme::Wss,
            Some(other) => return Err(UrlError::Scheme { found: other.to_owned() }),
            None => return Err(UrlError::NoScheme),
        };
        let authority = uri.authority().ok_or(UrlError::NoHost)?;
        if authority.as_str().contains('@') {
            return Err(UrlError::UserInfo);
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(UrlError::NoHost);
        }
        if has_bad_port(&uri) {
            return Err(UrlError::Port);
        }
        Ok(Self { scheme, uri, host, headers: HeaderMap::new() })
    }

    /// Replaces path and query, as the reference's `:path` option does.
    ///
    /// # Errors
    /// If `path` does not start with `/` or is not a valid path and query.
    pub fn with_path(mut self, path: &str) -> Result<Self, UrlError> {
        if !path.starts_with('/') {
            return Err(UrlError::Path);
        }
        let path = PathAndQuery::from_str(path).map_err(|_| UrlError::Path)?;
        let mut parts = self.uri.into_parts();
        parts.path_and_query = Some(path);
        self.uri = Uri::from_parts(parts).map_err(|_| UrlError::Path)?;
        Ok(self)
    }

    /// Adds a header to the upgrade; a name may come more than once. The headers of the handshake itself
    /// (`Host`, `Connection`, `Upgrade`, `Sec-WebSocket-Key`, `Sec-WebSocket-Version`) are the transport's.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
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

    /// The headers to send with the upgrade.
    #[must_use]
    pub const fn headers(&self) -> &HeaderMap {
        &self.headers
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

/// `http` takes a port that is out of range for no port at all.
fn has_bad_port(uri: &Uri) -> bool {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let after_host = authority.rsplit_once(']').map_or(authority, |(_, rest)| rest);
    after_host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().map_or(true, |port| port == 0))
}

/// Why a URL cannot be connected to. It never repeats the URL, which may hold secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UrlError {
    /// It does not parse.
    Syntax,
    /// It has no scheme.
    NoScheme,
    /// Its scheme is neither `ws` nor `wss`.
    Scheme {
        /// The one it has.
        found: String,
    },
    /// It has no host.
    NoHost,
    /// It has a user name or password before the host.
    UserInfo,
    /// Its port is not between 1 and 65535.
    Port,
    /// The path given apart is not one.
    Path,
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax => f.write_str("not a valid URL: expected something like wss://host:port/path"),
            Self::NoScheme => f.write_str("the URL has no scheme: start it with ws:// or wss://"),
            Self::Scheme { found } => {
                write!(f, "the URL's scheme is {found:?}: a WebSocket URL starts with ws:// or wss://")
            }
            Self::NoHost => f.write_str("the URL has no host"),
            Self::UserInfo => {
                f.write_str("the URL has a user name or password in it: send an Authorization header instead")
            }
            Self::Port => f.write_str("the URL's port is not a number from 1 to 65535"),
            Self::Path => f.write_str("the path is not valid: it starts with / and holds no spaces"),
        }
    }
}

impl std::error::Error for UrlError {}
