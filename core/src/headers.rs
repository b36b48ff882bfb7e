//! Headers of a server's answer.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Headers of a server's answer, at most [`MAX_LEN`](Self::MAX_LEN) bytes of them.
///
/// Their values may be secrets, such as cookies. So [`Debug`](fmt::Debug) shows the names only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, Vec<u8>)>);

impl Headers {
    /// Maximum size of all headers, names and values together, in bytes: 8 KiB. A header that does not fit is left out.
    pub const MAX_LEN: usize = 8 * 1024;

    /// Returns the value of the first header of this name, in any case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find_map(|(other, value)| other.eq_ignore_ascii_case(name).then_some(value))
    }

    /// Returns all names and values. Those of one name are in the order of arrival.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }
}

impl<'a> FromIterator<(&'a str, &'a [u8])> for Headers {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a [u8])>>(headers: I) -> Self {
        let mut len = 0;
        let fit = headers.into_iter().filter(|(name, value)| {
            let with = len + name.len() + value.len();
            let fits = with <= Self::MAX_LEN;
            len = if fits { with } else { len };
            fits
        });
        Self(fit.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|(name, _)| name)).finish()
    }
}
