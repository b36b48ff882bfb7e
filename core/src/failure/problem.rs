//! What kept TLS or a proxy from working: which of them a retry can mend is decided by it (R6).

/// Why TLS failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsProblem {
    /// Nobody who is trusted has signed the server's certificate. Fatal by default.
    UnknownIssuer,
    /// The certificate is for another host. Fatal by default.
    WrongHost,
    /// The certificate is no longer valid, or not yet.
    Expired,
    /// The two sides have no version, cipher suite or application protocol in common, or the server speaks no TLS at all.
    NoCommonProtocol,
    /// The server refused the client's certificate, or wants one and got none.
    ClientCertificate,
    /// Anything else.
    Other,
}

impl TlsProblem {
    /// A short, stable name in `snake_case`.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::UnknownIssuer => "tls_unknown_issuer",
            Self::WrongHost => "tls_wrong_host",
            Self::Expired => "tls_expired",
            Self::NoCommonProtocol => "tls_no_common_protocol",
            Self::ClientCertificate => "tls_client_certificate",
            Self::Other => "tls",
        }
    }

    /// Servers renew certificates and are reconfigured while a feed waits; whom to trust is settled on this side.
    pub(crate) const fn is_fatal(self) -> bool {
        match self {
            Self::UnknownIssuer | Self::WrongHost => true,
            Self::Expired | Self::NoCommonProtocol | Self::ClientCertificate | Self::Other => false,
        }
    }
}

/// Why there was no way through a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyProblem {
    /// What the environment says of proxies cannot be used. Fatal by default.
    Misconfigured,
    /// The proxy itself could not be reached.
    Unreachable,
    /// It wants credentials, or others than it was given (HTTP 407; RFC 1929). Fatal by default.
    Credentials,
    /// Its rules forbid the host (HTTP 4xx; RFC 1928 §6, reply 2). Fatal by default.
    Forbidden,
    /// It could not reach the host, or what it answered is not its protocol.
    Failed,
}

impl ProxyProblem {
    /// A short, stable name in `snake_case`.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Misconfigured => "proxy_misconfigured",
            Self::Unreachable => "proxy_unreachable",
            Self::Credentials => "proxy_credentials",
            Self::Forbidden => "proxy_forbidden",
            Self::Failed => "proxy",
        }
    }

    pub(crate) const fn is_fatal(self) -> bool {
        match self {
            Self::Misconfigured | Self::Credentials | Self::Forbidden => true,
            Self::Unreachable | Self::Failed => false,
        }
    }
}
