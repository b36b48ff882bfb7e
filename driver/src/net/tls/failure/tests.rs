//! Every error of the locked rustls and webpki has a problem and a sentence (R6).

use std::sync::Arc;
use std::time::Duration;

use futures_rustls::rustls::pki_types::UnixTime;
use futures_rustls::rustls::{
    CertRevocationListError, CertificateError, EncryptedClientHelloError, InconsistentKeys, OtherError,
    PeerMisbehaved,
};
use tidegate_core::TlsProblem::*;
use webpki::Error as WebpkiError;

use super::*;

fn text(error: &Error) -> String {
    let Failure::Connect(ConnectFailure::Tls { detail, .. }) = failure(explain(error)) else {
        panic!("{error:?}")
    };
    detail
}

fn of(error: CertificateError) -> Error {
    Error::InvalidCertificate(error)
}

fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

fn wrapped(error: impl std::error::Error + Send + Sync + 'static) -> OtherError {
    OtherError(Arc::new(error))
}

/// All variants of [`CertificateError`] but `Other`.
fn certificates() -> Vec<(CertificateError, TlsProblem)> {
    use CertificateError as C;
    let (time, expected) = (at(2), "feed.test".try_into().unwrap());
    #[expect(deprecated, reason = "verifiers of others may still report it")]
    let unsupported = C::UnsupportedSignatureAlgorithm;
    vec![
        (C::BadEncoding, BadCertificate),
        (C::Expired, Expired),
        (C::ExpiredContext { time, not_after: at(1) }, Expired),
        (C::NotValidYet, Expired),
        (C::NotValidYetContext { time, not_before: at(u64::MAX) }, Expired),
        (C::Revoked, Revoked),
        (C::UnhandledCriticalExtension, BadCertificate),
        (C::UnknownIssuer, UnknownIssuer),
        (C::UnknownRevocationStatus, Revoked),
        (C::ExpiredRevocationList, Revoked),
        (C::ExpiredRevocationListContext { time, next_update: at(1) }, Revoked),
        (C::BadSignature, BadSignature),
        (unsupported, BadCertificate),
        (
            C::UnsupportedSignatureAlgorithmContext {
                signature_algorithm_id: vec![6, 9],
                supported_algorithms: vec![],
            },
            BadCertificate,
        ),
        (
            C::UnsupportedSignatureAlgorithmForPublicKeyContext {
                signature_algorithm_id: vec![6, 9],
                public_key_algorithm_id: vec![6, 7],
            },
            BadSignature,
        ),
        (C::NotValidForName, WrongHost),
        (C::NotValidForNameContext { expected, presented: vec![] }, WrongHost),
        (C::InvalidPurpose, BadCertificate),
        (
            C::InvalidPurposeContext {
                required: futures_rustls::rustls::ExtendedKeyPurpose::ServerAuth,
                presented: vec![],
            },
            BadCertificate,
        ),
        (C::InvalidOcspResponse, Revoked),
        (C::ApplicationVerificationFailure, BadCertificate),
    ]
}

/// All variants of webpki that rustls wraps.
fn wrapped_certificates() -> impl Iterator<Item = (CertificateError, TlsProblem)> {
    use WebpkiError as W;
    let bad = [
        W::CaUsedAsEndEntity,
        W::CertDistrusted,
        W::EmptyEkuExtension,
        W::EndEntityUsedAsCa,
        W::ExtensionValueInvalid,
        W::InvalidNetworkMaskConstraint,
        W::InvalidSerialNumber,
        W::MalformedDnsIdentifier,
        W::MalformedExtensions,
        W::MalformedNameConstraint,
        W::MaximumNameConstraintComparisonsExceeded,
        W::MaximumPathBuildCallsExceeded,
        W::MaximumPathDepthExceeded,
        W::MaximumSignatureChecksExceeded,
        W::NameConstraintViolation,
        W::PathLenConstraintViolated,
        W::SignatureAlgorithmMismatch,
        W::UnsupportedCertVersion,
        W::UnsupportedCriticalExtension,
    ];
    let revoked = [
        W::InvalidCrlNumber,
        W::UnsupportedCrlIssuingDistributionPoint,
        W::UnsupportedCrlVersion,
        W::UnsupportedDeltaCrl,
        W::UnsupportedIndirectCrl,
        W::UnsupportedRevocationReason,
        W::UnsupportedRevocationReasonsPartitioning,
    ];
    let bad = bad.map(|error| (error, BadCertificate));
    let revoked = revoked.map(|error| (error, Revoked));
    let all = bad.into_iter().chain(revoked).chain([(W::UnsupportedNameType, Misconfigured)]);
    all.map(|(error, problem)| (CertificateError::Other(wrapped(error)), problem))
}

