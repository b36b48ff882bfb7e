//! Messages of the server: JSON at every size, so that clients that parse receive the same messages as others.

/// One price, repeated as often as it fits.
const RECORD: &str = r#"{"p":64123.5}"#;

/// The shortest payload: one price in an array.
pub(crate) const SHORTEST: usize = RECORD.len() + 2;

/// An array of prices, padded with spaces to exactly `size` bytes.
pub(crate) fn json(size: usize) -> Vec<u8> {
    assert!(size >= SHORTEST, "a payload of {size} bytes has no room for a price");
    // Each further price takes a comma too.
    let records = 1 + (size - SHORTEST) / (RECORD.len() + 1);
    let mut text = String::with_capacity(size);
    text.push('[');
    for number in 0..records {
        if number > 0 {
            text.push(',');
        }
        text.push_str(RECORD);
    }
    text.push(']');
    text.extend(std::iter::repeat_n(' ', size - text.len()));
    text.into_bytes()
}

/// `number` in decimal, padded with spaces to `size` bytes; longer if it does not fit.
pub(crate) fn number(number: u64, size: usize) -> Vec<u8> {
    format!("{number:<size$}").into_bytes()
}

/// Parses the text of [`number`].
pub(crate) fn parse_number(text: &str) -> Option<u64> {
    text.trim_end().parse().ok()
}

/// A text frame of a server: unfragmented, not masked (RFC 6455 §5.2).
pub(crate) fn text_frame(payload: &[u8]) -> Vec<u8> {
    const FIN_TEXT: u8 = 0x81;
    let mut frame = Vec::with_capacity(payload.len() + 10);
    frame.push(FIN_TEXT);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short @ ..126), _) => frame.push(short),
        (_, Ok(medium)) => {
            frame.push(126);
            frame.extend(medium.to_be_bytes());
        }
        (_, Err(_)) => {
            frame.push(127);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_is_json_of_exactly_that_size() {
        for size in [SHORTEST, 16, 28, 29, 30, 64, 256, 1000, 1 << 14] {
            let payload = json(size);
            assert_eq!(payload.len(), size);
            let value: serde_json::Value = serde_json::from_slice(&payload).unwrap();
            let prices = value.as_array().unwrap();
            assert!(!prices.is_empty() && prices.iter().all(|price| price["p"] == 64123.5));
            // No more fit.
            assert!(size - prices.len() * 14 - 1 < 14, "{size}: {}", prices.len());
        }
    }

    #[test]
    fn a_number_comes_back() {
        for given in [0, 7, u64::MAX] {
            let text = number(given, 64);
            assert_eq!(text.len(), 64);
            assert_eq!(parse_number(std::str::from_utf8(&text).unwrap()), Some(given));
        }
        assert_eq!(parse_number("x"), None);
    }

    #[test]
    fn the_three_lengths_of_a_frame() {
        assert_eq!(text_frame(b"ab"), b"\x81\x02ab");
        assert_eq!(text_frame(&[b'x'; 125])[..2], [0x81, 125]);
        assert_eq!(text_frame(&[b'x'; 126])[..4], [0x81, 126, 0, 126]);
        assert_eq!(text_frame(&[b'x'; 65535])[..4], [0x81, 126, 255, 255]);
        assert_eq!(text_frame(&vec![b'x'; 65536])[..10], [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
    }
}
