//! Every rule of RFC 6455 that a server can break. What came before counts, the server is sent a Close with the code for it,
//! and the feed continues with another connection. Where the transport is more lenient than the RFC, the case says so.

use std::iter::once;

use tidegate::{CloseFrame, ConnectionFailure, Delivery, Failure};
use tidegate_tests::once::{next as next_frame, request};
use tidegate_tests::prelude::*;
use tidegate_tests::server::{BINARY, CLOSE, PING, PONG, Server, TEXT, frame};
use tidegate_tests::{Connector, Limits};

cases! {
    both: [
        each_ends_its_connection,
        close_codes_that_may_be_sent,
        a_message_over_the_limit_in_pieces,
        lengths_that_are_not_minimal,
    ],
    single: [a_length_that_is_only_claimed_costs_nothing],
}

/// What it is, and the bytes.
type Violation = (String, Vec<u8>);

/// The first byte of a frame of one byte, and what is wrong with it.
fn first_bytes(what: &str, first: impl IntoIterator<Item = u8>) -> Vec<Violation> {
    first.into_iter().map(|first| (format!("{what}: {first:#04x}"), vec![first, 1, b'x'])).collect()
}

/// §5.2: no extension was agreed on that would give them a meaning.
fn of_reserved_bits() -> Vec<Violation> {
    let opcodes = [TEXT, BINARY, PING, PONG];
    let first = opcodes.into_iter().flat_map(|opcode| (1..8).map(move |bits| 0x80 | bits << 4 | opcode));
    let close = (1..8).map(|bits| ("of a close".to_owned(), vec![0x80 | bits << 4 | CLOSE, 2, 0x03, 0xe8]));
    let later = ("of a continuation".to_owned(), vec![TEXT, 1, b'x', 0xc0, 1, b'x']);
    first_bytes("reserved bits", first).into_iter().chain(close).chain(once(later)).collect()
}

/// §5.2.
fn of_reserved_opcodes() -> Vec<Violation> {
    let reserved = (3..8).chain(11..16);
    first_bytes("reserved opcode", reserved.flat_map(|opcode| [0x80 | opcode, opcode]))
}

/// §5.1: only clients mask.
fn of_masks() -> Vec<Violation> {
    let masked = |opcode| (format!("masked {opcode}"), vec![0x80 | opcode, 0x81, 1, 2, 3, 4, b'x' ^ 1]);
    let empty = ("masked and empty".to_owned(), vec![0x81, 0x80, 1, 2, 3, 4]);
    [TEXT, BINARY, PING, PONG, CLOSE].map(masked).into_iter().chain(once(empty)).collect()
}

/// §5.4.
fn of_control_frames_in_pieces() -> Vec<Violation> {
    let code = ("a close with a code".to_owned(), vec![CLOSE, 2, 0x03, 0xe8]);
    first_bytes("a piece", [PING, PONG, CLOSE]).into_iter().chain(once(code)).collect()
}

/// §5.5.
fn of_large_control_frames() -> Vec<Violation> {
    let large = |opcode, len: usize| {
        (
            format!("{opcode} with {len} bytes"),
            frame(opcode, &[&[0x03, 0xe8][..], &vec![b'x'; len - 2]].concat()),
        )
    };
    let both = |opcode| [large(opcode, 126), large(opcode, 70_000)];
    [PING, PONG, CLOSE].into_iter().flat_map(both).collect()
}

/// Bytes that are not UTF-8, wherever they come in a text (RFC 3629).
const NOT_UTF8: [(&str, &[u8]); 12] = [
    ("a lone continuation", b"\x80"),
    ("a start and no continuation", b"\xc3("),
    ("a start at the end", b"\xe2\x82"),
    ("overlong, two bytes", b"\xc0\xaf"),
    ("overlong, three bytes", b"\xe0\x80\xaf"),
    ("overlong, four bytes", b"\xf0\x80\x80\xaf"),
    ("an overlong NUL", b"\xc0\x80"),
    ("a high surrogate", b"\xed\xa0\x80"),
    ("a pair of surrogates", b"\xed\xa0\xbd\xed\xb8\x80"),
    ("over U+10FFFF", b"\xf4\x90\x80\x80"),
    ("five bytes", b"\xf8\x88\x80\x80\x80"),
    ("no byte of UTF-8", b"\xfe"),
];

