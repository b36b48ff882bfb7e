//! Keeps what follows the head of the answer to the upgrade away from whoever reads that head.
//!
//! Tungstenite would make its read buffer from the bytes it finds behind the head, and that buffer would stay small for
//! the life of the connection: reads of 2 KiB instead of full ones, three times the cost per message.

use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The longest head that is taken, in bytes. Tungstenite's own parser stops there too.
const MAX_HEAD: usize = 64 * 1024;

/// Read from the socket at a time while the head is awaited, in bytes: most heads fit.
const CHUNK: usize = 2 * 1024;

/// How every answer to the upgrade begins.
const MAGIC: &[u8] = b"HTTP/1.";

/// A stream whose reader sees the head of an HTTP answer, whole, and then an end.
///
/// The head is handed over only when it is complete: tungstenite takes many small reads for an attack.
pub(crate) struct HeadLimited<S> {
    stream: S,
    /// All that was read: the head, and possibly the first frames behind it.
    bytes: Vec<u8>,
    head: Head,
}

/// How far the head has come.
enum Head {
    /// Its end is not yet among the bytes.
    Awaited,
    /// It is the first `len` bytes, of which the reader has had `served`.
    Complete { len: usize, served: usize },
}

/// Why there will be no head.
#[derive(Debug)]
pub(crate) enum HeadFault {
    /// The first bytes are of another protocol.
    NotHttp,
    /// It goes on past [`MAX_HEAD`].
    TooLong,
    /// The peer closed the connection first.
    Ended,
}

impl fmt::Display for HeadFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHttp => f.write_str("what came back is not HTTP/1.1"),
            Self::TooLong => write!(f, "the head of the answer is longer than {MAX_HEAD} bytes"),
            Self::Ended => f.write_str("the server closed the connection before it had answered the upgrade"),
        }
    }
}

impl std::error::Error for HeadFault {}

impl<S> HeadLimited<S> {
    pub(crate) const fn new(stream: S) -> Self {
        Self { stream, bytes: Vec::new(), head: Head::Awaited }
    }

    /// The stream from the byte after the head on.
    pub(crate) fn into_rest(mut self) -> Prefixed<S> {
        let prefix = match self.head {
            Head::Awaited => self.bytes,
            Head::Complete { len, .. } => self.bytes.split_off(len),
        };
        Prefixed { prefix: prefix.into(), stream: self.stream }
    }
}

impl<S: AsyncRead + Unpin> HeadLimited<S> {
    /// Reads until the end of the head is there, and tells its length.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        loop {
            let mut chunk = [MaybeUninit::uninit(); CHUNK];
            let mut chunk = ReadBuf::uninit(&mut chunk);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut chunk))?;
            if chunk.filled().is_empty() {
                return Poll::Ready(Err(io::Error::other(HeadFault::Ended)));
            }
            // The end may lie across the border of two reads; it is at most three bytes long.
            let from = self.bytes.len().saturating_sub(2);
            self.bytes.extend_from_slice(chunk.filled());
            match find_head(&self.bytes, from) {
                Ok(Some(len)) => return Poll::Ready(Ok(len)),
                Ok(None) => {}
                Err(fault) => return Poll::Ready(Err(io::Error::other(fault))),
            }
        }
    }
}

/// The length of the head, its empty line included, if that is among the bytes at `from` and after.
fn find_head(bytes: &[u8], from: usize) -> Result<Option<usize>, HeadFault> {
    // At once, not at the end of a head that may never come: a server of another protocol waits for us to speak.
    let known = bytes.len().min(MAGIC.len());
    if bytes[..known] != MAGIC[..known] {
        return Err(HeadFault::NotHttp);
    }
    let end = (from..bytes.len()).find_map(|at| match &bytes[at..] {
        // A line feed alone may end a line as well (RFC 9112 §2.2), and tungstenite's parser lets it.
        [b'\n', b'\r', b'\n', ..] => Some(at + 3),
        [b'\n', b'\n', ..] => Some(at + 2),
        [..] => None,
    });
    if end.unwrap_or(bytes.len()) > MAX_HEAD { Err(HeadFault::TooLong) } else { Ok(end) }
}

