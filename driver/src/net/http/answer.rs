//! Parses the head of an answer to the upgrade, as a user agent does (RFC 9112 §4, §5).

use http::{HeaderMap, HeaderName, HeaderValue};
use httparse::ParserConfig;

/// Maximum number of headers of an answer.
pub(crate) const MAX_HEADERS: usize = 128;

/// An answer's status line and headers.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Whether the version is HTTP/1.1. An HTTP/1.0 server cannot upgrade, but its refusal is valid.
    pub(crate) is_http_1_1: bool,
    pub(crate) reason: String,
    pub(crate) headers: HeaderMap,
}

impl Answer {
    /// Parses a whole head.
    ///
    /// # Errors
    /// Returns which part is not HTTP, without quoting it.
    pub(crate) fn parse(head: &[u8]) -> Result<Self, String> {
        let (head, reason) = without_reason(head);
        let mut lines = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut answer = httparse::Response::new(&mut lines);
        let mut parser = ParserConfig::default();
        parser.allow_obsolete_multiline_headers_in_responses(true);
        match parser.parse_response(&mut answer, &head) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) => return Err("its head is incomplete".to_owned()),
            Err(error) => return Err(format!("its head is not HTTP: {error}")),
        }
        let mut headers = HeaderMap::with_capacity(answer.headers.len());
        for line in answer.headers.iter() {
            let name = HeaderName::from_bytes(line.name.as_bytes());
            let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(&unfolded(line.value))) else {
                return Err("a header in it is not valid HTTP".to_owned());
            };
            headers.append(name, value);
        }
        let (status, is_http_1_1) = (answer.code.unwrap_or_default(), answer.version == Some(1));
        Ok(Self { status, is_http_1_1, reason, headers })
    }
}

/// Returns the head without the reason phrase, and the phrase. It may contain any bytes (RFC 9112 §4), some of which
/// the parser rejects.
fn without_reason(head: &[u8]) -> (Vec<u8>, String) {
    let end = head.iter().position(|byte| *byte == b'\n').unwrap_or(head.len());
    let (line, rest) = head.split_at(end);
    let mut parts = line.splitn(3, |byte| *byte == b' ');
    let (version, status) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let reason = parts.next().unwrap_or_default().trim_ascii();
    let line = [version, b" ", status.trim_ascii_end(), b" \r"].concat();
    ([&line, rest].concat(), String::from_utf8_lossy(reason).into_owned())
}

/// Replaces line folds in a value by spaces (RFC 9112 §5.2).
fn unfolded(value: &[u8]) -> Vec<u8> {
    value.iter().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_may_hold_any_bytes() {
        let table: [(&[u8], &str); 6] = [
            (b"HTTP/1.1 401 Not  today\r\n\r\n", "Not  today"),
            (b"HTTP/1.0 401 \xc3\xa9\xff\r\n\r\n", "é\u{fffd}"),
            (b"HTTP/1.1 401 a\x00\x1b[31m\rb\r\n\r\n", "a\0\x1b[31m\rb"),
            (b"HTTP/1.1 401 \r\n\r\n", ""),
            (b"HTTP/1.1 401\r\n\r\n", ""),
            (b"HTTP/1.1 401 x\nA: b\n\n", "x"),
        ];
        for (head, reason) in table {
            let answer = Answer::parse(head).unwrap_or_else(|error| panic!("{head:?}: {error}"));
            assert_eq!((answer.status, answer.reason.as_str()), (401, reason), "{head:?}");
        }
    }

    #[test]
    fn folded_lines_are_one_value() {
        let head = b"HTTP/1.1 101 x\r\nConnection: keep-alive,\r\n \tUpgrade\r\nX: y\r\n\r\n";
        let answer = Answer::parse(head).unwrap();
        assert_eq!(answer.headers["connection"], "keep-alive,   \tUpgrade");
        assert_eq!(answer.headers["x"], "y");
    }

    #[test]
    fn what_is_no_head_is_refused_without_a_word_of_it() {
        for head in [
            "HTTP/1.1 hunter2 x\r\n\r\n",
            "HTTP/1.1 1010 hunter2\r\n\r\n",
            "HTTP/1.1 200 x\r\nhunter2\r\n\r\n",
            "HTTP/1.1 200 x\r\nhunter\x002: y\r\n\r\n",
            "HTTP/1.1 200 x\r\nX: hunter\x002\r\n\r\n",
            "HTTP/1.1 200 x\r\n folded: hunter2\r\n\r\n",
        ] {
            let error = Answer::parse(head.as_bytes()).err().unwrap();
            assert!(!error.contains("hunter"), "{error}");
        }
    }
}
