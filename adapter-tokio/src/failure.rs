//! Turns the errors of the libraries below into the machine's [`Failure`].
//!
//! Variant by variant: some errors of tungstenite quote header values, URLs or bytes of the peer in their text, and
//! those must not get into a detail (T3).

use std::io;
use std::time::SystemTime;

use async_tungstenite::tungstenite::Error;
use async_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tidegate_driver::core::{Failure, TlsProblem};
use tokio_rustls::rustls;

use crate::head::HeadFault;
use crate::retry_after::retry_after;

/// How a connection that just ended, without Close, is described.
const BROKEN_OFF: &str = "the peer closed the connection without a closing handshake";

/// Why the upgrade failed.
pub(crate) fn of_upgrade(error: Error) -> Failure {
    let detail = match error {
        Error::Http(response) => {
            return Failure::Rejected {
                status: response.status().as_u16(),
                retry_after: retry_after(response.headers(), SystemTime::now()),
            };
        }
        Error::Io(error) => return of_upgrade_io(&error),
        Error::Protocol(ProtocolError::HandshakeIncomplete) => "its head breaks off".to_owned(),
        Error::Protocol(error) => error.to_string(),
        Error::Capacity(error) => error.to_string(),
        Error::AttackAttempt => "its head is too long".to_owned(),
        Error::Utf8(_) => "a header of the handshake is not text".to_owned(),
        Error::HttpFormat(_) => "a header or the status is not valid HTTP".to_owned(),
        Error::Url(_) => "the URL cannot be asked for an upgrade".to_owned(),
        Error::Tls(_) => "TLS failed below it".to_owned(),
        Error::ConnectionClosed | Error::AlreadyClosed | Error::WriteBufferFull(_) => {
            "the connection closed below it".to_owned()
        }
    };
    Failure::Upgrade { detail }
}

fn of_upgrade_io(error: &io::Error) -> Failure {
    let inner = error.get_ref();
    if let Some(fault) = inner.and_then(|inner| inner.downcast_ref::<HeadFault>()) {
        let detail = fault.to_string();
        return match fault {
            HeadFault::NotHttp | HeadFault::TooLong => Failure::Upgrade { detail },
            HeadFault::Ended => Failure::Io { detail },
        };
    }
    // With TLS 1.3 a server refuses the client's certificate only after the client's side of TLS is done.
    if inner.is_some_and(|inner| inner.is::<rustls::Error>()) && !broken_off(error) {
        return Failure::Tls { problem: TlsProblem::Other, detail: error.to_string() };
    }
    Failure::Io { detail: error.to_string() }
}

/// Why an open connection failed.
pub(crate) fn of_connection(error: Error) -> Failure {
    let detail = match error {
        Error::Io(error) => return of_io(&error),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
            return Failure::Io { detail: BROKEN_OFF.to_owned() };
        }
        Error::ConnectionClosed | Error::AlreadyClosed => {
            return Failure::Io { detail: "the connection is closed".to_owned() };
        }
        Error::WriteBufferFull(_) => {
            return Failure::Io { detail: "too much is waiting to be written".to_owned() };
        }
        Error::Capacity(CapacityError::MessageTooLong { size, max_size }) => {
            format!("a frame or message of {size} bytes is over the limit of {max_size}")
        }
        Error::Capacity(error @ CapacityError::TooManyHeaders) => error.to_string(),
        Error::Protocol(error) => error.to_string(),
        Error::Utf8(_) => "a text message or a close reason is not UTF-8".to_owned(),
        Error::Tls(_) => "TLS failed below it".to_owned(),
        Error::Http(_) | Error::HttpFormat(_) | Error::Url(_) | Error::AttackAttempt => {
            "HTTP on an open connection".to_owned()
        }
    };
    Failure::Protocol { detail }
}

fn of_io(error: &io::Error) -> Failure {
    let detail = if broken_off(error) { BROKEN_OFF.to_owned() } else { error.to_string() };
    Failure::Io { detail }
}

/// Whether TCP ended below TLS, without TLS's own goodbye.
fn broken_off(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof
}

#[cfg(test)]
mod tests {
    use super::*;

    /// T3: these variants carry what a peer sent, or what the application wanted to send.
    #[test]
    fn no_detail_quotes_what_was_sent() {
        use async_tungstenite::tungstenite::{Message, error::UrlError};
        let secret = "hunter2";
        let errors = || {
            [
                Error::Utf8(secret.to_owned()),
                Error::Url(UrlError::UnableToConnect(secret.to_owned())),
                Error::WriteBufferFull(Box::new(Message::text(secret))),
                Error::HttpFormat(http::Uri::try_from("http://hunter2 ").unwrap_err().into()),
            ]
        };
        let failures = errors().into_iter().map(of_upgrade).chain(errors().into_iter().map(of_connection));
        for failure in failures {
            assert!(!failure.to_string().contains(secret), "{failure}");
        }
    }

    #[test]
    fn an_end_without_goodbye_is_an_io_failure() {
        let expected = Failure::Io { detail: BROKEN_OFF.to_owned() };
        let tls = io::Error::new(io::ErrorKind::UnexpectedEof, "no close_notify");
        assert_eq!(of_connection(Error::Io(tls)), expected);
        assert_eq!(of_connection(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)), expected);
    }
}
