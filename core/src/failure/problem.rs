//! What kept TLS or a proxy from working: which of them a retry can mend is decided by it (R6).

/// Why TLS failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsProblem {
    /// No trusted authority has signed the server's certificate. Fatal by default.
    UnknownIssuer,
    /// The certificate is for another host, or the server has none for this host. Fatal by default.
    WrongHost,
    /// The certificate is no longer valid, or not yet.
    Expired,
    /// The certificate is revoked, or its revocation status cannot be determined.
    Revoked,
    /// A signature does not verify: the authority has another key than the trusted certificate of that name, the server
    /// does not hold its certificate's key, or an RSA key has fewer than 2048 bits. Fatal by default.
    BadSignature,
    /// No server can use the certificate, whoever signed it: an authority's own, one that is not for servers, a malformed
    /// one, one signed with an unsupported algorithm. Fatal by default.
    BadCertificate,
    /// The server refused the client's certificate, or requires one and received none. Fatal by default.
    ClientCertificate,
    /// This machine has no certificates of authorities. Fatal by default.
    NoRoots,
    /// The TLS options or the host cannot be used. Fatal by default.
    Misconfigured,
    /// The port does not speak TLS, as that of a plain server, whose URL begins with `ws://`. Fatal by default.
    PlainServer,
    /// The two sides have no version, cipher suite or application protocol in common.
    NoCommonProtocol,
    /// One side broke the TLS protocol, or the server broke off the handshake.
    Protocol,
    /// Anything else.
    Other,
}

impl TlsProblem {
    /// All problems.
    pub const ALL: &'static [Self] = &[
        Self::UnknownIssuer,
        Self::WrongHost,
        Self::Expired,
        Self::Revoked,
        Self::BadSignature,
        Self::BadCertificate,
        Self::ClientCertificate,
        Self::NoRoots,
        Self::Misconfigured,
        Self::PlainServer,
        Self::NoCommonProtocol,
        Self::Protocol,
        Self::Other,
    ];

    /// A short, stable name in `snake_case`.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::UnknownIssuer => "tls_unknown_issuer",
            Self::WrongHost => "tls_wrong_host",
            Self::Expired => "tls_expired",
            Self::Revoked => "tls_revoked",
            Self::BadSignature => "tls_bad_signature",
            Self::BadCertificate => "tls_bad_certificate",
            Self::ClientCertificate => "tls_client_certificate",
            Self::NoRoots => "tls_no_roots",
            Self::Misconfigured => "tls_misconfigured",
            Self::PlainServer => "tls_plain_server",
            Self::NoCommonProtocol => "tls_no_common_protocol",
            Self::Protocol => "tls_protocol",
            Self::Other => "tls",
        }
    }

    /// Certificates are renewed and servers restarted without anybody's help. The rest is as it is until a person
    /// changes a certificate, a key, an option or the URL.
    pub(crate) const fn is_fatal(self) -> bool {
        match self {
            Self::UnknownIssuer
            | Self::WrongHost
            | Self::BadSignature
            | Self::BadCertificate
            | Self::ClientCertificate
            | Self::NoRoots
            | Self::Misconfigured
            | Self::PlainServer => true,
            Self::Expired | Self::Revoked | Self::NoCommonProtocol | Self::Protocol | Self::Other => false,
        }
    }
}

/// Why there was no way through a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
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
    /// All problems.
    pub const ALL: &'static [Self] =
        &[Self::Misconfigured, Self::Unreachable, Self::Credentials, Self::Forbidden, Self::Failed];

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
