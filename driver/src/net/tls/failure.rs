//! Why TLS failed, in sentences of our own, since rustls's are mostly Debug output of its types.

mod certificate;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::io;

use futures_io::AsyncRead;
use futures_rustls::rustls::{AlertDescription, Error, InvalidMessage, PeerIncompatible};
use futures_util::AsyncReadExt;
use tidegate_core::escape::Escaped;
use tidegate_core::{ConnectFailure, Failure, TlsProblem};

use super::options::TlsError;

/// A problem, and the sentence that says what happened.
type Explained = (TlsProblem, Cow<'static, str>);

/// Fallback for variants of a later rustls or webpki. Each match names all variants of the locked version, so that
/// clippy rejects the wildcard arm when an update adds more.
const UNKNOWN: Explained =
    explained(TlsProblem::Other, "the TLS library reports an error that tidegate does not know");

const BAD_REVOCATION_LIST: Explained =
    explained(TlsProblem::Revoked, "the certificate revocation list cannot be used");
const NO_VERSION: &str =
    "the two sides have no version of TLS in common; this side supports TLS 1.2 and 1.3 by default";
const NO_ALPN: &str =
    "the two sides have no application protocol (ALPN) in common; this side supports HTTP/1.1 by default";
const NO_CERTIFICATE_OR_SUITE: &str = "the server has no certificate for this host, or requires other cipher suites or a \
                                       client certificate (client_certificate_files)";
const UNSUPPORTED_NAME: Explained =
    explained(TlsProblem::Misconfigured, "certificates cannot be checked for this kind of host");

/// Returns why TLS failed below this error, or `None` for errors of other layers.
pub(crate) fn in_io(error: &io::Error) -> Option<Failure> {
    Some(failure(explain(of_rustls(error)?)))
}

/// Returns why the handshake over `stream` failed.
pub(crate) async fn of_handshake(error: &io::Error, stream: impl AsyncRead + Unpin) -> Failure {
    failure(match of_rustls(error) {
        // No record of TLS begins with these bytes.
        Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
            explained(TlsProblem::PlainServer, "the URL begins with wss://, but the port does not speak TLS")
        }
        Some(error) => explain(error),
        None if error.kind() == io::ErrorKind::UnexpectedEof => explained(
            TlsProblem::Protocol,
            "the server closed the connection during the handshake; a port without TLS does so too, and its URL \
             begins with ws://",
        ),
        // A server may refuse without reading everything. Its alert says more than a broken pipe.
        None => match alert_in(stream).await {
            Some(alert) => of_alert(alert),
            None => {
                (TlsProblem::Protocol, format!("the connection broke during the handshake: {error}").into())
            }
        },
    })
}

/// Returns the alert in the next record, if it is not encrypted (RFC 8446 §5.1, §6).
async fn alert_in(mut stream: impl AsyncRead + Unpin) -> Option<AlertDescription> {
    const ALERT: u8 = 21;
    let mut record = [0; 7];
    stream.read_exact(&mut record).await.ok()?;
    let [ALERT, 3, _, 0, 2, _level, description] = record else { return None };
    Some(description.into())
}

/// Returns the failure for a host that no certificate can name.
pub(crate) fn of_host() -> Failure {
    failure(explained(
        TlsProblem::Misconfigured,
        "the URL's host is neither a DNS name nor an IP address: correct it",
    ))
}

/// Returns the failure for options that are not valid.
pub(crate) fn of_options(error: &TlsError) -> Failure {
    failure((TlsProblem::Misconfigured, error.to_string().into()))
}

/// Returns the failure for a process whose cryptography provider cannot be used.
pub(crate) fn of_provider() -> Failure {
    failure(explained(
        TlsProblem::Misconfigured,
        "the process's default CryptoProvider supports neither TLS 1.2 nor TLS 1.3: install another, or give a \
         client_config",
    ))
}

/// Returns the failure for a platform without authorities, if the options add none.
pub(crate) fn no_roots() -> Failure {
    failure(explained(TlsProblem::NoRoots, "no trusted CA certificates could be loaded from this machine"))
}

fn of_rustls(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

fn failure((problem, sentence): Explained) -> Failure {
    let detail = match help(problem) {
        Some(help) => format!("{sentence}; {help}"),
        None => sentence.into_owned(),
    };
    Failure::Connect(ConnectFailure::Tls { problem, detail })
}

const fn explained(problem: TlsProblem, sentence: &'static str) -> Explained {
    (problem, Cow::Borrowed(sentence))
}

/// Returns text of a peer or a library, escaped and bounded.
fn shown(text: &str) -> String {
    Escaped::new(text).at_most(100).to_string()
}

/// Returns what may help.
const fn help(problem: TlsProblem) -> Option<&'static str> {
    Some(match problem {
        TlsProblem::UnknownIssuer => {
            "if you trust its authority, give that authority's certificate as ca_file, or the server's own if it is \
             self-signed"
        }
        TlsProblem::WrongHost => {
            "connect to a name that the certificate is for, or have one issued for this host"
        }
        TlsProblem::Expired => "have the server's certificate renewed, or set this machine's clock right",
        TlsProblem::Revoked => "have the server's certificate replaced, or the revocation list renewed",
        TlsProblem::BadSignature => {
            "give its authority's current certificate as ca_file (or the server's own, if it is self-signed), or have the \
             server's certificate reissued"
        }
        TlsProblem::BadCertificate => "have another certificate issued for the server",
        TlsProblem::ClientCertificate => {
            "give a certificate that the server accepts as client_certificate_files"
        }
        TlsProblem::NoRoots => {
            "install them (on Debian the package ca-certificates), check SSL_CERT_FILE and SSL_CERT_DIR if they are \
             set, or give an authority's certificate as ca_file"
        }
        TlsProblem::PlainServer => "if it is a plain server, its URL begins with ws://",
        // The sentence says what helps.
        TlsProblem::Misconfigured
        | TlsProblem::NoCommonProtocol
        | TlsProblem::Protocol
        | TlsProblem::Other
        | _ => return None,
    })
}

