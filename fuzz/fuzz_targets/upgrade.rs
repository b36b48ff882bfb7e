//! Any answer to CONNECT, SOCKS5 and the upgrade, redirects included.
//!
//! The first byte says in what pieces it comes, the second which way is taken. `$ACCEPT` in an input becomes the right
//! answer to the key. A marker stands for a secret that the peer repeats; it never reaches a failure.

#![no_main]

use futures_util::{FutureExt, StreamExt};
use http::{HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use tidegate_core::escape::is_unsafe;
use tidegate_core::{ConnectFailure, Failure, Headers, Refusal};
use tidegate_driver::ConnectRequest;
use tidegate_driver::net::fuzzing::{self, Outcome};
use tidegate_driver::net::{Connector, Proxy};
use tidegate_fuzz::{Peer, find};

/// Credentials, in whatever is sent and in whatever the peer sends back.
const SECRET: &str = "hunter2";

/// Bytes of one word; longer than any word of ours but these.
const MOST_REPEATED: usize = 16;
const OUR_WORDS: [&str; 4] =
    ["Sec-WebSocket-Accept", "Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol", "wss://host:port/path"];

/// No failure has more to say of its own.
const LONGEST: usize = 300;

/// Nor with a quoted reason and body.
const LONGEST_QUOTE: usize = 500;

fuzz_target!(|bytes: &[u8]| {
    let [piece, way, says @ ..] = bytes else { return };
    let (mut request, mut earlier) = (request(way & 8 != 0), Vec::new());
    let connector = connector(way % 8);
    // Each answer is for one round; a blank line and a bar part them.
    let mut answers = Rounds { rest: says };
    for _ in 0..=5 {
        let Some(answer) = answers.next() else { return };
        let peer = Peer::new(answer, usize::from(*piece) * 16);
        let outcome = fuzzing::exchange(&connector, &request, &earlier, peer).now_or_never();
        match outcome.expect("the peer is always ready, and so must the exchange be") {
            Err(failure) => return check(&failure, says),
            Ok(Outcome::Redirect(next)) => {
                assert!(!shown(&request, &next), "a secret went to another origin");
                earlier.push(std::mem::replace(&mut request, next));
            }
            Ok(Outcome::Open(mut transport)) => {
                assert!(transport.subprotocol().is_none_or(|chosen| chosen == "v1" || chosen == "v2"));
                while let Some(item) = transport.next().now_or_never().flatten() {
                    if let Err(failure) = item {
                        return check(&failure, says);
                    }
                }
                return;
            }
        }
    }
});

struct Rounds<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Rounds<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let mark = b"\n|\n";
        let (answer, rest) = match find(self.rest, mark) {
            Some(at) => (&self.rest[..at], &self.rest[at + mark.len()..]),
            None => (self.rest, &[][..]),
        };
        self.rest = rest;
        Some(answer)
    }
}

fn connector(way: u8) -> Connector {
    let through = |url: &str| Connector::default().proxy(Proxy::new(url).expect("valid"));
    match way {
        0..=2 => Connector::default().no_proxy(),
        3 => through("http://proxy.test:3128"),
        4 => through("http://reader:hunter2@proxy.test:3128"),
        5 => through("socks5://proxy.test"),
        6 => through("socks5h://reader:hunter2@proxy.test"),
        _ => through("socks5h://[::1]:1080"),
    }
}

fn request(offers: bool) -> ConnectRequest {
    let secret = |name, value| (HeaderName::from_static(name), HeaderValue::from_static(value));
    let (name, value) = secret("authorization", SECRET);
    let request = ConnectRequest::new("ws://feed.test/stream?token=hunter2").expect("valid");
    let request = request.with_header(name, value);
    if !offers {
        return request;
    }
    let (name, value) = secret("sec-websocket-protocol", "v1, v2");
    request.with_header(name, value)
}

/// Whether another origin is told the secret.
fn shown(from: &ConnectRequest, to: &ConnectRequest) -> bool {
    let same = (from.scheme(), from.port()) == (to.scheme(), to.port())
        && from.host().eq_ignore_ascii_case(to.host());
    !same && to.headers().contains_key("authorization")
}

/// T3: short, harmless to a terminal, and without a secret; of the library's own words, but where a server may be quoted.
fn check(failure: &Failure, says: &[u8]) {
    let text = failure.to_string();
    assert!(!text.contains(is_unsafe), "it would act on a terminal: {text:?}");
    if let Failure::Connect(ConnectFailure::Rejected { refusal, .. }) = failure {
        assert!(text.chars().count() <= LONGEST_QUOTE, "a long refusal: {text}");
        for quoted in [refusal.reason().as_raw(), refusal.body().as_raw()] {
            assert!(
                quoted.len() <= Refusal::MAX_LEN && !quoted.contains(SECRET),
                "it repeats a secret: {quoted}"
            );
        }
        let size: usize = refusal.headers().iter().map(|(name, value)| name.len() + value.len()).sum();
        assert!(size <= Headers::MAX_LEN, "{size} bytes of headers");
        return;
    }
    for text in [failure.to_string(), format!("{failure:?}")] {
        assert!(text.len() <= LONGEST, "a long failure: {text}");
        assert!(!text.to_ascii_lowercase().contains(SECRET), "it repeats a secret: {text}");
        let theirs = OUR_WORDS.iter().fold(text.clone(), |text, word| text.replace(word, " "));
        let repeated = theirs.as_bytes().windows(MOST_REPEATED).find(|part| is_theirs(part, says));
        assert!(repeated.is_none(), "it repeats the peer: {text}");
    }
}

/// Whether the peer said it, in one word: sentences are our own.
fn is_theirs(part: &[u8], says: &[u8]) -> bool {
    part.iter().all(|byte| !byte.is_ascii_whitespace()) && find(says, part).is_some()
}
