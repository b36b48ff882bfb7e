//! Reads the head of an HTTP answer, and keeps the bytes after it for the next reader.
//!
//! The bytes after the head must not become a WebSocket's read buffer. It would stay that small for the life of the
//! connection, and reads of 2 KiB would cost three times as much per message.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_io::AsyncRead;

use crate::net::socket::Prefixed;

/// Size of one read, in bytes. Most heads fit.
const CHUNK: usize = 2 * 1024;

/// The first bytes of every answer.
const MAGIC: &[u8] = b"HTTP/1.";

/// The first bytes of a TLS record with an alert, a TLS server's answer to plain HTTP (RFC 8446 §5.1).
const TLS_ALERT: &[u8] = &[0x15, 0x03];

/// Why there is no head.
#[derive(Debug)]
pub(crate) enum HeadError {
    /// The first bytes are of another protocol.
    NotHttp,
    /// The first bytes are of TLS.
    Tls,
    /// The head is longer than this many bytes.
    TooLong(usize),
    /// The peer closed the connection first.
    Ended,
    /// The connection broke.
    Io(io::Error),
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHttp => f.write_str("the answer is not HTTP/1.1: check host and port"),
            Self::Tls => f.write_str("the port speaks TLS: begin the URL with wss:// instead of ws://"),
            Self::TooLong(limit) => write!(f, "the head of the answer is longer than {limit} bytes"),
            Self::Ended => f.write_str("the connection was closed before the answer was complete"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

/// Reads a head of up to `limit` bytes. Returns the head with the empty line that ends it, and the stream from the byte
/// after it.
pub(crate) async fn read_head<S: AsyncRead + Unpin>(
    mut stream: S,
    limit: usize,
) -> Result<(Bytes, Prefixed<S>), HeadError> {
    let mut bytes = Vec::new();
    loop {
        // The end is at most three bytes long, and may be split between two reads.
        let from = bytes.len().saturating_sub(2);
        let read = poll_fn(|cx| poll_more(&mut stream, cx, &mut bytes)).await.map_err(HeadError::Io)?;
        if read == 0 {
            return Err(HeadError::Ended);
        }
        if let Some(len) = find_head(&bytes, from, limit)? {
            let mut head = Bytes::from(bytes);
            let prefix = Bytes::copy_from_slice(&head.split_off(len));
            return Ok((head, Prefixed::new(prefix, stream)));
        }
    }
}

/// Appends the bytes of one read. The buffer lives only during the poll: in the future, it would be most of an
/// attempt's memory.
pub(super) fn poll_more<S: AsyncRead + Unpin>(
    stream: &mut S,
    cx: &mut Context<'_>,
    bytes: &mut Vec<u8>,
) -> Poll<io::Result<usize>> {
    let mut chunk = [0; CHUNK];
    let read = ready!(Pin::new(stream).poll_read(cx, &mut chunk))?;
    bytes.extend_from_slice(&chunk[..read]);
    Poll::Ready(Ok(read))
}

/// Returns the length of the head, its empty line included, if the head ends at `from` or after.
fn find_head(bytes: &[u8], from: usize, limit: usize) -> Result<Option<usize>, HeadError> {
    // Checked before the head ends: a server of another protocol may never send its end.
    if !bytes.starts_with(&MAGIC[..bytes.len().min(MAGIC.len())]) {
        return match bytes.len() {
            // The second byte decides.
            1 if TLS_ALERT.starts_with(bytes) => Ok(None),
            _ if bytes.starts_with(TLS_ALERT) => Err(HeadError::Tls),
            _ => Err(HeadError::NotHttp),
        };
    }
    let end = (from..bytes.len()).find_map(|at| match &bytes[at..] {
        // A line feed alone may end a line as well (RFC 9112 §2.2).
        [b'\n', b'\r', b'\n', ..] => Some(at + 3),
        [b'\n', b'\n', ..] => Some(at + 2),
        [..] => None,
    });
    if end.unwrap_or(bytes.len()) > limit { Err(HeadError::TooLong(limit)) } else { Ok(end) }
}

#[cfg(test)]
mod tests {
    use futures_util::AsyncReadExt;
    use futures_util::io::Cursor;

    use super::*;

    const HEAD: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";
    const LIMIT: usize = 1024;

    async fn head_and_rest(bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let (head, mut stream) = read_head(Cursor::new(bytes), LIMIT).await.ok().unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        (head.to_vec(), rest)
    }

    fn error(bytes: &[u8]) -> String {
        block_on(read_head(Cursor::new(bytes), LIMIT)).err().unwrap().to_string()
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        futures_util::FutureExt::now_or_never(future).unwrap()
    }

    #[test]
    fn what_follows_the_head_comes_after_it() {
        for rest in [&b""[..], b"x", b"\r\n\r\n", &[7; 5000]] {
            let sent = [HEAD.as_bytes(), rest].concat();
            assert_eq!(block_on(head_and_rest(&sent)), (HEAD.as_bytes().to_vec(), rest.to_vec()));
        }
    }

    #[test]
    fn lines_may_end_in_a_line_feed_alone() {
        let sent = b"HTTP/1.1 101 x\nUpgrade: websocket\n\nrest";
        let (head, rest) = block_on(head_and_rest(sent));
        assert_eq!((head.len(), rest.as_slice()), (sent.len() - 4, &b"rest"[..]));
    }

    #[test]
    fn the_end_of_the_head_may_lie_across_any_two_reads() {
        let sent = [HEAD.as_bytes(), b"rest"].concat();
        for cut in 1..sent.len() {
            let parts = Cursor::new(&sent[..cut]).chain(Cursor::new(&sent[cut..]));
            let (head, _) = block_on(read_head(parts, LIMIT)).ok().unwrap();
            assert_eq!(head, HEAD.as_bytes(), "cut at {cut}");
        }
    }

    #[test]
    fn a_head_of_exactly_the_limit_is_taken_and_one_more_byte_is_not() {
        let padded = |len: usize| {
            let filler = "x".repeat(len - "HTTP/1.1 101 x\r\nA: \r\n\r\n".len());
            format!("HTTP/1.1 101 x\r\nA: {filler}\r\n\r\n").into_bytes()
        };
        assert_eq!(block_on(head_and_rest(&padded(LIMIT))).0.len(), LIMIT);
        assert_eq!(error(&padded(LIMIT + 1)), HeadError::TooLong(LIMIT).to_string());
    }

    #[test]
    fn errors() {
        assert_eq!(error(b"SSH-2.0-OpenSSH"), HeadError::NotHttp.to_string());
        assert_eq!(error(b"HTTP/2"), HeadError::NotHttp.to_string());
        assert_eq!(error(&[0x15, 0x03, 0x01, 0, 2, 2, 70]), HeadError::Tls.to_string());
        assert_eq!(error(&[0x15, 0x02]), HeadError::NotHttp.to_string());
        assert_eq!(error(b""), HeadError::Ended.to_string());
        assert_eq!(error(b"HTTP/1.1 101 x\r\n"), HeadError::Ended.to_string());
    }
}
