//! Certificates of an authority of our own, good ones and bad ones.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};

/// A certificate authority.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    name: String,
}

/// What a certificate is to say. Valid now, unless told otherwise.
#[derive(Clone, Debug)]
pub struct Leaf {
    names: Vec<String>,
    purpose: Purpose,
    validity: Validity,
}

#[derive(Clone, Copy, Debug)]
enum Purpose {
    Server,
    Client,
}

#[derive(Clone, Copy, Debug)]
enum Validity {
    Now,
    Past,
    Future,
}

/// A certificate and its key, each in both formats.
#[derive(Clone)]
pub struct Identity {
    /// The certificate, in PEM.
    pub chain_pem: String,
    /// Its private key, PKCS #8 in PEM.
    pub key_pem: String,
    /// The certificate, in DER.
    pub der: Vec<u8>,
    /// Its private key, PKCS #8 in DER.
    pub key_der: Vec<u8>,
}

impl Authority {
    /// One that nobody trusts yet. Each has a name of its own: with one name for all, a certificate of another authority
    /// fails as a bad signature and not as an unknown issuer.
    #[must_use]
    pub fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(1);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Self::named(format!("tidegate test authority {number}"), KeyPair::generate().unwrap())
    }

    /// This authority made anew: the same name, and another key.
    #[must_use]
    pub fn with_key(&self, key: KeyPair) -> Self {
        Self::named(self.name.clone(), key)
    }

    fn named(name: String, key: KeyPair) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = named(name.clone());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Self { issuer: CertifiedIssuer::self_signed(params, key).unwrap(), name }
    }

    /// Its own certificate and key, as those of a server.
    #[must_use]
    pub fn identity(&self) -> Identity {
        let key = self.issuer.key();
        Identity {
            chain_pem: self.pem(),
            key_pem: key.serialize_pem(),
            der: self.der(),
            key_der: key.serialize_der(),
        }
    }

    /// Its own certificate, in PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Its own certificate, in DER.
    #[must_use]
    pub fn der(&self) -> Vec<u8> {
        self.issuer.der().to_vec()
    }

    /// Writes its own certificate, in PEM, to `ca.pem` in this directory.
    #[must_use]
    pub fn write_to(&self, directory: &Path) -> PathBuf {
        write(directory, "ca.pem", &self.pem())
    }

    /// A new certificate and its key.
    #[must_use]
    pub fn issue(&self, leaf: Leaf) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate = leaf.params().signed_by(&key, &self.issuer).unwrap();
        Identity {
            chain_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            der: certificate.der().to_vec(),
            key_der: key.serialize_der(),
        }
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Leaf {
    /// A server with these DNS names and IP addresses.
    #[must_use]
    pub fn server<const N: usize>(names: [&str; N]) -> Self {
        let names = names.map(str::to_owned).to_vec();
        Self { names, purpose: Purpose::Server, validity: Validity::Now }
    }

    /// A server on this machine: `localhost`, `127.0.0.1` and `::1`.
    #[must_use]
    pub fn localhost() -> Self {
        Self::server(["localhost", "127.0.0.1", "::1"])
    }

    /// A client of this name.
    #[must_use]
    pub fn client(name: &str) -> Self {
        Self { names: vec![name.to_owned()], purpose: Purpose::Client, validity: Validity::Now }
    }

    /// Valid in the year 2000.
    #[must_use]
    pub fn expired(self) -> Self {
        Self { validity: Validity::Past, ..self }
    }

    /// Valid in the year 3000.
    #[must_use]
    pub fn not_yet_valid(self) -> Self {
        Self { validity: Validity::Future, ..self }
    }

    fn params(self) -> CertificateParams {
        let common_name = self.names.first().cloned().unwrap_or_default();
        let mut params = CertificateParams::new(self.names).unwrap();
        params.distinguished_name = named(common_name);
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![match self.purpose {
            Purpose::Server => ExtendedKeyUsagePurpose::ServerAuth,
            Purpose::Client => ExtendedKeyUsagePurpose::ClientAuth,
        }];
        let year = match self.validity {
            Validity::Now => return params,
            Validity::Past => 2000,
            Validity::Future => 3000,
        };
        params.not_before = date_time_ymd(year, 1, 1);
        params.not_after = date_time_ymd(year, 12, 31);
        params
    }
}

impl Identity {
    /// Writes `chain.pem` and `key.pem` into this directory.
    #[must_use]
    pub fn write_to(&self, directory: &Path) -> (PathBuf, PathBuf) {
        (write(directory, "chain.pem", &self.chain_pem), write(directory, "key.pem", &self.key_pem))
    }
}

fn named(common_name: String) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

fn write(directory: &Path, name: &str, content: &str) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, content).unwrap();
    path
}
