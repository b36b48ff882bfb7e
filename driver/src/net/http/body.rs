//! The beginning of a refusal's body, as text.

use std::future::poll_fn;
use std::pin::pin;

use futures_io::AsyncRead;
use futures_util::future::select;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING};
use tidegate_core::Refusal;

use super::head::poll_more;

/// Maximum number of bytes to read, chunk sizes included. This is more than is kept, so that a secret across the cut is
/// replaced as a whole.
const MAX_READ: usize = 2 * Refusal::MAX_LEN;

/// Reads the body until it ends, the connection ends, `timeout` is ready, or [`MAX_READ`] is reached. A compressed body
/// is not read, since none was requested.
pub(crate) async fn read<S: AsyncRead + Unpin>(
    mut stream: S,
    status: u16,
    headers: &HeaderMap,
    timeout: impl Future<Output = ()>,
) -> String {
    if matches!(status, 204 | 304) || headers.contains_key(CONTENT_ENCODING) {
        return String::new();
    }
    let length = BodyLength::of(headers);
    let mut bytes = Vec::new();
    let reading = async {
        while bytes.len() < MAX_READ && !length.is_whole(&bytes) {
            match poll_fn(|cx| poll_more(&mut stream, cx, &mut bytes)).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
    };
    select(pin!(reading), pin!(timeout)).await;
    String::from_utf8_lossy(&length.body(&bytes)).into_owned()
}

/// How the body ends (RFC 9112 §6.3).
enum BodyLength {
    Bytes(usize),
    Chunked,
    /// The body ends with the connection.
    UntilClose,
}

impl BodyLength {
    fn of(headers: &HeaderMap) -> Self {
        if headers.contains_key(TRANSFER_ENCODING) {
            return Self::Chunked;
        }
        let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.trim().parse().ok());
        length.map_or(Self::UntilClose, Self::Bytes)
    }

    fn is_whole(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Bytes(length) => bytes.len() >= *length,
            Self::Chunked => chunks(bytes).1,
            Self::UntilClose => false,
        }
    }

    fn body(&self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Bytes(length) => bytes[..bytes.len().min(*length)].to_vec(),
            Self::Chunked => chunks(bytes).0,
            Self::UntilClose => bytes.to_vec(),
        }
    }
}

/// Returns the content of the chunks that have arrived, and whether the last one has (RFC 9112 §7.1). An invalid chunk
/// ends the body.
fn chunks(mut bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let (start, size) = match httparse::parse_chunk_size(bytes) {
            Ok(httparse::Status::Complete((_, 0))) | Err(httparse::InvalidChunkSize) => return (body, true),
            Ok(httparse::Status::Partial) => return (body, false),
            Ok(httparse::Status::Complete((start, size))) => {
                (start, usize::try_from(size).unwrap_or(usize::MAX))
            }
        };
        let rest = &bytes[start..];
        let Some((chunk, rest)) = rest.split_at_checked(size) else {
            body.extend_from_slice(rest);
            return (body, false);
        };
        body.extend_from_slice(chunk);
        // The line break after a chunk.
        bytes = rest.get(2..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::io::Cursor;
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn body(headers: &[(HeaderName, &'static str)], bytes: &[u8]) -> String {
        let headers = headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
        let headers = headers.collect();
        read(Cursor::new(bytes), 400, &headers, std::future::pending())
            .now_or_never()
            .expect("it has all there is")
    }

    #[test]
    fn a_body_ends_where_its_framing_says() {
        let chunked = [(TRANSFER_ENCODING, "chunked")];
        let table: [(&[_], &[u8], &str); 11] = [
            (&[], b"to the end", "to the end"),
            (&[(CONTENT_LENGTH, "3")], b"onetwo", "one"),
            (&[(CONTENT_LENGTH, "30")], b"broken off", "broken off"),
            (&[(CONTENT_LENGTH, "0")], b"", ""),
            (&chunked, b"3\r\none\r\n5;x=y\r\n two \r\n0\r\n\r\nmore", "one two "),
            (&chunked, b"3\r\none\r\n9\r\nhalf", "onehalf"),
            (&chunked, b"3\r\none\r", "one"),
            (&chunked, b"ffffffffffffffff\r\nlong", "long"),
            (&chunked, b"not chunked", ""),
            (&[(CONTENT_ENCODING, "gzip")], b"\x1f\x8b", ""),
            (&[], b"caf\xc3\xa9 \xff.", "café \u{fffd}."),
        ];
        for (headers, bytes, expected) in table {
            assert_eq!(body(headers, bytes), expected, "{headers:?} {bytes:?}");
        }
    }
}