/// §8.1: in one frame, and cut after each byte.
fn of_utf8() -> Vec<Violation> {
    let of = |(what, bytes): (&str, &[u8])| {
        let text = [b"gr\xc3\xbc\xc3\x9fe ", bytes].concat();
        let cuts = (text.len() - bytes.len()..text.len()).map(|cut| {
            let mut first = frame(TEXT, &text[..cut]);
            first[0] = TEXT;
            (format!("{what}, cut at {cut}"), [first, frame(0, &text[cut..])].concat())
        });
        once((what.to_owned(), frame(TEXT, &text))).chain(cuts).collect::<Vec<_>>()
    };
    NOT_UTF8.into_iter().flat_map(of).collect()
}

/// §5.4.
fn of_fragments() -> Vec<Violation> {
    let table: [(&str, &[u8]); 7] = [
        ("a last piece of nothing", &[0x80, 1, b'x']),
        ("a piece of nothing", &[0x00, 1, b'x']),
        ("a piece after a whole message", &[0x81, 1, b'x', 0x80, 1, b'y']),
        ("a text within a text", &[0x01, 1, b'x', 0x81, 1, b'y']),
        ("binary within a text", &[0x01, 1, b'x', 0x82, 1, b'y']),
        ("the start of a text within a text", &[0x01, 1, b'x', 0x01, 1, b'y']),
        ("a text within binary, a ping between", &[0x02, 1, b'x', 0x89, 0, 0x81, 1, b'y']),
    ];
    table.map(|(what, bytes)| (what.to_owned(), bytes.to_vec())).into()
}

/// §5.5.1.
fn of_half_a_code() -> Violation {
    ("half a code".to_owned(), vec![0x88, 1, 3])
}

/// §5.5.1.
fn of_reasons() -> Vec<Violation> {
    NOT_UTF8
        .map(|(what, bytes)| (format!("a reason: {what}"), frame(CLOSE, &[b"\x03\xe8bye ", bytes].concat())))
        .into()
}

/// §7.4: half a code apart, all that the IANA registry does not hold, and those that stand for no Close at all.
fn of_codes() -> Vec<Violation> {
    let codes = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, u16::MAX];
    codes.map(|code| (format!("the code {code}"), frame(CLOSE, &code.to_be_bytes()))).into()
}

/// §5.2: the first bit of a long length is zero; all but the smallest are over the limits, too.
fn of_lengths() -> Vec<Violation> {
    let long = |len: u64| [&[0x82, 127][..], &len.to_be_bytes()].concat();
    let table = [
        (1 << 40, "1 TiB"),
        (i64::MAX as u64, "2^63-1"),
        (1 << 63, "the first bit alone"),
        (1 << 63 | 5, "the first bit, and 5"),
        (u64::MAX, "2^64-1"),
        ((16 << 20) + 1, "one over the default limit"),
    ];
    table.map(|(len, what)| (what.to_owned(), long(len))).into()
}

/// Each on a connection of its own, with the code that it is closed with.
async fn each_ends_its_connection<M: Mode>() {
    let table = [
        (1002, of_reserved_bits()),
        (1002, of_reserved_opcodes()),
        (1002, of_masks()),
        (1002, of_control_frames_in_pieces()),
        (1002, of_large_control_frames()),
        (1007, of_utf8()),
        (1002, of_fragments()),
        (1002, vec![of_half_a_code()]),
        (1007, of_reasons()),
        (1002, of_codes()),
        (1009, of_lengths()),
    ];
    let with_code = |(code, all): (u16, Vec<Violation>)| all.into_iter().map(move |each| (code, each));
    let table: Vec<_> = table.into_iter().flat_map(with_code).collect();
    let bytes: Vec<_> = table.iter().map(|(_, (_, bytes))| bytes.clone()).collect();
    let server = Server::start(move |number, peer| {
        peer.upgrade()?;
        peer.text(&format!("good {number}"))?;
        let Some(bytes) = bytes.get(number - 1) else { return peer.serve() };
        // The client may have closed before it has all.
        let _ = peer.raw(bytes);
        peer.read_to_close()
    });
    let config = quick().retry(tidegate::RetryPolicy::fixed(ms(1)).unlimited());
    let mut feed = M::start(M::to(&server).config(config));
    for (id, (code, (what, _))) in (1..).zip(&table) {
        let mut expected = vec![format!("live {id}"), format!("good {id}")];
        // What is still good of it; what the first piece of a text began is not delivered.
        expected.extend((what == "a piece after a whole message").then(|| "x".to_owned()));
        let kind = if *code == CloseFrame::TOO_BIG { "too_long" } else { "protocol" };
        expected.push(format!("interrupted {id}: {kind}"));
        assert_eq!(take(&mut feed, expected.len()).await, expected, "{what}");
    }
    take_to(&mut feed, &format!("good {}", table.len() + 1)).await;
    assert_eq!(server.accepted(), table.len() + 1);
    for (id, (code, (what, _))) in (1..).zip(&table) {
        assert_eq!(within(server.saw_close(id)).await, Some(*code), "{what}");
    }
}

