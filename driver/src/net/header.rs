//! Decides who parses the next frame. Messages of one frame take a fast path at half of tungstenite's cost, and control
//! frames one that never writes. Tungstenite reads fragments, and judges all other frames.

use std::io::Cursor;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::OpCode;

/// What the bytes at hand begin with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Header {
    /// Less than a header.
    Partial,
    /// The header, `header` bytes long, of a frame that is a message, whose payload is `len` bytes long.
    Message { kind: Kind, header: usize, len: usize },
    /// The two bytes of a valid control frame, whose payload is `len` bytes long.
    Control { kind: Control, len: usize },
    /// Those of a control frame whose length takes more than one byte (RFC 6455 §5.5).
    LongControl,
    /// Any other frame, of `len` bytes in all.
    Other { len: u64, after: Between },
}

/// Kind of a control frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    Close,
    Ping,
    Pong,
}

/// Of which kind a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Binary,
}

/// What the next frame comes between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Between {
    Messages,
    /// Those of one message: only tungstenite knows what has come of it.
    Fragments,
}

impl Header {
    /// Reads the header that `bytes` begin with (RFC 6455 §5.2). A message of more than `largest` bytes is tungstenite's,
    /// which refuses it.
    #[inline]
    pub(crate) fn read(bytes: &[u8], between: Between, largest: usize) -> Self {
        if let Between::Messages = between
            && let Some((kind, header, len)) = message(bytes)
            && let Ok(len) = usize::try_from(len)
            && len <= largest
        {
            return Self::Message { kind, header, len };
        }
        Self::other(bytes, between)
    }

    #[cold]
    fn other(bytes: &[u8], between: Between) -> Self {
        match *bytes {
            [first @ 0x88..=0x8a, len @ ..=125, ..] => {
                let kind = match first {
                    0x88 => Control::Close,
                    0x89 => Control::Ping,
                    _ => Control::Pong,
                };
                return Self::Control { kind, len: len.into() };
            }
            [0x88..=0x8a, 126 | 127, ..] => return Self::LongControl,
            _ => {}
        }
        let mut cursor = Cursor::new(bytes);
        match FrameHeader::parse(&mut cursor) {
            Ok(None) => Self::Partial,
            Ok(Some((header, len))) => {
                let after = match header.opcode {
                    OpCode::Control(_) => between,
                    OpCode::Data(_) if header.is_final => Between::Messages,
                    OpCode::Data(_) => Between::Fragments,
                };
                Self::Other { len: len.saturating_add(cursor.position()), after }
            }
            // Tungstenite will say so again, and nothing comes after it.
            Err(_) => Self::Other { len: u64::MAX, after: between },
        }
    }
}

/// A final text or binary frame, with no reserved bit and no mask.
#[inline]
fn message(bytes: &[u8]) -> Option<(Kind, usize, u64)> {
    let (kind, rest) = match bytes {
        [0x81, rest @ ..] => (Kind::Text, rest),
        [0x82, rest @ ..] => (Kind::Binary, rest),
        _ => return None,
    };
    let (&len, rest) = rest.split_first()?;
    match len {
        0..=125 => Some((kind, 2, len.into())),
        126 => Some((kind, 4, u16::from_be_bytes(*rest.first_chunk()?).into())),
        127 => Some((kind, 10, u64::from_be_bytes(*rest.first_chunk()?))),
        128..=255 => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGEST: usize = 1 << 20;

    fn read(bytes: &[u8]) -> Header {
        Header::read(bytes, Between::Messages, LARGEST)
    }

    #[test]
    fn a_final_data_frame_is_a_message_in_each_form_of_its_length() {
        let message = |kind, header, len| Header::Message { kind, header, len };
        assert_eq!(read(&[0x81, 0]), message(Kind::Text, 2, 0));
        assert_eq!(read(&[0x82, 125, 1, 2]), message(Kind::Binary, 2, 125));
        assert_eq!(read(&[0x82, 126, 1, 2]), message(Kind::Binary, 4, 0x102));
        assert_eq!(read(&[0x81, 127, 0, 0, 0, 0, 0, 0x10, 0, 0]), message(Kind::Text, 10, LARGEST));
    }

    #[test]
    fn less_than_a_header_waits_for_more() {
        let headers: [&[u8]; 4] =
            [&[0x82, 126, 1, 2], &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0], &[0x89, 0], &[0x82, 0x81, 1, 2, 3, 4]];
        for header in headers {
            for len in 0..header.len() {
                assert_eq!(read(&header[..len]), Header::Partial, "{:?}", &header[..len]);
            }
            assert_ne!(read(header), Header::Partial);
        }
    }

    #[test]
    fn all_that_is_no_message_is_left_whole_to_tungstenite() {
        let other = |len, after| Header::Other { len, after };
        assert_eq!(read(&[0x01, 3]), other(5, Between::Fragments), "the first fragment");
        assert_eq!(read(&[0x81, 0x83, 1, 2, 3, 4]), other(9, Between::Messages), "masked");
        assert_eq!(read(&[0xc1, 126, 1, 0]), other(260, Between::Messages), "a reserved bit");
        assert_eq!(read(&[0x83, 0]), other(u64::MAX, Between::Messages), "a reserved opcode");
        let too_long = [0x82, 127, 0, 0, 0, 0, 0, 0x10, 0, 1];
        assert_eq!(read(&too_long), other(LARGEST as u64 + 11, Between::Messages));
        assert_eq!(
            read(&[0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255]),
            other(u64::MAX, Between::Messages)
        );
    }

    #[test]
    fn a_control_frame_is_valid_with_a_length_of_one_byte() {
        let control = |kind, len| Header::Control { kind, len };
        assert_eq!(read(&[0x88, 0]), control(Control::Close, 0));
        assert_eq!(read(&[0x8a, 125]), control(Control::Pong, 125));
        assert_eq!(Header::read(&[0x89, 3], Between::Fragments, LARGEST), control(Control::Ping, 3));
        assert_eq!(read(&[0x89, 126]), Header::LongControl);
        assert_eq!(read(&[0x88, 127]), Header::LongControl);
        let other = |len| Header::Other { len, after: Between::Messages };
        assert_eq!(read(&[0x09, 3]), other(5), "a fragment");
        assert_eq!(read(&[0x99, 3]), other(5), "a reserved bit");
        assert_eq!(read(&[0x89, 0x80, 1, 2, 3, 4]), other(6), "masked");
    }

    #[test]
    fn a_fragmented_message_lasts_until_its_last_fragment() {
        let read = |bytes| Header::read(bytes, Between::Fragments, LARGEST);
        let other = |len, after| Header::Other { len, after };
        assert_eq!(read(&[0x00, 1]), other(3, Between::Fragments));
        assert_eq!(read(&[0x80, 1]), other(3, Between::Messages));
        assert_eq!(read(&[0x82, 1]), other(3, Between::Messages), "tungstenite refuses it");
    }
}
