//! Errors of an open connection, as the machine's [`Failure`].
//!
//! Errors of tungstenite are matched variant by variant: some quote header values, URLs or bytes of the peer, which
//! must not get into a detail (T3).

use std::io;

use tidegate_core::{CloseFrame, ConnectFailure, ConnectionFailure, Failure};
use tungstenite::Error;
use tungstenite::error::{CapacityError, ProtocolError};

use super::tls;
use crate::secrets::Secrets;

/// Returns why the application could not connect. Its error may contain secrets of the request (T3).
pub(crate) fn of_application(error: &io::Error, secrets: &Secrets) -> Failure {
    tls::failure::in_io(error).unwrap_or_else(|| {
        Failure::Connect(ConnectFailure::Custom { detail: secrets.hidden_in(&error.to_string()) })
    })
}

/// Returns why an open connection failed.
pub(crate) fn of_connection(error: Error) -> Failure {
    let (code, detail) = match error {
        Error::Io(error) => return of_io(&error),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => return without_close(),
        Error::ConnectionClosed | Error::AlreadyClosed => {
            return Failure::io("the connection is closed");
        }
        Error::WriteBufferFull(_) => {
            return Failure::io("the write buffer is full");
        }
        Error::Capacity(CapacityError::MessageTooLong { size, max_size }) => {
            let detail =
                format!("{size} bytes, over the limit of {max_size} (max_frame_size, max_message_size)");
            (CloseFrame::TOO_BIG, detail)
        }
        Error::Capacity(error @ CapacityError::TooManyHeaders) => {
            (CloseFrame::PROTOCOL_ERROR, error.to_string())
        }
        Error::Protocol(error) => (CloseFrame::PROTOCOL_ERROR, error.to_string()),
        Error::Utf8(_) => return not_utf8(),
        Error::Tls(_) => (CloseFrame::PROTOCOL_ERROR, "TLS failed below the WebSocket".to_owned()),
        Error::Http(_) | Error::HttpFormat(_) | Error::Url(_) | Error::AttackAttempt => {
            (CloseFrame::PROTOCOL_ERROR, "an HTTP error on an open connection".to_owned())
        }
    };
    Failure::Connection(ConnectionFailure::Protocol { code, detail })
}

/// Returns why a frame could not be sent. It does not blame the peer, since reading reports what the peer did.
pub(crate) fn of_write(error: Error) -> Failure {
    let failure = of_connection(error);
    if let Failure::Connection(ConnectionFailure::Protocol { detail, .. }) = &failure {
        return Failure::io(format!("a frame could not be sent: {detail}"));
    }
    failure
}

/// Returns the failure of a connection that ended without a Close frame.
pub(crate) fn without_close() -> Failure {
    Failure::io("the peer closed the connection without a closing handshake")
}

/// Returns the failure for text that is not UTF-8. The text is not quoted (T3).
pub(crate) fn not_utf8() -> Failure {
    Failure::Connection(ConnectionFailure::Protocol {
        code: CloseFrame::INVALID_DATA,
        detail: "a text message is not UTF-8".to_owned(),
    })
}

/// Returns why a read or write failed.
pub(crate) fn of_io(error: &io::Error) -> Failure {
    // TCP ended below TLS, without TLS's own close_notify.
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return without_close();
    }
    tls::failure::in_io(error).unwrap_or_else(|| Failure::io(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// T3: these variants carry what a peer sent, or what the application wanted to send.
    #[test]
    fn no_detail_quotes_what_was_sent() {
        use tungstenite::{Message, error::UrlError};
        let secret = "hunter2";
        let errors = [
            Error::Utf8(secret.to_owned()),
            Error::Url(UrlError::UnableToConnect(secret.to_owned())),
            Error::WriteBufferFull(Box::new(Message::text(secret))),
            Error::HttpFormat(http::Uri::try_from("http://hunter2 ").unwrap_err().into()),
        ];
        for failure in errors.into_iter().map(of_connection) {
            assert!(!failure.to_string().contains(secret), "{failure}");
        }
    }

    /// The peer is not to blame for a frame that cannot be sent.
    #[test]
    fn a_failed_write_is_an_io_failure() {
        let errors = [
            Error::Protocol(ProtocolError::SendAfterClosing),
            Error::Capacity(CapacityError::MessageTooLong { size: 2, max_size: 1 }),
            Error::AttackAttempt,
        ];
        for failure in errors.into_iter().map(of_write) {
            assert_eq!(failure.kind(), "io", "{failure}");
        }
    }

    /// rustls's own text is mostly Debug output.
    #[test]
    fn an_error_of_tls_is_called_that_on_an_open_connection_too() {
        let error = io::Error::new(io::ErrorKind::InvalidData, futures_rustls::rustls::Error::DecryptError);
        let failure = of_connection(Error::Io(error));
        assert!(
            failure.kind() == "tls_protocol" && failure.to_string().contains("not valid TLS"),
            "{failure}"
        );
    }

    #[test]
    fn an_end_without_goodbye_is_an_io_failure() {
        let expected = without_close();
        let tls = io::Error::new(io::ErrorKind::UnexpectedEof, "no close_notify");
        assert_eq!(of_connection(Error::Io(tls)), expected);
        assert_eq!(of_connection(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)), expected);
    }
}