/// How the feed's first connection ends if the server sends this Close, and which code it is answered with.
async fn closed_with<M: Mode>(code: u16) -> (Option<(u16, String)>, Option<u16>) {
    let server = Server::start(move |number, peer| {
        peer.upgrade()?;
        if number == 1 {
            peer.raw(&frame(CLOSE, &[&code.to_be_bytes()[..], b"bye"].concat()))?;
            return peer.fin();
        }
        peer.serve()
    });
    let mut feed = M::start(M::to(&server).config(quick()));
    let found = loop {
        match within(feed.recv()).await {
            Some(Ok(Delivery::Interrupted {
                failure: Some(Failure::Connection(ConnectionFailure::Closed(frame))),
                ..
            })) => {
                break frame.map(|frame| (frame.code, frame.reason));
            }
            Some(Ok(Delivery::Opened { .. } | Delivery::Live { .. })) => {}
            other => panic!("{code}: {other:?}"),
        }
    };
    let (answer, _) = drive(&mut feed, server.saw_close(1)).await;
    (found, answer)
}

/// As they came.
async fn close_codes_that_may_be_sent<M: Mode>() {
    let codes =
        [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999];
    for code in codes {
        let (found, answer) = closed_with::<M>(code).await;
        assert_eq!((found, answer), (Some((code, "bye".to_owned())), Some(code)));
    }
}

/// No frame is over its limit, all of them together are.
async fn a_message_over_the_limit_in_pieces<M: Mode>() {
    for opcode in [TEXT, BINARY] {
        let server = Server::start(move |number, peer| {
            peer.upgrade()?;
            peer.text(&format!("good {number}"))?;
            let piece = frame(0, &[b'x'; 10]);
            peer.raw(&[&[opcode, 10], &piece[2..]].concat())?;
            for _ in 0..1000 {
                // Never the last one.
                if peer.raw(&[&[0, 10], &piece[2..]].concat()).is_err() {
                    break;
                }
            }
            peer.read_to_close()
        });
        let limits = Limits::default().max_frame_size(10).unwrap().max_message_size(95).unwrap();
        let feed = <M::Adapter as Adapter>::feed_with(Connector::default().limits(limits), &server.url());
        let mut feed = M::start(feed.config(quick()));
        for id in 1..=3 {
            let expected =
                [format!("live {id}"), format!("good {id}"), format!("interrupted {id}: too_long")];
            assert_eq!(take(&mut feed, 3).await, expected);
        }
    }
}

/// §5.2: lenient. The fewest bytes must be used for a length; the transport takes any, and the message is what it is.
async fn lengths_that_are_not_minimal<M: Mode>() {
    let server = Server::start(|_, peer| {
        peer.upgrade()?;
        peer.raw(&[0x81, 126, 0, 1, b'a'])?;
        peer.raw(&[0x81, 127, 0, 0, 0, 0, 0, 0, 0, 1, b'b'])?;
        peer.raw(&[0x81, 126, 0, 0])?;
        peer.raw(&[&[0x82, 127, 0, 0, 0, 0, 0, 0, 1, 0][..], &[0; 256]].concat())?;
        peer.text("after")?;
        peer.serve()
    });
    let mut feed = M::start(M::to(&server).config(quick()));
    assert_eq!(take(&mut feed, 6).await, ["live 1", "a", "b", "", "256 bytes", "after"]);
}

/// D3, §10.4: a TiB that was reserved would show in the most that the process ever had, or end it; nothing of the payload
/// comes, so that the refusal is of the header alone.
async fn a_length_that_is_only_claimed_costs_nothing<A: Adapter>() {
    const TIB: u64 = 1 << 40;
    let asked = |server: &Server| tidegate::ConnectRequest::new(server.url()).unwrap();
    let server = Server::start(|_, peer| {
        peer.upgrade()?;
        peer.raw(&[&[0x82, 127][..], &TIB.to_be_bytes()].concat())?;
        peer.listen()
    });
    let mut client = request::<A>(asked(&server), Connector::default()).await.unwrap();
    let failure = next_frame::<A>(&mut client).await.unwrap().unwrap_err();
    let Failure::Connection(ConnectionFailure::Protocol { code: 1009, detail }) = failure else {
        panic!("{failure}")
    };
    assert!(detail.contains(&format!("{TIB} bytes, over the limit of {} ", 16 << 20)), "{detail}");
    // Where the system tells.
    if let Some(peak) = peak_memory() {
        assert!(peak < TIB, "{peak} bytes were reserved");
    }
}

/// The most memory that was ever reserved in this process, in bytes.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024)
}
