//! What went wrong in TLS, and what may help.

use std::io;

use futures_rustls::rustls::{AlertDescription, CertificateError, Error};
use tidegate_core::{Failure, TlsProblem};

/// Why TLS failed below this error; `None` if it is none of TLS's.
pub(crate) fn in_io(error: &io::Error) -> Option<Failure> {
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    Some(of_tls(error))
}

/// Why the handshake failed.
pub(crate) fn of_handshake(error: &io::Error) -> Failure {
    in_io(error).unwrap_or_else(|| {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return unusable("the server closed the connection in the midst of the handshake");
        }
        unusable(error)
    })
}

/// Without a known cause, or before TLS could be tried.
pub(crate) fn unusable(detail: impl ToString) -> Failure {
    Failure::Tls { problem: TlsProblem::Other, detail: detail.to_string() }
}

fn of_tls(error: &Error) -> Failure {
    let problem = problem(error);
    let detail = match hint(error, problem) {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    };
    Failure::Tls { problem, detail }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "rustls may add to its enums")]
fn problem(error: &Error) -> TlsProblem {
    match error {
        Error::InvalidCertificate(error) => of_certificate(error),
        Error::AlertReceived(alert) => of_alert(*alert),
        Error::PeerIncompatible(_) | Error::NoApplicationProtocol | Error::InvalidMessage(_) => {
            TlsProblem::NoCommonProtocol
        }
        _ => TlsProblem::Other,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "rustls may add to its enums")]
fn of_certificate(error: &CertificateError) -> TlsProblem {
    match error {
        CertificateError::UnknownIssuer => TlsProblem::UnknownIssuer,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            TlsProblem::WrongHost
        }
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => TlsProblem::Expired,
        _ => TlsProblem::Other,
    }
}

/// What the server says of this side.
#[expect(clippy::wildcard_enum_match_arm, reason = "rustls may add to its enums")]
const fn of_alert(alert: AlertDescription) -> TlsProblem {
    match alert {
        AlertDescription::ProtocolVersion
        | AlertDescription::HandshakeFailure
        | AlertDescription::InsufficientSecurity
        | AlertDescription::NoApplicationProtocol => TlsProblem::NoCommonProtocol,
        AlertDescription::CertificateRequired
        | AlertDescription::NoCertificate
        | AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied => TlsProblem::ClientCertificate,
        _ => TlsProblem::Other,
    }
}

const fn hint(error: &Error, problem: TlsProblem) -> Option<&'static str> {
    match (problem, error) {
        (TlsProblem::UnknownIssuer, _) => {
            Some("if you trust its authority, give that authority's certificate as ca_file")
        }
        (TlsProblem::WrongHost, _) => Some("connect to a name that the certificate is for"),
        (TlsProblem::Expired, _) => {
            Some("have the server's certificate renewed, or set this machine's clock right")
        }
        (TlsProblem::NoCommonProtocol, Error::InvalidMessage(_)) => {
            Some("what answers may not speak TLS at all: a plain server's URL begins with ws")
        }
        // Before TLS 1.3 there was no alert of its own for a certificate that is missing.
        (TlsProblem::NoCommonProtocol, Error::AlertReceived(AlertDescription::HandshakeFailure)) => {
            Some("the server wants other cipher suites, or a client certificate")
        }
        (TlsProblem::NoCommonProtocol, _) => {
            Some("the server must speak TLS 1.2 or 1.3, and HTTP/1.1 if it asks for ALPN")
        }
        (TlsProblem::ClientCertificate, _) => {
            Some("give a certificate that the server knows as client_certificate_files")
        }
        (TlsProblem::Other, _) => None,
    }
}
