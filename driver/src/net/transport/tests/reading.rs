//! What is read past tungstenite is read as tungstenite would, but for control frames that break the protocol: tungstenite
//! takes a length in too long a form, and reports a code that must not be sent as another one.

use std::io;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

const MAX_FRAME: usize = 2000;
const MAX_MESSAGE: usize = 3000;

/// Gives `bytes` in pieces as long as `pieces` says, again and again, with nothing to give before each.
struct Peer {
    bytes: Vec<u8>,
    at: usize,
    pieces: Vec<usize>,
    piece: usize,
    waits: bool,
}

impl Peer {
    fn new(bytes: &[u8], pieces: Vec<usize>) -> Self {
        Self { bytes: bytes.to_vec(), at: 0, pieces, piece: 0, waits: false }
    }
}

impl AsyncRead for Peer {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        self.waits = !self.waits;
        if self.waits {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let piece = self.pieces[self.piece % self.pieces.len()];
        self.piece += 1;
        let len = into.len().min(piece).min(self.bytes.len() - self.at);
        into[..len].copy_from_slice(&self.bytes[self.at..self.at + len]);
        self.at += len;
        Poll::Ready(Ok(len))
    }
}

/// Takes all that is written.
impl AsyncWrite for Peer {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// All that comes of `bytes`, and what ends it.
type Outcome = (Vec<Frame>, Option<Failure>);

fn with_transport(bytes: &[u8], prefix: usize, pieces: Vec<usize>) -> Outcome {
    let (prefix, rest) = bytes.split_at(prefix.min(bytes.len()));
    let limits = Limits { frame: MAX_FRAME, message: MAX_MESSAGE };
    let framing = Framing { read_buffer_size: 1024, max_write_buffer_size: 1 << 20, limits };
    let mut frames =
        Frames::new(Peer::new(rest, pieces), Bytes::copy_from_slice(prefix), framing, Secrets::default());
    let mut outcome = Vec::new();
    futures_executor::block_on(async {
        loop {
            match std::future::poll_fn(|cx| frames.poll_next(cx)).await {
                Some(Ok(frame)) => outcome.push(frame),
                Some(Err(failure)) => break (outcome, Some(failure)),
                None => break (outcome, None),
            }
        }
    })
}

/// A peer that tungstenite itself reads. What is written is lost.
struct Deaf<'a>(&'a [u8]);

impl io::Read for Deaf<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        io::Read::read(&mut self.0, into)
    }
}

impl io::Write for Deaf<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn with_tungstenite(bytes: &[u8]) -> Outcome {
    let config =
        WebSocketConfig::default().max_frame_size(Some(MAX_FRAME)).max_message_size(Some(MAX_MESSAGE));
    let mut context = WebSocketContext::new(Role::Client, Some(config));
    let mut peer = Deaf(bytes);
    let mut frames = Vec::new();
    loop {
        let closed = matches!(frames.last(), Some(Frame::Close(_)));
        match context.read(&mut peer) {
            Ok(Received::Text(text)) => frames.push(Frame::Message(Message::Text(text.into()))),
            Ok(Received::Binary(payload)) => frames.push(Frame::Message(Message::Binary(payload))),
            Ok(Received::Ping(payload)) => frames.push(Frame::Ping(payload)),
            Ok(Received::Pong(payload)) => frames.push(Frame::Pong(payload)),
            Ok(Received::Close(close)) => frames.push(Frame::Close(close.map(|frame| CloseFrame {
                code: frame.code.into(),
                reason: frame.reason.as_str().to_owned(),
            }))),
            Ok(Received::Frame(frame)) => panic!("{frame}"),
            Err(_) if closed => return (frames, None),
            Err(error) => return (frames, Some(failure::of_connection(error))),
        }
    }
}