fn explain(error: &Error) -> Explained {
    match error {
        Error::InvalidCertificate(error) => certificate::explain(error),
        Error::InvalidCertRevocationList(_) => BAD_REVOCATION_LIST,
        Error::AlertReceived(alert) => of_alert(*alert),
        Error::PeerIncompatible(error) => of_incompatible(error),
        Error::NoApplicationProtocol => explained(TlsProblem::NoCommonProtocol, NO_ALPN),
        Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
        | Error::PeerMisbehaved(_) => explained(TlsProblem::Protocol, "the server broke the TLS protocol"),
        Error::InvalidMessage(_) | Error::DecryptError | Error::PeerSentOversizedRecord => explained(
            TlsProblem::Protocol,
            "the server's answer is not valid TLS: the server is faulty, or a device in between changed it",
        ),
        Error::NoCertificatesPresented => explained(TlsProblem::Protocol, "the server sent no certificate"),
        Error::UnsupportedNameType => UNSUPPORTED_NAME,
        Error::BadMaxFragmentSize => {
            explained(TlsProblem::Misconfigured, "client_config has a max_fragment_size out of range")
        }
        Error::InvalidEncryptedClientHello(_) => explained(
            TlsProblem::Misconfigured,
            "client_config has unusable settings for Encrypted Client Hello",
        ),
        Error::InconsistentKeys(_) => {
            explained(TlsProblem::Misconfigured, "the private key does not belong to the certificate")
        }
        Error::FailedToGetCurrentTime => explained(TlsProblem::Other, "this machine's clock cannot be read"),
        Error::FailedToGetRandomBytes => {
            explained(TlsProblem::Other, "the operating system gave no random numbers")
        }
        Error::EncryptError => explained(TlsProblem::Other, "data could not be encrypted"),
        Error::HandshakeNotComplete => explained(TlsProblem::Other, "the handshake is not complete"),
        Error::General(text) => (TlsProblem::Other, shown(text).into()),
        Error::Other(error) => (TlsProblem::Other, shown(&error.to_string()).into()),
        _ => UNKNOWN,
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "rustls may add to its enum: whatever it is, both sides lack it"
)]
const fn of_incompatible(error: &PeerIncompatible) -> Explained {
    let sentence = match error {
        PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        | PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled => NO_VERSION,
        PeerIncompatible::ServerRejectedEncryptedClientHello(_) => {
            "the server rejected the Encrypted Client Hello"
        }
        _ => "the server and this client have no cipher suite, key exchange or signature algorithm in common",
    };
    explained(TlsProblem::NoCommonProtocol, sentence)
}

/// Explains an alert: what the server reports about this side (RFC 8446 §6.2).
fn of_alert(alert: AlertDescription) -> Explained {
    use AlertDescription as Alert;
    use TlsProblem::{ClientCertificate, NoCommonProtocol, Protocol};
    let (problem, sentence) = match alert {
        // Before TLS 1.3 there was no separate alert for a missing certificate.
        Alert::HandshakeFailure => (NoCommonProtocol, NO_CERTIFICATE_OR_SUITE),
        Alert::ProtocolVersion => (NoCommonProtocol, NO_VERSION),
        Alert::InsufficientSecurity | Alert::ExportRestriction => {
            (NoCommonProtocol, "the server requires other cipher suites")
        }
        Alert::NoApplicationProtocol => (NoCommonProtocol, NO_ALPN),
        Alert::MissingExtension | Alert::UnsupportedExtension | Alert::InappropriateFallback => {
            (NoCommonProtocol, "the server requires another extension or version of TLS")
        }
        Alert::EncryptedClientHelloRequired => {
            (NoCommonProtocol, "the server requires Encrypted Client Hello")
        }
        Alert::CertificateRequired | Alert::NoCertificate => {
            (ClientCertificate, "the server requires a client certificate")
        }
        Alert::CertificateExpired => {
            (ClientCertificate, "the server says that the client certificate has expired")
        }
        Alert::CertificateRevoked => {
            (ClientCertificate, "the server says that the client certificate is revoked")
        }
        Alert::UnknownCA => {
            (ClientCertificate, "the server does not trust the client certificate's authority")
        }
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateUnknown
        | Alert::CertificateUnobtainable
        | Alert::BadCertificateHashValue
        | Alert::AccessDenied => (ClientCertificate, "the server refused the client certificate"),
        // Servers that are still waiting for their certificate send it too.
        Alert::UnrecognisedName => (NoCommonProtocol, "the server has no certificate for this host"),
        Alert::InternalError => (Protocol, "the server reports an internal error"),
        Alert::CloseNotify | Alert::UserCanceled | Alert::NoRenegotiation => {
            (Protocol, "the server ended TLS")
        }
        Alert::UnexpectedMessage
        | Alert::BadRecordMac
        | Alert::DecryptionFailed
        | Alert::RecordOverflow
        | Alert::DecompressionFailure
        | Alert::IllegalParameter
        | Alert::DecodeError
        | Alert::DecryptError
        | Alert::BadCertificateStatusResponse
        | Alert::UnknownPSKIdentity => {
            (Protocol, "the server refused what it received: something in between may have changed it")
        }
        Alert::Unknown(_) | _ => (Protocol, "the server ended TLS for a reason of its own"),
    };
    (problem, format!("{sentence} (TLS alert {})", u8::from(alert)).into())
}