/// All variants of [`Error`] but `AlertReceived` and `InvalidCertificate`, with one of those below them where one sentence
/// covers all.
fn others() -> Vec<(Error, TlsProblem)> {
    use PeerIncompatible as P;
    vec![
        (Error::InappropriateMessage { expect_types: vec![], got_type: 23.into() }, Protocol),
        (Error::InappropriateHandshakeMessage { expect_types: vec![], got_type: 1.into() }, Protocol),
        (Error::InvalidEncryptedClientHello(EncryptedClientHelloError::SniRequired), Misconfigured),
        (Error::InvalidMessage(InvalidMessage::MissingData("ServerHello")), Protocol),
        (Error::NoCertificatesPresented, Protocol),
        (Error::UnsupportedNameType, Misconfigured),
        (Error::DecryptError, Protocol),
        (Error::EncryptError, Other),
        (Error::PeerIncompatible(P::ServerDoesNotSupportTls12Or13), NoCommonProtocol),
        (Error::PeerIncompatible(P::NoCipherSuitesInCommon), NoCommonProtocol),
        (Error::PeerIncompatible(P::ServerRejectedEncryptedClientHello(None)), NoCommonProtocol),
        (Error::PeerMisbehaved(PeerMisbehaved::SelectedUnofferedCipherSuite), Protocol),
        (Error::InvalidCertRevocationList(CertRevocationListError::ParseError), Revoked),
        (Error::General("out of order".to_owned()), Other),
        (Error::FailedToGetCurrentTime, Other),
        (Error::FailedToGetRandomBytes, Other),
        (Error::HandshakeNotComplete, Other),
        (Error::PeerSentOversizedRecord, Protocol),
        (Error::NoApplicationProtocol, NoCommonProtocol),
        (Error::BadMaxFragmentSize, Misconfigured),
        (Error::InconsistentKeys(InconsistentKeys::KeyMismatch), Misconfigured),
        (Error::Other(wrapped(std::fmt::Error)), Other),
    ]
}

/// Words of X.509 that look like names of Rust types.
const WORDS: [&str; 2] = ["subjectAltName", "basicConstraints"];

#[test]
fn every_known_error_has_a_sentence_of_its_own() {
    let certificates = certificates().into_iter().chain(wrapped_certificates());
    let alerts = (0..=255).map(|alert: u8| Error::AlertReceived(alert.into()));
    let expected = certificates.map(|(error, problem)| (of(error), problem)).chain(others());
    for (error, problem) in expected {
        assert_eq!(explain(&error).0, problem, "{error:?}");
        assert_plain(&error);
    }
    alerts.for_each(|error| assert_plain(&error));
}

/// Checks that the text is neither the fallback nor Debug output.
#[track_caller]
fn assert_plain(error: &Error) {
    let text = text(error);
    assert_ne!(explain(error), UNKNOWN, "{error:?}");
    let words = WORDS.iter().fold(text.clone(), |text, word| text.replace(word, ""));
    let humps =
        words.as_bytes().windows(2).any(|two| two[0].is_ascii_lowercase() && two[1].is_ascii_uppercase());
    assert!(!humps && !words.contains(['{', '[', '"']), "{text}");
}

#[test]
fn what_nobody_knows_has_the_fallback() {
    let unknown = of(CertificateError::Other(wrapped(WebpkiError::BadDer)));
    assert_eq!(explain(&unknown), UNKNOWN);
}

/// Whether a write fails or the alert is read is a race, with TLS 1.2 and a client certificate that the server refuses.
#[test]
fn an_alert_says_more_than_a_broken_pipe() {
    let broken = io::Error::from(io::ErrorKind::BrokenPipe);
    let of = |record: &[u8]| futures_executor::block_on(of_handshake(&broken, record));
    let refused = of(&[21, 3, 3, 0, 2, 2, 48]);
    assert!(refused.kind() == "tls_client_certificate", "{refused}");
    for record in [&[][..], &[21, 3, 3, 0, 2, 2], &[21, 3, 3, 0, 26, 9, 9], b"HTTP/1.1 "] {
        let other = of(record);
        assert!(other.to_string().contains("broke during the handshake: broken pipe"), "{other}");
    }
}

/// Names are text of the server.
#[test]
fn names_in_a_certificate_are_escaped_and_bounded() {
    let name = |name: &str| format!("DnsName(\"{name}\")");
    let wrong = |presented: Vec<String>| {
        let expected = "feed.test".try_into().unwrap();
        text(&of(CertificateError::NotValidForNameContext { expected, presented }))
    };
    let kinds = vec![name("a.test"), "IpAddress(127.0.0.1)".to_owned(), "DirectoryName".to_owned()];
    assert!(wrong(kinds).contains("is not for feed.test, but for a.test, 127.0.0.1;"));
    assert!(wrong(vec!["DirectoryName".to_owned()]).contains("it names no host"));
    let evil = wrong(vec![name("\u{1b}[2J\u{202e}a\r\n\u{9b}b")]);
    assert!(!evil.contains(|shown: char| shown.is_control() || shown == '\u{202e}'), "{evil:?}");
    let many = wrong(vec![name(&"long".repeat(1000)); 500]);
    assert!(many.len() < 600 && many.contains("and 497 more"), "{many}");
}
