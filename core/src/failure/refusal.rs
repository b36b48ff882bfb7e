//! The answer of a server that refuses the upgrade (T3).

use alloc::borrow::ToOwned;
use alloc::string::String;

use crate::escape::Escaped;
use crate::headers::Headers;

/// The answer of a server with a status other than 101, bounded. [`Failure`](crate::Failure) displays the beginning of
/// its text.
///
/// Servers may repeat the request, so the driver replaces the request's header values and query values by `***` in the
/// text. The values of the answer's headers are as they arrived. They are displayed nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    headers: Headers,
    reason: String,
    body: String,
    redirected_to: Option<String>,
}

impl Refusal {
    /// Maximum length of the body, the reason and the URL, in bytes: 2 KiB. Longer text is cut.
    pub const MAX_LEN: usize = 2048;

    /// Sets the answer's headers.
    #[must_use]
    pub fn with_headers(self, headers: Headers) -> Self {
        Self { headers, ..self }
    }

    /// Returns the answer's headers. Values may be secrets, such as cookies.
    #[must_use]
    pub const fn headers(&self) -> &Headers {
        &self.headers
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

/// Returns `text` up to the last whole character within [`Refusal::MAX_LEN`], trimmed.
fn cut(text: &str) -> String {
    let mut end = text.len().min(Refusal::MAX_LEN);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].trim().to_owned()
}
