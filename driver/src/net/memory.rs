//! The memory that tungstenite reads frames into, which grows with a large message and must not stay so.

use std::io::{self, Chain, Cursor, ErrorKind, Read, Repeat, Take, Write};

use bytes::Bytes;
use tungstenite::Message;
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};

use super::blocking::Nowhere;

/// The size of tungstenite's own buffer, in bytes. Each connection has one for as long as it lasts, and messages that are
/// no longer are slices of it: it is what a short one pins that is kept. Each read zeroes what is free of it.
pub(crate) const CHUNK: usize = 4 * 1024;

/// Framing whose buffer is a chunk, and that reads as much at a time as `config` says for all that: of a large message, what a
/// socket has is read into its place.
///
/// Tungstenite makes its first buffer as large as it reads at a time. So it is given a message that uses that one up, and what
/// it takes after it is as large as the list that the first was made from.
pub(crate) fn context(config: WebSocketConfig) -> WebSocketContext {
    let first = config.read_buffer_size;
    let unlimited = config.max_frame_size(Some(first)).max_message_size(Some(first));
    let mut context =
        WebSocketContext::from_partially_read(Vec::with_capacity(CHUNK), Role::Client, Some(unlimited));
    let all_of_it = context.read(&mut Filler::of(first));
    debug_assert!(matches!(all_of_it, Ok(Message::Binary(_))));
    // While that is held, there is nothing to read the next into but new memory.
    let nothing = context.read(&mut Nowhere);
    debug_assert!(nothing.is_err());
    context.set_config(|changed| *changed = config);
    context
}

/// A message of zeroes, its header apart: once tungstenite knows the length, it makes room for what it has not read of it.
struct Filler(Chain<Cursor<[u8; 10]>, Take<Repeat>>);

impl Filler {
    /// One that takes `len` bytes in all.
    fn of(len: usize) -> Self {
        let mut header = [0x82, 127, 0, 0, 0, 0, 0, 0, 0, 0];
        let payload = len.saturating_sub(header.len()) as u64;
        header[2..].copy_from_slice(&payload.to_be_bytes());
        Self(Cursor::new(header).chain(io::repeat(0).take(payload)))
    }
}

impl Read for Filler {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

/// Tungstenite has nothing to write yet.
impl Write for Filler {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(ErrorKind::WouldBlock.into())
    }
}

/// What tungstenite's buffer has become.
pub(crate) enum Memory {
    /// A chunk, or soon one.
    Chunk,
    /// A message longer than [`CHUNK`] has come. As long as it, or another of the same memory, is held here, tungstenite cannot
    /// go on with the memory it made for it once that is full, and takes a chunk again. That is so after `left` bytes more.
    PastLarge { _held: Bytes, left: usize },
    /// Large messages in a row, the last one of `len` bytes: the memory is used again for the next.
    Large { len: usize },
}

impl Memory {
    /// A message has come.
    #[inline]
    pub(crate) fn remember(&mut self, payload: &Bytes) {
        let len = payload.len();
        if len <= CHUNK && matches!(self, Self::Chunk) {
            return;
        }
        self.remember_large(payload, len);
    }

    fn remember_large(&mut self, payload: &Bytes, len: usize) {
        let hold = |left| Self::PastLarge { _held: payload.clone(), left };
        match self {
            // At most what came of it with its header was free when it was complete, which is a chunk.
            Self::Chunk if len > CHUNK => *self = hold(CHUNK),
            Self::Chunk => {}
            Self::PastLarge { .. } | Self::Large { .. } if len > CHUNK => *self = Self::Large { len },
            // Memory that is used again may be twice as large as what is in it.
            Self::Large { len } => {
                let left = 2 * *len + CHUNK;
                *self = hold(left);
            }
            Self::PastLarge { left, .. } => {
                // A header has two bytes at least.
                *left = left.saturating_sub(len + 2);
                if *left == 0 {
                    *self = Self::Chunk;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives what it has, and then would block.
    struct Socket {
        bytes: Vec<u8>,
        asked: Vec<usize>,
    }

    impl Read for Socket {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.asked.push(into.len());
            let len = self.bytes.len().min(into.len());
            if len == 0 {
                return Err(ErrorKind::WouldBlock.into());
            }
            into[..len].copy_from_slice(&self.bytes[..len]);
            self.bytes.drain(..len);
            Ok(len)
        }
    }

    impl Write for Socket {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What a connection that reads `size` at a time asks its socket for.
    fn asked(size: usize, bytes: Vec<u8>) -> Vec<usize> {
        let mut context = context(WebSocketConfig::default().read_buffer_size(size));
        let mut socket = Socket { bytes, asked: Vec::new() };
        while context.read(&mut socket).is_ok() {}
        socket.asked
    }

    /// That is all the memory which an idle connection has.
    #[test]
    fn a_connection_begins_with_a_chunk_however_much_it_reads_at_a_time() {
        for size in [8 * 1024, 64 * 1024, 1 << 20] {
            assert_eq!(asked(size, Vec::new()), [CHUNK], "{size}");
        }
        // The filler leaves some of the first buffer over where that is not twice as large.
        for size in [1024, CHUNK, CHUNK + 1] {
            assert!(asked(size, Vec::new())[0] <= CHUNK, "{size}");
        }
    }

    #[test]
    fn of_a_large_message_much_is_read_at_a_time() {
        const LARGE: u32 = 200_000;
        let header = [&[0x82, 127, 0, 0, 0, 0][..], &LARGE.to_be_bytes()].concat();
        let asked = asked(64 * 1024, [header, vec![7; LARGE as usize]].concat());
        assert_eq!(asked[..4], [CHUNK, 64 * 1024, 64 * 1024, 64 * 1024]);
        assert_eq!(asked.len(), 5, "the last one for what comes after it");
    }

    #[test]
    fn the_filler_is_no_message_of_the_connection() {
        let mut context = context(WebSocketConfig::default().max_frame_size(Some(1)));
        let mut socket = Socket { bytes: vec![0x82, 1, 8, 0x82, 2, 8, 8], asked: Vec::new() };
        assert!(matches!(context.read(&mut socket), Ok(Message::Binary(payload)) if payload[..] == [8]));
        assert!(matches!(context.read(&mut socket), Err(tungstenite::Error::Capacity(_))), "limits hold");
    }
}