impl<S: AsyncRead + Unpin> AsyncRead for HeadLimited<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let (len, served) = match this.head {
            Head::Awaited => (ready!(this.poll_head(cx))?, 0),
            Head::Complete { len, served } => (len, served),
        };
        let part = (len - served).min(buf.remaining());
        buf.put_slice(&this.bytes[served..served + part]);
        this.head = Head::Complete { len, served: served + part };
        Poll::Ready(Ok(()))
    }
}

/// A stream that gives out some bytes it was given first, and then its own.
pub(crate) struct Prefixed<S> {
    prefix: Bytes,
    stream: S,
}

impl<S: AsyncRead + Unpin> AsyncRead for Prefixed<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.prefix.is_empty() {
            return Pin::new(&mut this.stream).poll_read(cx, buf);
        }
        let part = this.prefix.len().min(buf.remaining());
        buf.put_slice(&this.prefix.split_to(part));
        Poll::Ready(Ok(()))
    }
}

/// Writing goes straight through.
macro_rules! write_through {
    ($wrapper:ident) => {
        impl<S: AsyncWrite + Unpin> AsyncWrite for $wrapper<S> {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Pin::new(&mut self.get_mut().stream).poll_flush(cx)
            }

            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
            }
        }
    };
}

write_through!(HeadLimited);
write_through!(Prefixed);

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    const HEAD: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";

    async fn head_and_rest(bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let mut limited = HeadLimited::new(bytes);
        let mut head = Vec::new();
        limited.read_to_end(&mut head).await.unwrap();
        let mut rest = Vec::new();
        limited.into_rest().read_to_end(&mut rest).await.unwrap();
        (head, rest)
    }

    async fn fault(bytes: &[u8]) -> String {
        HeadLimited::new(bytes).read_to_end(&mut Vec::new()).await.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn what_follows_the_head_comes_after_it() {
        for rest in [&b""[..], b"x", b"\r\n\r\n", &[7; 5000]] {
            let sent = [HEAD.as_bytes(), rest].concat();
            assert_eq!(head_and_rest(&sent).await, (HEAD.as_bytes().to_vec(), rest.to_vec()));
        }
    }

    #[tokio::test]
    async fn lines_may_end_in_a_line_feed_alone() {
        let sent = b"HTTP/1.1 101 x\nUpgrade: websocket\n\nrest";
        let (head, rest) = head_and_rest(sent).await;
        assert_eq!((head.len(), rest.as_slice()), (sent.len() - 4, &b"rest"[..]));
    }

    #[tokio::test]
    async fn the_end_of_the_head_may_lie_across_any_two_reads() {
        let sent = [HEAD.as_bytes(), b"rest"].concat();
        for cut in 1..sent.len() {
            let mut limited = HeadLimited::new(sent[..cut].chain(&sent[cut..]));
            let mut head = Vec::new();
            limited.read_to_end(&mut head).await.unwrap();
            assert_eq!(head, HEAD.as_bytes(), "cut at {cut}");
        }
    }

    #[tokio::test]
    async fn a_head_of_exactly_the_limit_is_taken_and_one_more_byte_is_not() {
        let padded = |len: usize| {
            let filler = "x".repeat(len - "HTTP/1.1 101 x\r\nA: \r\n\r\n".len());
            format!("HTTP/1.1 101 x\r\nA: {filler}\r\n\r\n").into_bytes()
        };
        assert_eq!(head_and_rest(&padded(MAX_HEAD)).await.0.len(), MAX_HEAD);
        assert_eq!(fault(&padded(MAX_HEAD + 1)).await, HeadFault::TooLong.to_string());
    }

    #[tokio::test]
    async fn faults() {
        assert_eq!(fault(b"SSH-2.0-OpenSSH").await, HeadFault::NotHttp.to_string());
        assert_eq!(fault(b"HTTP/2").await, HeadFault::NotHttp.to_string());
        assert_eq!(fault(b"").await, HeadFault::Ended.to_string());
        assert_eq!(fault(b"HTTP/1.1 101 x\r\n").await, HeadFault::Ended.to_string());
    }
}
