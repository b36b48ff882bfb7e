//! The answer of a server that refuses the upgrade (T3).

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::escape::Escaped;

/// The answer of a server with a status other than 101, bounded. [`Failure`](crate::Failure) displays the beginning of
/// its text.
///
/// Servers may repeat the request, so the driver replaces the request's header values and query values by `***` in the
/// text. The values of the answer's headers are as they arrived. They are displayed nowhere, and [`Debug`](fmt::Debug)
/// shows their names only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Refusal {
    headers: Vec<(String, Vec<u8>)>,
    reason: String,
    body: String,
    redirected_to: Option<String>,
}

impl Refusal {
    /// Maximum length of the body, the reason and the URL, in bytes: 2 KiB. Longer text is cut.
    pub const MAX_LEN: usize = 2048;

    /// Maximum size of all headers, names and values together, in bytes: 8 KiB. A header that does not fit is left out.
    pub const MAX_HEADERS: usize = 8 * 1024;

    /// Adds a header, unless it does not fit. A name may be added more than once.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &[u8]) -> Self {
        let size = |name: &str, value: &[u8]| name.len() + value.len();
        let held: usize = self.headers().map(|(name, value)| size(name, value)).sum();
        if held + size(name, value) <= Self::MAX_HEADERS {
            self.headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// Returns the names and values of the answer's headers, in any order but for those of one name. Values may
    /// be secrets, such as cookies.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    /// Returns the value of the first header of this name, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers().find_map(|(other, value)| other.eq_ignore_ascii_case(name).then_some(value))
    }

    /// Sets the reason phrase of the status line (RFC 9112 §4).
    #[must_use]
    pub fn with_reason(self, reason: &str) -> Self {
        Self { reason: cut(reason), ..self }
    }

    /// Sets the answer's body, as text.
    #[must_use]
    pub fn with_body(self, body: &str) -> Self {
        Self { body: cut(body), ..self }
    }

    /// Sets the URL that redirects led to, without its query.
    #[must_use]
    pub fn with_redirect(self, url: &str) -> Self {
        Self { redirected_to: Some(cut(url)), ..self }
    }

    /// Returns the reason phrase. It is empty if the server sent none.
    #[must_use]
    pub const fn reason(&self) -> Escaped<'_> {
        Escaped::new(self.reason.as_str())
    }

    /// Returns the beginning of the body, at most [`MAX_LEN`](Self::MAX_LEN) bytes. It is empty if the server sent none
    /// in time.
    #[must_use]
    pub const fn body(&self) -> Escaped<'_> {
        Escaped::new(self.body.as_str())
    }

    /// Returns the URL that refused the upgrade, without its query, if redirects led to it.
    #[must_use]
    pub fn redirected_to(&self) -> Option<Escaped<'_>> {
        self.redirected_to.as_deref().map(Escaped::new)
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { headers, reason, body, redirected_to } = self;
        f.debug_struct("Refusal")
            .field("headers", &headers.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("reason", reason)
            .field("body", body)
            .field("redirected_to", redirected_to)
            .finish()
    }
}

/// Returns `text` up to the last whole character within [`Refusal::MAX_LEN`], trimmed.
fn cut(text: &str) -> String {
    let mut end = text.len().min(Refusal::MAX_LEN);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].trim().to_owned()
}