/// RFC 6455 §5.2, with the shortest form of the length.
fn frame(first: u8, mask: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
    let masked = if mask.is_some() { 0x80 } else { 0 };
    let len = payload.len();
    let mut bytes = vec![first];
    match len {
        0..=125 => bytes.push(masked | len as u8),
        126..=0xffff => {
            bytes.push(masked | 126);
            bytes.extend((len as u16).to_be_bytes());
        }
        0x1_0000.. => {
            bytes.push(masked | 127);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    bytes.extend(mask.into_iter().flatten());
    bytes.extend(payload);
    bytes
}

/// Of every length where something changes, and mostly UTF-8.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    let lens = [
        0,
        1,
        2,
        100,
        125,
        126,
        127,
        SHARES - 1,
        SHARES,
        SHARES + 1,
        1020,
        1024,
        1500,
        MAX_FRAME,
        MAX_FRAME + 1,
    ];
    (
        select(lens.to_vec()),
        select(vec!["x", "ä", "€", "\u{1f600}"]),
        prop::option::weighted(0.1, any::<(u16, u8)>()),
    )
        .prop_map(|(len, filling, other)| {
            let mut payload = "-".repeat(len % filling.len()).into_bytes();
            payload.extend(filling.repeat(len / filling.len()).bytes());
            if let Some((at, byte)) = other
                && len > 0
            {
                payload[usize::from(at) % len] = byte;
            }
            payload
        })
}

/// One message in fragments, with pings between them; at times without its beginning or its end.
fn fragments() -> impl Strategy<Value = Vec<u8>> {
    (vec((payload(), any::<bool>()), 1..4), 0x01..=0x02_u8, 0..20_u8).prop_map(|(parts, opcode, torn)| {
        let last = parts.len() - 1;
        let parts = parts.iter().enumerate().map(|(at, (payload, pinged))| {
            let opcode = if at == 0 && torn != 0 { opcode } else { 0 };
            let fin = if at == last && torn != 1 { 0x80 } else { 0 };
            let ping = if *pinged { frame(0x89, None, b"hello") } else { Vec::new() };
            [frame(fin | opcode, None, payload), ping].concat()
        });
        parts.flatten().collect()
    })
}

fn odd() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        (any::<u8>(), any::<Option<[u8; 4]>>(), payload())
            .prop_map(|(first, mask, payload)| frame(first, mask, &payload)),
        vec(any::<u8>(), 1..20),
        // A length in a longer form than it needs, and one with the top bit.
        Just(vec![0x82, 126, 0, 1, 7]),
        Just(vec![0x82, 127, 0, 0, 0, 0, 0, 0, 0, 1, 7]),
        Just(vec![0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 1, 7]),
        // Cut off.
        Just(vec![0x81, 126, 2]),
        Just(vec![0x88, 3, 3, 0xe8]),
    ]
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let frames = prop_oneof![
        20 => (0x81..=0x82_u8, payload()).prop_map(|(first, payload)| frame(first, None, &payload)),
        6 => fragments(),
        3 => (0x89..=0x8a_u8, 0..=125_usize).prop_map(|(first, len)| frame(first, None, &vec![7; len])),
        1 => odd(),
        1 => Just(frame(0x88, None, b"\x03\xe8bye")),
    ];
    vec(frames, 0..12).prop_map(|frames| frames.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    /// However the bytes come, and wherever the upgrade's answer ended among them.
    #[test]
    fn any_stream_gives_what_tungstenite_makes_of_it(
        bytes in stream(),
        prefix in select(vec![0, 0, 1, 5, 700, 5000]),
        pieces in vec(select(vec![1, 2, 3, 10, 500, 1024, 4096]), 1..6),
    ) {
        let (ours, theirs) = (with_transport(&bytes, prefix, pieces), with_tungstenite(&bytes));
        match &ours.1 {
            Some(Failure::Connection(ConnectionFailure::Protocol { detail, .. })) if detail.contains("Close frame") || detail.contains("control frame") => {
                prop_assert!(theirs.0.starts_with(&ours.0), "{:?} {:?}", ours, theirs);
            }
            Some(_) | None => prop_assert_eq!(ours, theirs),
        }
    }
}
