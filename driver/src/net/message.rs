//! Frames as the machine has them, and messages as tungstenite has them.

use tidegate_core::{CloseFrame, Frame};
use tungstenite::Message;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::protocol::frame::{CloseFrame as WsCloseFrame, Frame as WsFrame};

/// The longest close reason that fits into a control frame, in bytes (RFC 6455 §5.5).
const MAX_REASON: usize = 123;

/// What a peer's Close says.
pub(crate) fn received(frame: WsCloseFrame) -> CloseFrame {
    CloseFrame { code: frame.code.into(), reason: frame.reason.as_str().to_owned() }
}

pub(crate) fn sent(frame: Frame) -> Message {
    match frame {
        // As a raw frame: the text has been checked when the machine took it, and need not be again.
        Frame::Text(payload) => Message::Frame(WsFrame::message(payload, OpCode::Data(Data::Text), true)),
        Frame::Binary(payload) => Message::Binary(payload),
        Frame::Ping(payload) => Message::Ping(payload),
        // As a raw frame: tungstenite keeps one pong at a time, and this one would displace an answer (O2).
        Frame::Pong(payload) => Message::Frame(WsFrame::pong(payload)),
        Frame::Close(frame) => Message::Close(
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
    fn a_close_reason_is_cut_between_characters() {
        assert_eq!(cut("short".to_owned()), "short");
        assert_eq!(cut("x".repeat(124)), "x".repeat(123));
        assert_eq!(cut("ä".repeat(62)), "ä".repeat(61));
    }
}
