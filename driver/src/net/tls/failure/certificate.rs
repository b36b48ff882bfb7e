//! Explains what is wrong with a server's certificate.

use std::time::{Duration, UNIX_EPOCH};

use futures_rustls::rustls::CertificateError;
use futures_rustls::rustls::pki_types::{ServerName, UnixTime};
use tidegate_core::TlsProblem::{
    BadCertificate, BadSignature, Expired, Other, Revoked, UnknownIssuer, WrongHost,
};
use webpki::Error as Webpki;

use super::{Explained, UNKNOWN, explained, shown};

/// Maximum number of names of a certificate that are shown.
const NAMES: usize = 3;

const AUTHORITY: &str = "the server's certificate is a CA certificate (basicConstraints CA:TRUE, the default of openssl \
                         req -x509), which no server can use";
const NOT_FOR_SERVERS: &str = "the server's certificate is not for servers (extended key usage)";
const MALFORMED: &str = "the server's certificate is not correctly encoded";
const TOO_COMPLEX: &str = "the server's chain of certificates is too long or too complex";
const UNKNOWN_EXTENSION: &str = "the server's certificate has a critical extension that is not supported";

pub(super) fn explain(error: &CertificateError) -> Explained {
    match error {
        CertificateError::UnknownIssuer => {
            explained(UnknownIssuer, "no trusted authority has signed the server's certificate")
        }
        CertificateError::NotValidForName => {
            explained(WrongHost, "the server's certificate is for another host")
        }
        CertificateError::NotValidForNameContext { expected, presented } => wrong_host(expected, presented),
        CertificateError::Expired => explained(Expired, "the server's certificate has expired"),
        CertificateError::ExpiredContext { time, not_after } => out_of_time("expired on", *not_after, *time),
        CertificateError::NotValidYet => explained(Expired, "the server's certificate is not valid yet"),
        CertificateError::NotValidYetContext { time, not_before } => {
            out_of_time("is not valid before", *not_before, *time)
        }
        CertificateError::Revoked => explained(Revoked, "the server's certificate is revoked"),
        CertificateError::UnknownRevocationStatus => {
            explained(Revoked, "whether the server's certificate is revoked cannot be determined")
        }
        CertificateError::ExpiredRevocationList | CertificateError::ExpiredRevocationListContext { .. } => {
            explained(Revoked, "the certificate revocation list has expired")
        }
        CertificateError::InvalidOcspResponse => {
            explained(Revoked, "the server's proof that its certificate is not revoked (OCSP) is not valid")
        }
        CertificateError::BadSignature => explained(
            BadSignature,
            "a signature is wrong: the trusted CA certificate of that name has another key, the server's key does not \
             match its certificate, or an RSA key is shorter than 2048 bits",
        ),
        CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => explained(
            BadSignature,
            "the signature on the server's certificate needs another kind of key than that of the trusted CA of that \
             name",
        ),
        #[expect(deprecated, reason = "verifiers of others may still report it")]
        CertificateError::UnsupportedSignatureAlgorithm
        | CertificateError::UnsupportedSignatureAlgorithmContext { .. } => explained(
            BadCertificate,
            "the server's certificate is signed with an algorithm that is not supported, such as SHA-1",
        ),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            explained(BadCertificate, NOT_FOR_SERVERS)
        }
        CertificateError::BadEncoding => explained(BadCertificate, MALFORMED),
        CertificateError::UnhandledCriticalExtension => explained(BadCertificate, UNKNOWN_EXTENSION),
        CertificateError::ApplicationVerificationFailure => {
            explained(BadCertificate, "the verifier in client_config refused the server's certificate")
        }
        CertificateError::Other(error) => match error.0.downcast_ref() {
            Some(error) => of_webpki(error),
            None => of_platform(&error.0.to_string()),
        },
        _ => UNKNOWN,
    }
}

fn out_of_time(what: &str, limit: UnixTime, now: UnixTime) -> Explained {
    let (limit, now) = (date(limit), date(now));
    (Expired, format!("the server's certificate {what} {limit}; this machine's clock says {now}").into())
}

