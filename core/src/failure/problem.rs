//! Why TLS or a proxy failed, and whether a retry can help (R6).

/// Why TLS failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsProblem {
    /// No trusted authority has signed the server's certificate. Fatal by default.
    UnknownIssuer,
    /// The certificate is for another host, or the server has no certificate for this host. Fatal by default.
    WrongHost,
    /// The certificate has expired, or is not valid yet.
    Expired,
    /// The certificate is revoked, or its revocation status cannot be determined.
    Revoked,
    /// A signature is wrong: the trusted certificate of that name has another key, the server does not have its
    /// certificate's key, or an RSA key has fewer than 2048 bits. Fatal by default.
    BadSignature,
    /// The certificate cannot be used for a server: it is an authority's own, has another purpose, is malformed, or is
    /// signed with an unsupported algorithm. Fatal by default.
    BadCertificate,
    /// The server refused the client's certificate, or requires one and received none. Fatal by default.
    ClientCertificate,
    /// This machine has no certificates of trusted authorities. Fatal by default.
    NoRoots,
    /// The TLS options or the host cannot be used. Fatal by default.
    Misconfigured,
    /// The port does not speak TLS. The URL of a plain server begins with `ws://`. Fatal by default.
    PlainServer,
    /// The client and the server have no version, cipher suite or application protocol in common.
    NoCommonProtocol,
    /// One side broke the TLS protocol, or the server ended the handshake.
    Protocol,
    /// Another problem.
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

    /// Returns a short, stable name in `snake_case`.
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

    /// Not fatal are problems that servers and clocks may resolve by themselves. The others last until a person changes
    /// a certificate, a key, an option or the URL.
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

/// Why a proxy could not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyProblem {
    /// The environment's proxy settings are not valid. Fatal by default.
    Misconfigured,
    /// The proxy could not be reached.
    Unreachable,
    /// The proxy requires credentials, or refused those given (HTTP 401 or 407; RFC 1929). Fatal by default.
    Credentials,
    /// The proxy's rules forbid the host (any other HTTP 4xx but 408, 425 and 429; RFC 1928 §6, reply 2). Fatal by
    /// default.
    Forbidden,
    /// The proxy could not reach the host, or its answer is not in its protocol.
    Failed,
}

impl ProxyProblem {
    /// All problems.
    pub const ALL: &'static [Self] =
        &[Self::Misconfigured, Self::Unreachable, Self::Credentials, Self::Forbidden, Self::Failed];

    /// Returns a short, stable name in `snake_case`.
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
