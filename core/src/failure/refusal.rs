//! The words of a server that refuses the upgrade (T3).

use alloc::borrow::ToOwned;
use alloc::string::String;

use crate::escape::Escaped;

/// What a server said with a status other than 101, bounded; [`Failure`](crate::Failure) shows the beginning of it.
///
/// Servers repeat what they were sent: the driver replaces the request's header values and query values by `***`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    reason: String,
    body: String,
    redirected_to: Option<String>,
}

impl Refusal {
    /// Longest part of a body that is kept, in bytes: 2 KiB. Reason and URL are cut there too.
    pub const MAX_LEN: usize = 2048;

    /// Adds the reason phrase of the status line (RFC 9112 §4).
    #[must_use]
    pub fn with_reason(self, reason: &str) -> Self {
        Self { reason: cut(reason), ..self }
    }

    /// Adds the answer's body, as text.
    #[must_use]
    pub fn with_body(self, body: &str) -> Self {
        Self { body: cut(body), ..self }
    }

    /// Adds the URL, without its query, that redirects led to.
    #[must_use]
    pub fn with_redirect(self, url: &str) -> Self {
        Self { redirected_to: Some(cut(url)), ..self }
    }

    /// The reason phrase; empty if the server gave none.
    #[must_use]
    pub const fn reason(&self) -> Escaped<'_> {
        Escaped::new(self.reason.as_str())
    }

    /// The beginning of the body, at most [`MAX_LEN`](Self::MAX_LEN) bytes of it; empty if the server sent none, or not in time.
    #[must_use]
    pub const fn body(&self) -> Escaped<'_> {
        Escaped::new(self.body.as_str())
    }

    /// The URL that refused, without its query, if redirects led there.
    #[must_use]
    pub fn redirected_to(&self) -> Option<Escaped<'_>> {
        self.redirected_to.as_deref().map(Escaped::new)
    }
}

/// `text` up to the last whole character within the bound.
fn cut(text: &str) -> String {
    let mut end = text.len().min(Refusal::MAX_LEN);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].trim().to_owned()
}
