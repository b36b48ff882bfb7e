//! What travels: messages, frames and the names of connections.

use bytes::Bytes;
use tidegate_core::{CloseFrame, ConnectionId, Frame, Message};

#[test]
fn a_message_gives_its_payload_back_whatever_its_kind() {
    for payload in ["", "abc"] {
        let bytes = Bytes::copy_from_slice(payload.as_bytes());
        for message in [Message::Text(bytes.clone()), Message::Binary(bytes.clone())] {
            assert_eq!(message.payload(), &bytes);
            assert_eq!((message.len(), message.is_empty()), (payload.len(), payload.is_empty()));
            assert_eq!(message.into_payload(), bytes);
        }
    }
}

#[test]
fn only_text_that_is_utf8_is_shown_as_text() {
    assert_eq!(Message::from("abc").as_text(), Some("abc"));
    assert_eq!(Message::Binary(Bytes::from_static(b"abc")).as_text(), None);
    assert_eq!(Message::Text(Bytes::from_static(b"\xff")).as_text(), None);
}

#[test]
fn strings_become_text_and_bytes_become_binary() {
    let bytes = Bytes::from_static(b"abc");
    assert_eq!(Message::from("abc"), Message::Text(bytes.clone()));
    assert_eq!(Message::from("abc".to_owned()), Message::Text(bytes.clone()));
    assert_eq!(Message::from(b"abc".to_vec()), Message::Binary(bytes.clone()));
    assert_eq!(Message::from(bytes.clone()), Message::Binary(bytes.clone()));
    assert_eq!(Frame::from(Message::Text(bytes.clone())), Frame::Message(Message::Text(bytes.clone())));
    assert_eq!(Frame::from(Message::Binary(bytes.clone())), Frame::Message(Message::Binary(bytes)));
}

#[test]
fn a_frame_is_as_long_as_its_payload_and_a_close_as_its_reason() {
    for length in [0, 6] {
        let payload = Bytes::from(vec![0; length]);
        let close = Frame::Close(Some(CloseFrame { code: 4001, reason: "x".repeat(length) }));
        let frames = [
            Frame::Message(Message::Text(payload.clone())),
            Frame::Message(Message::Binary(payload.clone())),
            Frame::Ping(payload.clone()),
            Frame::Pong(payload),
            close,
        ];
        for frame in frames {
            assert_eq!((frame.len(), frame.is_empty()), (length, length == 0), "{frame:?}");
        }
    }
    assert_eq!((Frame::Close(None).len(), Frame::Close(None).is_empty()), (0, true));
}

#[test]
fn t3_a_frame_shows_its_kind_and_its_length() {
    let payload = Bytes::from_static(b"s3cret");
    assert_eq!(format!("{:?}", Message::Text(payload.clone())), "Text(6 bytes)");
    assert_eq!(format!("{:?}", Message::Binary(payload.clone())), "Binary(6 bytes)");
    let close = Frame::Close(Some(CloseFrame { code: 4001, reason: "s3cret".to_owned() }));
    let table = [
        (Frame::Message(Message::Text(payload.clone())), "Text(6 bytes)"),
        (Frame::Message(Message::Binary(payload.clone())), "Binary(6 bytes)"),
        (Frame::Ping(payload.clone()), "Ping(6 bytes)"),
        (Frame::Pong(payload), "Pong(6 bytes)"),
        (Frame::Close(None), "Close(None)"),
        (close, "Close(Some(CloseFrame(4001, reason of 6 bytes)))"),
    ];
    for (frame, shown) in table {
        assert_eq!(format!("{frame:?}"), shown);
    }
}

#[test]
fn a_connection_is_shown_by_its_number() {
    let id = ConnectionId::new(42);
    assert_eq!((id.get(), id.to_string().as_str()), (42, "42"));
}
