//! Shared by the fuzz targets, beyond `tidegate-rules`: a peer in memory, which says what the input says, in pieces, and takes
//! whatever is written.

mod book;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};
use tungstenite::handshake::derive_accept_key;

pub use book::Book;

/// Stands in an input for the answer to the key of the request, which no fuzzer can guess.
const ACCEPT: &[u8] = b"$ACCEPT";

/// Bytes that may be written to a peer before the target calls it unbounded.
const MOST_WRITTEN: usize = 1 << 20;

/// The peer's end of a connection, as the client's stream.
pub struct Peer {
    says: Vec<u8>,
    at: usize,
    /// Bytes a read gives at most.
    piece: usize,
    heard: Vec<u8>,
    answered: bool,
}

impl Peer {
    /// A peer that says `says`, at most `piece` bytes a read, and then closes.
    pub fn new(says: &[u8], piece: usize) -> Self {
        Self { says: says.to_vec(), at: 0, piece: piece.max(1), heard: Vec::new(), answered: false }
    }

    /// Fills the answer in, once the key has been heard.
    fn answer(&mut self) {
        if self.answered {
            return;
        }
        let name = b"Sec-WebSocket-Key: ";
        let Some(start) = find(&self.heard, name).map(|at| at + name.len()) else { return };
        let Some(len) = find(&self.heard[start..], b"\r\n") else { return };
        self.answered = true;
        if let Some(at) = find(&self.says[self.at..], ACCEPT).map(|at| self.at + at) {
            let accept = derive_accept_key(&self.heard[start..start + len]);
            self.says.splice(at..at + ACCEPT.len(), accept.into_bytes());
        }
    }
}

/// Where `part` is in `whole`.
pub fn find(whole: &[u8], part: &[u8]) -> Option<usize> {
    whole.windows(part.len()).position(|window| window == part)
}

impl AsyncRead for Peer {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        self.answer();
        let len = into.len().min(self.piece).min(self.says.len() - self.at);
        into[..len].copy_from_slice(&self.says[self.at..self.at + len]);
        self.at += len;
        Poll::Ready(Ok(len))
    }
}

impl AsyncWrite for Peer {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.heard.extend_from_slice(bytes);
        assert!(self.heard.len() <= MOST_WRITTEN, "more is written than any answer asks for");
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