/// Explains errors of webpki, which rustls passes on unchanged.
const fn of_webpki(error: &Webpki) -> Explained {
    use Webpki as W;
    let sentence = match error {
        W::CaUsedAsEndEntity => AUTHORITY,
        W::EndEntityUsedAsCa => "the certificate that signed the server's is not a CA certificate",
        W::NameConstraintViolation => "the authority must not issue certificates for this host",
        W::CertDistrusted => "the key of a certificate in the server's chain is distrusted",
        W::UnsupportedCertVersion => "the server's certificate is not X.509 version 3",
        W::PathLenConstraintViolated | W::MaximumPathDepthExceeded => TOO_COMPLEX,
        W::MaximumPathBuildCallsExceeded | W::MaximumSignatureChecksExceeded => TOO_COMPLEX,
        W::MaximumNameConstraintComparisonsExceeded => TOO_COMPLEX,
        W::UnsupportedCriticalExtension => UNKNOWN_EXTENSION,
        W::EmptyEkuExtension => NOT_FOR_SERVERS,
        W::ExtensionValueInvalid | W::MalformedExtensions | W::InvalidNetworkMaskConstraint => MALFORMED,
        W::MalformedDnsIdentifier | W::MalformedNameConstraint | W::InvalidSerialNumber => MALFORMED,
        W::SignatureAlgorithmMismatch => MALFORMED,
        W::UnsupportedNameType => return super::UNSUPPORTED_NAME,
        W::InvalidCrlNumber | W::UnsupportedCrlVersion => return super::BAD_REVOCATION_LIST,
        W::UnsupportedDeltaCrl | W::UnsupportedIndirectCrl => return super::BAD_REVOCATION_LIST,
        W::UnsupportedCrlIssuingDistributionPoint => return super::BAD_REVOCATION_LIST,
        W::UnsupportedRevocationReason => return super::BAD_REVOCATION_LIST,
        W::UnsupportedRevocationReasonsPartitioning => return super::BAD_REVOCATION_LIST,
        // rustls has its own variants for these.
        W::BadDer | W::BadDerTime | W::TrailingData(_) | W::InvalidCertValidity => return UNKNOWN,
        W::CertExpired { .. } | W::CertNotValidYet { .. } | W::CertNotValidForName(_) => return UNKNOWN,
        W::CertRevoked | W::CrlExpired { .. } | W::UnknownRevocationStatus => return UNKNOWN,
        W::InvalidSignatureForPublicKey | W::InvalidCrlSignatureForPublicKey => return UNKNOWN,
        W::UnknownIssuer | W::IssuerNotCrlSigner | W::RequiredEkuNotFoundContext(_) => return UNKNOWN,
        W::UnsupportedSignatureAlgorithmContext(_) => return UNKNOWN,
        W::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => return UNKNOWN,
        W::UnsupportedCrlSignatureAlgorithmContext(_) => return UNKNOWN,
        W::UnsupportedCrlSignatureAlgorithmForPublicKeyContext(_) => return UNKNOWN,
        #[expect(deprecated, reason = "webpki still has them")]
        W::RequiredEkuNotFound
        | W::UnsupportedSignatureAlgorithm
        | W::UnsupportedSignatureAlgorithmForPublicKey
        | W::UnsupportedCrlSignatureAlgorithm
        | W::UnsupportedCrlSignatureAlgorithmForPublicKey => return UNKNOWN,
        _ => return UNKNOWN,
    };
    explained(BadCertificate, sentence)
}

/// Explains an error of the platform's verifier for which rustls has no variant.
fn of_platform(text: &str) -> Explained {
    // On Linux only the text says that the purpose does not fit: the error's type is private.
    if text == "certificate had invalid extensions" {
        return explained(BadCertificate, NOT_FOR_SERVERS);
    }
    (Other, format!("the platform refused the server's certificate: {}", shown(text)).into())
}

fn wrong_host(expected: &ServerName<'_>, presented: &[String]) -> Explained {
    let names: Vec<_> = presented.iter().filter_map(|name| name_in(name)).collect();
    let host = expected.to_str();
    let first = names[..names.len().min(NAMES)].join(", ");
    let sentence = match names.len().saturating_sub(NAMES) {
        _ if names.is_empty() => {
            format!("the server's certificate is not for {host}: it names no host (subjectAltName)")
        }
        0 => format!("the server's certificate is not for {host}, but for {first}"),
        more => format!("the server's certificate is not for {host}, but for {first} and {more} more"),
    };
    (WrongHost, sentence.into())
}

/// Returns the host in webpki's description of a name, to be shown.
fn name_in(presented: &str) -> Option<String> {
    let inside = |start, end| presented.strip_prefix(start)?.strip_suffix(end);
    let name = inside("DnsName(\"", "\")").or_else(|| inside("IpAddress(", ")"))?;
    Some(shown(name))
}

fn date(time: UnixTime) -> String {
    /// The end of the year 9999, the last in a certificate.
    const LAST: u64 = 253_402_300_799;
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(time.as_secs().min(LAST)))
}
