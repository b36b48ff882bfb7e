//! How `wss` connections are secured: what to trust, and who to be.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use futures_rustls::rustls::ClientConfig;

/// Options of TLS. By default a server is trusted if the platform trusts it, and no client certificate is sent.
///
/// ALPN offers `http/1.1`, the only protocol a WebSocket upgrade is made over. TLS 1.2 and 1.3. The options take effect
/// through [`Connector::tls`](crate::net::Connector::tls), which reads the files.
#[derive(Clone, Default)]
pub struct TlsOptions {
    pub(crate) authorities: Vec<Pem>,
    pub(crate) identity: Option<(Pem, Pem)>,
    pub(crate) ready: Option<Arc<ClientConfig>>,
    pub(crate) accept_any: bool,
}

/// Where PEM text comes from.
#[derive(Clone)]
pub(crate) enum Pem {
    File(PathBuf),
    /// Handed over by the application; the name of the option, for messages.
    Bytes(&'static str, Vec<u8>),
}

impl TlsOptions {
    /// Trusts the certificate authorities in this PEM file as well as the platform's. May be given more than once.
    ///
    /// The file may also hold a server's self-signed certificate, unless that is a CA certificate (`basicConstraints`
    /// `CA:TRUE`, the default of `openssl req -x509`), which no server can use.
    #[must_use]
    pub fn ca_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.authorities.push(Pem::File(file.into()));
        self
    }

    /// As [`ca_file`](Self::ca_file), from PEM text in memory.
    #[must_use]
    pub fn ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.authorities.push(Pem::Bytes("ca_pem", pem.into()));
        self
    }

    /// Sends this certificate to servers that ask for one: the chain, the client's own certificate first, and its private
    /// key, not encrypted. Both are PEM files, and may be the same.
    #[must_use]
    pub fn client_certificate_files(mut self, chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.identity = Some((Pem::File(chain.into()), Pem::File(key.into())));
        self
    }

    /// As [`client_certificate_files`](Self::client_certificate_files), from PEM text in memory.
    #[must_use]
    pub fn client_certificate_pem(mut self, chain: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        let name = "client_certificate_pem";
        self.identity = Some((Pem::Bytes(name, chain.into()), Pem::Bytes(name, key.into())));
        self
    }

    /// Uses this configuration as it is, for whatever the other options do not cover. It excludes all of them.
    #[must_use]
    pub fn client_config(mut self, config: Arc<ClientConfig>) -> Self {
        self.ready = Some(config);
        self
    }

    /// Disables certificate verification, whatever authorities are given: anyone on the path can read and change
    /// everything. For tests against servers of your own.
    #[must_use]
    pub fn dangerously_accept_any_certificate(mut self) -> Self {
        self.accept_any = true;
        self
    }
}

/// Shows which options are set: keys stay out of logs.
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
    /// The whole text.
    pub(crate) fn read(&self) -> Result<Vec<u8>, TlsError> {
        match self {
            Self::File(file) => std::fs::read(file)
                .map_err(|error| TlsError::Unreadable { from: self.to_string(), detail: error.to_string() }),
            Self::Bytes(_, bytes) => Ok(bytes.clone()),
        }
    }
}

/// Names the source, for messages.
impl fmt::Display for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => write!(f, "{}", file.display()),
            Self::Bytes(option, _) => f.write_str(option),
        }
    }
}

/// Why TLS options cannot be used. `from` names the file, or the option if the text was given in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsError {
    /// The file cannot be read.
    Unreadable {
        /// Which file.
        from: String,
        /// What the operating system said.
        detail: String,
    },
    /// It is not PEM.
    NotPem {
        /// Where it came from.
        from: String,
        /// What is wrong with it.
        detail: String,
    },
    /// It is PEM, but holds no certificate.
    NoCertificate {
        /// Where it came from.
        from: String,
    },
    /// A certificate in it cannot be an authority.
    BadAuthority {
        /// Where it came from.
        from: String,
    },
    /// It is PEM, but holds no private key that is not encrypted.
    NoKey {
        /// Where it came from.
        from: String,
    },
    /// The certificate and the private key cannot be a client's.
    BadIdentity {
        /// Where the certificate came from.
        from: String,
        /// What is wrong with them.
        detail: String,
    },
    /// A ready configuration was given, and other options beside it.
    NotAlone,
    /// Neither of the features `ring` and `aws-lc-rs` is on, and the process has no provider of its own.
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
