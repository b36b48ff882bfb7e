//! Hides the request's secrets in text of a peer, since servers repeat what they were sent (T3).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, COOKIE, SEC_WEBSOCKET_PROTOCOL};
use http::{HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;

use crate::request::ConnectRequest;

/// Replaces a secret.
const HIDDEN: &str = "***";

/// Minimum length of a value that is hidden, in bytes. Shorter values can be guessed, and any text contains them.
const SHORTEST: usize = 4;

/// Minimum length of the beginning of a longer value that is hidden, in bytes. Peers cut what they repeat.
const BEGINNING: usize = 12;

/// The values of a request's headers and query.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Vec<String>);

impl Secrets {
    pub(crate) fn of(request: &ConnectRequest) -> Self {
        let mut secrets = Self::default();
        secrets.add(request);
        secrets
    }

    /// Adds the values of another request.
    pub(crate) fn add(&mut self, request: &ConnectRequest) {
        for (name, value) in request.headers() {
            self.header(name, value);
        }
        for pair in request.uri().query().unwrap_or_default().split('&') {
            // A pair without a name may be a token.
            let value = pair.split_once('=').map_or(pair, |(_, value)| value);
            self.value(value);
            // In forms, a plus sign is a space.
            for value in [value, &value.replace('+', " ")] {
                self.value(&percent_decode_str(value).decode_utf8_lossy());
            }
        }
    }

    fn header(&mut self, name: &HeaderName, value: &HeaderValue) {
        let value = String::from_utf8_lossy(value.as_bytes());
        self.value(&value);
        if *name == AUTHORIZATION {
            let credentials = value.split_once(' ').map_or(&*value, |(_, credentials)| credentials.trim());
            self.value(credentials);
            let basic = STANDARD.decode(credentials).ok().and_then(|pair| String::from_utf8(pair).ok());
            if let Some((_, password)) = basic.as_deref().and_then(|pair| pair.split_once(':')) {
                self.value(password);
            }
        } else if *name == COOKIE {
            value
                .split(';')
                .for_each(|pair| self.value(pair.split_once('=').map_or(pair, |(_, value)| value)));
        } else if *name == SEC_WEBSOCKET_PROTOCOL {
            value.split(',').for_each(|name| self.value(name));
        }
    }

    fn value(&mut self, value: &str) {
        let value = value.trim();
        if value.len() >= SHORTEST && !self.0.iter().any(|known| known == value) {
            self.0.push(value.to_owned());
        }
    }

    /// Returns the text with `***` in place of each secret or of its beginning. Of several that match, the longest is
    /// replaced.
    pub(crate) fn hidden_in(&self, text: &str) -> String {
        let mut shown = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            match self.0.iter().filter_map(|secret| shared(secret, rest)).max() {
                Some(len) => {
                    shown.push_str(HIDDEN);
                    rest = &rest[len..];
                }
                None => {
                    shown.push(first);
                    rest = &rest[first.len_utf8()..];
                }
            }
        }
        shown
    }
}

/// Returns how many bytes at the start of `text` to hide: those of `secret`, or of a word that begins like it.
fn shared(secret: &str, text: &str) -> Option<usize> {
    let same = secret.chars().zip(text.chars()).take_while(|(ours, theirs)| ours == theirs);
    let len = same.map(|(character, _)| character.len_utf8()).sum();
    if len == secret.len() {
        return Some(len);
    }
    // The rest of the word may be the rest of the secret, in another encoding.
    let rest = &text[len..];
    let ends = |character: char| character.is_whitespace() || "\"'<,;".contains(character);
    (len >= BEGINNING).then(|| len + rest.find(ends).unwrap_or(rest.len()))
}

/// Shows only their number.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_headers_and_query_are_hidden_in_any_form_they_were_sent_in() {
        let request = [
            ("authorization", "Basic cmVhZGVyOm9wZW4gc2VzYW1l"),
            ("cookie", "theme=dark; session=abc123"),
            ("x-api-key", "KEY-é-KEY"),
            ("x-short", "abc"),
            ("sec-websocket-protocol", "v1.json, bearer-0123456789abcdef"),
        ]
        .into_iter()
        .fold(
            ConnectRequest::new("ws://feed.test/p?a%20b=c%20d1&hunter2&n=1").unwrap(),
            |request, (name, value)| {
                request.with_header(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
            },
        );
        let secrets = Secrets::of(&request);
        let table = [
            ("nothing of ours", "nothing of ours"),
            ("Basic cmVhZGVyOm9wZW4gc2VzYW1l is wrong", "*** is wrong"),
            ("got cmVhZGVyOm9wZW4gc2VzYW1l!", "got ***!"),
            ("password 'open sesame' of reader", "password '***' of reader"),
            ("session abc123 (dark) is over", "session *** (***) is over"),
            ("KEY-é-KEYKEY-é-KEY", "******"),
            ("abc 1 n=1", "abc 1 n=1"),
            ("c%20d1 or c d1 or hunter2", "*** or *** or ***"),
            ("v1.json or bearer-0123456789abcdef", "*** or ***"),
            ("cut: bearer-01234… and bearer-0123", "cut: *** and bearer-0123"),
            ("json: \"bearer-012345\\/89ab\"", "json: \"***\""),
        ];
        for (text, shown) in table {
            assert_eq!(secrets.hidden_in(text), shown);
        }
        assert_eq!(
            format!("{secrets:?}").chars().filter(char::is_ascii_alphabetic).collect::<String>(),
            "Secrets"
        );
    }
}
