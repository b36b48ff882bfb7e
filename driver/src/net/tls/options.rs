//! Options of TLS: trusted authorities and the client's certificate.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use futures_rustls::rustls::ClientConfig;

/// Options of TLS for `wss` connections.
///
/// By default a server is trusted if the platform trusts it, and no client certificate is sent.
///
/// TLS 1.2 and 1.3 are supported. ALPN offers `http/1.1`, since only that has a WebSocket upgrade. The options take
/// effect through [`Connector::tls`](crate::net::Connector::tls), which reads the files.
#[derive(Clone, Default)]
pub struct TlsOptions {
    pub(crate) authorities: Vec<Pem>,
    pub(crate) identity: Option<(Pem, Pem)>,
    pub(crate) ready: Option<Arc<ClientConfig>>,
    pub(crate) accept_any: bool,
}

/// Source of PEM text.
#[derive(Clone)]
pub(crate) enum Pem {
    File(PathBuf),
    /// Text in memory, with the name of the option for messages.
    Bytes(&'static str, Vec<u8>),
}

impl TlsOptions {
    /// Trusts the certificate authorities in this PEM file, in addition to the platform's. May be called more than
    /// once.
    ///
    /// The file may also contain a server's self-signed certificate, unless that is a CA certificate
    /// (`basicConstraints` `CA:TRUE`, the default of `openssl req -x509`), which no server can use.
    #[must_use]
    pub fn ca_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.authorities.push(Pem::File(file.into()));
        self
    }

    /// The same as [`ca_file`](Self::ca_file), with PEM text in memory.
    #[must_use]
    pub fn ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.authorities.push(Pem::Bytes("ca_pem", pem.into()));
        self
    }

    /// Sends this certificate to servers that request one. `chain` has the client's own certificate first. `key` is its
    /// private key, not encrypted. Both are PEM files, and may be the same file.
    #[must_use]
    pub fn client_certificate_files(mut self, chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.identity = Some((Pem::File(chain.into()), Pem::File(key.into())));
        self
    }

    /// The same as [`client_certificate_files`](Self::client_certificate_files), with PEM text in memory.
    #[must_use]
    pub fn client_certificate_pem(mut self, chain: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        let name = "client_certificate_pem";
        self.identity = Some((Pem::Bytes(name, chain.into()), Pem::Bytes(name, key.into())));
        self
    }

    /// Uses this configuration unchanged, for what the other options do not cover. It cannot be combined with them.
    #[must_use]
    pub fn client_config(mut self, config: Arc<ClientConfig>) -> Self {
        self.ready = Some(config);
        self
    }

    /// Disables certificate verification, for tests against servers of your own. Anyone on the path can then read and
    /// change everything. Trusted authorities have no effect.
    #[must_use]
    pub fn dangerously_accept_any_certificate(mut self) -> Self {
        self.accept_any = true;
        self
    }
}

/// Shows which options are set, without keys.
impl fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsOptions")
            .field("authorities", &self.authorities.iter().map(Pem::to_string).collect::<Vec<_>>())
            .field("client_certificate", &self.identity.is_some())
            .field("client_config", &self.ready.is_some())
            .field("accept_any", &self.accept_any)
            .finish()
    }
}

impl Pem {
    /// Reads the whole text.
    pub(crate) fn read(&self) -> Result<Vec<u8>, TlsError> {
        match self {
            Self::File(file) => std::fs::read(file)
                .map_err(|error| TlsError::Unreadable { from: self.to_string(), detail: error.to_string() }),
            Self::Bytes(_, bytes) => Ok(bytes.clone()),
        }
    }
}

/// Shows the source, for messages.
impl fmt::Display for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => write!(f, "{}", file.display()),
            Self::Bytes(option, _) => f.write_str(option),
        }
    }
}

/// Why TLS options are not valid. `from` is the file, or the option if the text was given in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsError {
    /// The file cannot be read.
    Unreadable {
        /// The file.
        from: String,
        /// The operating system's error.
        detail: String,
    },
    /// The text is not PEM.
    NotPem {
        /// The file or the option.
        from: String,
        /// The reason.
        detail: String,
    },
    /// The text is PEM, but contains no certificate.
    NoCertificate {
        /// The file or the option.
        from: String,
    },
    /// A certificate in the text cannot be an authority.
    BadAuthority {
        /// The file or the option.
        from: String,
    },
    /// The text is PEM, but contains no unencrypted private key.
    NoKey {
        /// The file or the option.
        from: String,
    },
    /// The certificate and the private key cannot be used as a client certificate.
    BadIdentity {
        /// The file or the option of the certificate.
        from: String,
        /// The reason.
        detail: String,
    },
    /// `client_config` was combined with other options.
    NotAlone,
    /// Neither of the features `ring` and `aws-lc-rs` is on, and the process has no default provider.
    NoProvider,
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { from, detail } => {
                write!(f, "{from} cannot be read: {detail}; check the path and its permissions")
            }
            Self::NotPem { from, detail } => {
                write!(f, "{from} is not valid PEM: {detail}; convert it with openssl x509 or openssl pkcs8")
            }
            Self::NoCertificate { from } => {
                write!(f, "{from} holds no certificate: expected a block -----BEGIN CERTIFICATE-----")
            }
            Self::BadAuthority { from } => write!(
                f,
                "{from} holds a certificate that cannot be an authority: it is not a correctly encoded X.509 \
                 certificate"
            ),
            Self::NoKey { from } => write!(
                f,
                "{from} holds no private key: expected a block -----BEGIN PRIVATE KEY-----, not encrypted"
            ),
            Self::BadIdentity { from, detail } => {
                write!(f, "{from} and its key cannot be used as a client certificate: {detail}")
            }
            Self::NotAlone => f.write_str("client_config excludes all other TLS options: put them into it"),
            Self::NoProvider => f.write_str(
                "no cryptography for TLS: turn on the feature ring or aws-lc-rs, or give a client_config",
            ),
        }
    }
}

impl std::error::Error for TlsError {}
