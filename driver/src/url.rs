//! Parses URLs, and encodes them as they are sent, in ASCII (RFC 3986 §2, RFC 9112 §3.2).

use std::fmt;
use std::net::Ipv6Addr;

use http::Uri;
use http::uri::PathAndQuery;
use idna::AsciiDenyList;
use percent_encoding::{CONTROLS, utf8_percent_encode};
use tidegate_core::escape::{Escaped, is_unsafe};

/// The scheme of a URL, plain or over TLS (RFC 6455 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `ws`: plain TCP, port 80 by default.
    Ws,
    /// `wss`: TLS, port 443 by default.
    Wss,
}

impl Scheme {
    /// Returns the scheme as in a URL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }

    /// Returns the default port.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }
}

/// Parses a URL, and encodes what is not ASCII: the host by IDNA (UTS 46), path and query in percent-encoding. What is
/// already encoded stays byte for byte.
pub(crate) fn parse(text: &str) -> Result<(Scheme, Uri), UrlError> {
    if text.is_empty() {
        return Err(UrlError::Empty);
    }
    refuse(text, 0, |character| character == ' ' || is_unsafe(character))?;
    let (scheme, rest) = text.split_once("://").ok_or(UrlError::NoScheme)?;
    let scheme = match scheme {
        // The case of letters does not matter (RFC 3986 §3.1).
        _ if scheme.eq_ignore_ascii_case("ws") => Scheme::Ws,
        _ if scheme.eq_ignore_ascii_case("wss") => Scheme::Wss,
        other if is_scheme(other) => return Err(UrlError::Scheme { found: other.to_owned() }),
        // The `://` belongs to something else, such as a URL in the query.
        _ => return Err(UrlError::NoScheme),
    };
    let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let at = text.len() - rest.len();
    let (host, port) = parse_authority(authority, at)?;
    let tail = encode(tail, at + authority.len())?;
    // `ws://host?query` means `ws://host/?query`.
    let slash = if tail.starts_with('/') { "" } else { "/" };
    // Everything has been checked but the length.
    let uri = Uri::try_from(format!("{}://{host}{port}{slash}{tail}", scheme.as_str()));
    uri.map(|uri| (scheme, uri)).map_err(|_| UrlError::TooLong)
}

/// Returns whether `text` is a scheme (RFC 3986 §3.1).
fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// Parses a path with its query, like those of a URL in [`parse`].
pub(crate) fn parse_path(text: &str) -> Result<PathAndQuery, UrlError> {
    if !text.starts_with('/') {
        return Err(UrlError::Path);
    }
    PathAndQuery::try_from(encode(text, 0)?).map_err(|_| UrlError::TooLong)
}

/// Parses `host` or `host:port`, as [`parse`] does. `at` is its offset in the URL. Returns the host in ASCII, an IPv6
/// address with its brackets, and the port with its colon, or an empty string.
pub(crate) fn parse_authority(text: &str, at: usize) -> Result<(String, &str), UrlError> {
    if text.contains('@') {
        return Err(UrlError::UserInfo);
    }
    let behind_address = text.rfind(']').map_or(0, |end| end + 1);
    let colon = text[behind_address..].rfind(':').map_or(text.len(), |colon| behind_address + colon);
    let (host, port) = text.split_at(colon);
    let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        _ if host.is_empty() => return Err(UrlError::NoHost),
        Some(address) => address.parse::<Ipv6Addr>().map(|_| host.to_owned()).map_err(|_| UrlError::Host)?,
        None if host.contains(':') => return Err(UrlError::Host),
        None if host.is_ascii() => {
            let allowed =
                |character: char| character.is_ascii_alphanumeric() || "-._~!$&'()*+,;=".contains(character);
            refuse(host, at, |character| !allowed(character))?;
            host.to_owned()
        }
        None => {
            let ascii = idna::domain_to_ascii_cow(host.as_bytes(), AsciiDenyList::URL);
            ascii.map_err(|_| UrlError::Host)?.into_owned()
        }
    };
    match port.strip_prefix(':') {
        None => Ok((host, port)),
        // `parse` alone would accept "+80".
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => match digits.parse() {
            Ok(1_u16..) => Ok((host, port)),
            Ok(0) | Err(_) => Err(UrlError::Port),
        },
        Some(_) => Err(UrlError::Port),
    }
}

/// Returns path and query in ASCII. `at` is their offset in the URL.
fn encode(text: &str, at: usize) -> Result<String, UrlError> {
    let text = text.split_once('#').map_or(text, |(text, _)| text);
    let query = text.find('?').unwrap_or(text.len());
    let (path, query) = text.split_at(query);
    refuse(path, at, |character| !is_taken(&format!("/{character}"), character))?;
    refuse(query, at + path.len(), |character| !is_taken(&format!("/?{character}"), character))?;
    Ok(utf8_percent_encode(text, CONTROLS).to_string())
}

/// Returns whether the character may be at the end of `sample`. Safe characters beyond ASCII may, since they are
/// encoded.
fn is_taken(sample: &str, character: char) -> bool {
    !is_unsafe(character) && (!character.is_ascii() || PathAndQuery::try_from(sample).is_ok())
}

/// Returns an error that names the first character for which `is_refused` returns `true`.
fn refuse(text: &str, at: usize, is_refused: impl Fn(char) -> bool) -> Result<(), UrlError> {
    match text.char_indices().find(|&(_, character)| is_refused(character)) {
        Some((offset, found)) => Err(UrlError::Character { found, offset: at + offset }),
        None => Ok(()),
    }
}

/// Why a URL is not valid. It does not contain the URL, which may have secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UrlError {
    /// The text is empty.
    Empty,
    /// The text has a character that is not allowed there, such as the line feed at the end of a file.
    Character {
        /// The character.
        found: char,
        /// Its offset in the text, in bytes.
        offset: usize,
    },
    /// The URL has no scheme.
    NoScheme,
    /// The scheme is neither `ws` nor `wss`.
    Scheme {
        /// The scheme.
        found: String,
    },
    /// The URL has no host.
    NoHost,
    /// The host is neither a name, internationalized or not (UTS 46), nor an address.
    Host,
    /// The URL has a user name or password before the host.
    UserInfo,
    /// The port is not between 1 and 65535.
    Port,
    /// The path that was set separately does not start with `/`.
    Path,
    /// The URL is longer than 65,534 bytes.
    TooLong,
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the URL is empty: expected something like wss://host:port/path"),
            Self::Character { found, offset } => {
                let found = found.to_string();
                let found = Escaped::new(&found);
                write!(f, "the character '{found}' at offset {offset} is not allowed in a URL: remove or percent-encode it")
            }
            Self::NoScheme => f.write_str("the URL has no scheme: start it with ws:// or wss://"),
            Self::Scheme { found } => {
                let found = Escaped::new(found).at_most(20);
                write!(f, "the URL's scheme is \"{found}\": a WebSocket URL starts with ws:// or wss://")
            }
            Self::NoHost => f.write_str("the URL has no host: expected something like wss://host:port/path"),
            Self::Host => f.write_str(
                "the URL's host is not a valid name or address; write an IPv6 address in brackets, without a zone, as in ws://[::1]/",
            ),
            Self::UserInfo => {
                f.write_str("the URL has a user name or password in it: send an Authorization header instead")
            }
            Self::Port => f.write_str("the URL's port is not a number from 1 to 65535"),
            Self::Path => f.write_str("the path does not start with /"),
            Self::TooLong => f.write_str("the URL is longer than 65,534 bytes"),
        }
    }
}

impl std::error::Error for UrlError {}
