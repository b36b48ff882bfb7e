//! Makes the rustls configuration from [`TlsOptions`], once for all connections of a connector.

use std::sync::Arc;

use async_lock::OnceCell;
use futures_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use futures_rustls::rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use futures_rustls::rustls::pki_types::pem::{self, PemObject};
use futures_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use futures_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use futures_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_platform_verifier::Verifier;
use tidegate_core::Failure;

use super::failure::{no_roots, of_options, of_provider};
use super::options::{Pem, TlsError, TlsOptions};
use crate::net::platform::Net;

/// Checked options, and the configuration, which is made of them at its first use. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct TlsConfig(Arc<Lazy>);

#[derive(Default)]
struct Lazy {
    options: Checked,
    config: OnceCell<Arc<ClientConfig>>,
}

/// Options whose files have been read and parsed.
enum Checked {
    Config(Arc<ClientConfig>),
    Parts { trust: Trust, identity: Option<Arc<CertifiedKey>> },
}

enum Trust {
    /// The platform's authorities and these.
    Platform(Vec<CertificateDer<'static>>),
    Anyone,
}

impl Default for Checked {
    fn default() -> Self {
        Self::Parts { trust: Trust::Platform(Vec::new()), identity: None }
    }
}

impl TlsConfig {
    /// Reads and checks the files in `options`, so that an error is returned now and not at the first connection.
    pub(crate) fn new(options: &TlsOptions) -> Result<Self, TlsError> {
        let checked = match &options.ready {
            Some(_)
                if options.accept_any || options.identity.is_some() || !options.authorities.is_empty() =>
            {
                return Err(TlsError::NotAlone);
            }
            Some(config) => Checked::Config(config.clone()),
            None => Checked::Parts { trust: trust(options)?, identity: identity(options)? },
        };
        Ok(Self(Arc::new(Lazy { options: checked, config: OnceCell::new() })))
    }

    /// Checks whether there is cryptography.
    pub(crate) fn check(&self) -> Result<(), TlsError> {
        match &self.0.options {
            Checked::Config(_) => Ok(()),
            Checked::Parts { .. } => provider().map(drop),
        }
    }

    /// Returns the configuration. It is made at the first call, so that a plain feed never loads the platform's
    /// authorities. That takes milliseconds and reads files, so it runs where blocking is allowed.
    pub(crate) async fn config<N: Net>(&self) -> Result<Arc<ClientConfig>, Failure> {
        let make = || {
            let lazy = self.0.clone();
            N::unblock(move || lazy.options.config())
        };
        self.0.config.get_or_try_init(make).await.cloned()
    }
}

impl Checked {
    fn config(&self) -> Result<Arc<ClientConfig>, Failure> {
        let (trust, identity) = match self {
            Self::Config(config) => return Ok(config.clone()),
            Self::Parts { trust, identity } => (trust, identity),
        };
        let provider = provider().map_err(|error| of_options(&error))?;
        // The options' authorities have been checked, so only the platform's can fail here.
        let verifier = trust.verifier(&provider).map_err(|_| no_roots())?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| of_provider())?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match identity {
            Some(key) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key.clone()))),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

impl Trust {
    fn verifier(&self, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, Error> {
        Ok(match self {
            Self::Platform(extra) => {
                Arc::new(Verifier::new_with_extra_roots(extra.iter().cloned(), provider.clone())?)
            }
            Self::Anyone => Arc::new(AcceptAny(provider.clone())),
        })
    }
}

fn trust(options: &TlsOptions) -> Result<Trust, TlsError> {
    let mut authorities = Vec::new();
    for pem in &options.authorities {
        for authority in certificates(pem)? {
            RootCertStore::empty()
                .add(authority.clone())
                .map_err(|_| TlsError::BadAuthority { from: pem.to_string() })?;
            authorities.push(authority);
        }
    }
    Ok(if options.accept_any { Trust::Anyone } else { Trust::Platform(authorities) })
}

fn identity(options: &TlsOptions) -> Result<Option<Arc<CertifiedKey>>, TlsError> {
    let Some((chain, key)) = &options.identity else { return Ok(None) };
    let certificates = certificates(chain)?;
    let text = key.read()?;
    let Some(parsed) = PrivateKeyDer::pem_slice_iter(&text).next() else {
        return Err(TlsError::NoKey { from: key.to_string() });
    };
    let parsed = parsed.map_err(|error| not_pem(key, &error))?;
    let identity = CertifiedKey::from_der(certificates, parsed, provider()?.as_ref());
    let bad = |error: Error| TlsError::BadIdentity {
        from: chain.to_string(),
        detail: not_usable(&error).to_owned(),
    };
    identity.map(|identity| Some(Arc::new(identity))).map_err(bad)
}

/// Returns why a certificate and a key cannot identify a client.
#[expect(clippy::wildcard_enum_match_arm, reason = "all other errors are about the certificate")]
const fn not_usable(error: &Error) -> &'static str {
    match error {
        Error::InconsistentKeys(_) => "the private key does not belong to the certificate",
        Error::General(_) => {
            "the private key is none of RSA with at least 2048 bits, ECDSA on P-256 or P-384, and Ed25519"
        }
        _ => "the certificate is not X.509 version 3, or not correctly encoded",
    }
}

fn certificates(pem: &Pem) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = pem.read()?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| not_pem(pem, &error))?;
    if certificates.is_empty() {
        return Err(TlsError::NoCertificate { from: pem.to_string() });
    }
    Ok(certificates)
}

/// Returns the error for text that is not PEM. The parser's own text is partly Debug output.
#[expect(clippy::wildcard_enum_match_arm, reason = "the library may add to its enum")]
fn not_pem(pem: &Pem, error: &pem::Error) -> TlsError {
    let detail = match error {
        pem::Error::MissingSectionEnd { .. } => "a block has no END line",
        pem::Error::IllegalSectionStart { .. } => "a BEGIN line is malformed",
        pem::Error::Base64Decode(_) => "a block is not base64",
        pem::Error::SectionTooLarge => "a block is larger than 10 MB",
        _ => "it cannot be parsed",
    };
    TlsError::NotPem { from: pem.to_string(), detail: detail.to_owned() }
}

/// Returns the cryptography provider, which the features decide. It is not installed for the process: that is the
/// application's decision.
fn provider() -> Result<Arc<CryptoProvider>, TlsError> {
    #[cfg(feature = "ring")]
    return Ok(Arc::new(futures_rustls::rustls::crypto::ring::default_provider()));
    #[cfg(all(feature = "aws-lc-rs", not(feature = "ring")))]
    return Ok(Arc::new(futures_rustls::rustls::crypto::aws_lc_rs::default_provider()));
    #[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
    return CryptoProvider::get_default().cloned().ok_or(TlsError::NoProvider);
}

/// See [`TlsOptions::dangerously_accept_any_certificate`]. The server must still hold the certificate's key.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
