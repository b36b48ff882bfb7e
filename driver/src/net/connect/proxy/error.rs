//! Errors of a proxy's URL, credentials and exceptions.

use std::fmt;

/// Why the settings of a proxy are not valid. The error does not contain the URL, which may have a password.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyError {
    /// The scheme is none of `http`, `socks5` and `socks5h`.
    Scheme,
    /// TLS to the proxy itself is not supported.
    Https,
    /// The host is missing, or is neither a name nor an address.
    Host,
    /// The port is not between 1 and 65535.
    Port,
    /// Something follows the port.
    Path,
    /// The user name or the password is not percent-encoded UTF-8.
    Encoding,
    /// Basic authentication cannot carry the user name or the password.
    BasicCredentials,
    /// SOCKS5 cannot carry the user name or the password.
    SocksCredentials,
    /// An entry of `no_proxy` is not valid.
    Exception,
    /// The value of an environment variable is not valid.
    Variable {
        /// The variable's name.
        name: &'static str,
        /// The error of its value.
        problem: Box<Self>,
    },
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "the proxy's scheme is not known: use http://, socks5:// or socks5h://",
            Self::Https => {
                "TLS to the proxy itself is not supported: use http://, wss is encrypted from end to end through it"
            }
            Self::Host => {
                "the proxy's host is neither a name nor an address: expected http://host:port, with brackets around \
                 an IPv6 address"
            }
            Self::Port => "the proxy's port is not a number from 1 to 65535",
            Self::Path => {
                "something follows the proxy's port: end the URL there, and percent-encode /, ? and # in a password"
            }
            Self::Encoding => "percent-encode the proxy's user name and password, as UTF-8",
            Self::BasicCredentials => {
                "an HTTP proxy's user name holds no colon, and neither it nor the password a control character"
            }
            Self::SocksCredentials => {
                "a SOCKS5 proxy takes a user name and a password of 1 to 255 bytes each: give both or neither"
            }
            Self::Exception => {
                "an entry is not valid: expected host, host:port, an address, or a network such as 10.0.0.0/8"
            }
            Self::Variable { name, problem } => return write!(f, "environment variable {name}: {problem}"),
        })
    }
}

impl std::error::Error for ProxyError {}
