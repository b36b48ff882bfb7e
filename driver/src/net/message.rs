//! Frames as the machine has them, and messages as tungstenite has them.

use bytes::Bytes;
use tidegate_core::{CloseFrame, ConnectionFailure, Failure, Frame, Message};
use tungstenite::Message as Sent;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::protocol::frame::{CloseFrame as WsCloseFrame, Frame as WsFrame};

/// The longest close reason that fits into a control frame, in bytes (RFC 6455 §5.5).
const MAX_REASON: usize = 123;

/// What the payload of a peer's Close frame says (RFC 6455 §5.5.1).
///
/// # Errors
/// If it has half a code, one that must not be sent (§7.4; those of the IANA registry may), or a reason that is not UTF-8.
pub(crate) fn close_frame(payload: &Bytes) -> Result<Option<CloseFrame>, Failure> {
    let protocol = |detail: String| {
        Failure::Connection(ConnectionFailure::Protocol { code: CloseFrame::PROTOCOL_ERROR, detail })
    };
    let (code, reason) = match payload[..] {
        [] => return Ok(None),
        [_] => return Err(protocol("a Close frame has half a code".to_owned())),
        [high, low, ref reason @ ..] => (u16::from_be_bytes([high, low]), reason),
    };
    if !CloseFrame::may_be_sent(code) {
        return Err(protocol(format!("a Close frame has the code {code}, which must not be sent")));
    }
    match std::str::from_utf8(reason) {
        Ok(reason) => Ok(Some(CloseFrame { code, reason: reason.to_owned() })),
        Err(_) => Err(Failure::Connection(ConnectionFailure::Protocol {
            code: CloseFrame::INVALID_DATA,
            detail: "the reason of a Close frame is not UTF-8".to_owned(),
        })),
    }
}

pub(crate) fn sent(frame: Frame) -> Sent {
    match frame {
        // As a raw frame: the text has been checked when the machine took it, and need not be again.
        Frame::Message(Message::Text(payload)) => {
            Sent::Frame(WsFrame::message(payload, OpCode::Data(Data::Text), true))
        }
        Frame::Message(Message::Binary(payload)) => Sent::Binary(payload),
        Frame::Ping(payload) => Sent::Ping(payload),
        // As a raw frame: tungstenite keeps one pong at a time, and this one would displace an answer (O2).
        Frame::Pong(payload) => Sent::Frame(WsFrame::pong(payload)),
        Frame::Close(frame) => Sent::Close(
            frame.map(|frame| WsCloseFrame { code: frame.code.into(), reason: cut(frame.reason).into() }),
        ),
    }
}

/// A longer reason would make the frame invalid, and the peer would see a protocol error instead of the code.
fn cut(mut reason: String) -> String {
    let mut end = reason.len().min(MAX_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason.truncate(end);
    reason
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_frame_is_reported_as_it_came() {
        let received = |payload: &[u8]| close_frame(&Bytes::copy_from_slice(payload));
        assert_eq!(received(b""), Ok(None));
        for code in [1000, 1003, 1007, 1013, 1014, 3000, 4999_u16] {
            let payload = [&code.to_be_bytes()[..], "caf\u{e9}".as_bytes()].concat();
            assert_eq!(received(&payload), Ok(Some(CloseFrame { code, reason: "caf\u{e9}".to_owned() })));
        }
    }

    #[test]
    fn a_close_frame_that_must_not_be_sent_is_named() {
        let failure = |payload: &[u8]| match close_frame(&Bytes::copy_from_slice(payload)) {
            Err(Failure::Connection(ConnectionFailure::Protocol { code, detail })) => (code, detail),
            other => panic!("{other:?}"),
        };
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, u16::MAX] {
            let (answer, detail) = failure(&code.to_be_bytes());
            assert_eq!(answer, 1002);
            assert!(detail.contains(&format!("the code {code},")), "{detail}");
        }
        assert_eq!(failure(b"\x03").0, 1002);
        assert_eq!(failure(b"\x03\xe8\xff").0, 1007);
    }

    #[test]
    fn a_close_reason_is_cut_between_characters() {
        assert_eq!(cut("short".to_owned()), "short");
        assert_eq!(cut("x".repeat(124)), "x".repeat(123));
        assert_eq!(cut("ä".repeat(62)), "ä".repeat(61));
    }
}
