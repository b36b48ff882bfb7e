//! How much a peer may make this side remember.

use std::fmt;

/// The largest limit that can be set, in bytes: 2 GiB less one. "No limit" is not on offer: a frame's declared length
/// is reserved before its first byte is seen, so that one header could claim all memory there is.
const LARGEST: usize = i32::MAX as usize;

/// Limits on what one connection may receive. A peer that goes past one ends the connection
/// (`ConnectionFailure::Protocol`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub(crate) frame: usize,
    pub(crate) message: usize,
}

impl Limits {
    /// The largest payload of one frame, in bytes; 16 MiB by default. Checked before memory is reserved for it.
    ///
    /// # Errors
    /// If it is zero or more than 2 GiB.
    pub fn max_frame_size(self, bytes: usize) -> Result<Self, LimitError> {
        Ok(Self { frame: LimitError::check("max_frame_size", bytes, 1, LARGEST)?, ..self })
    }

    /// The largest message, all of its frames together, in bytes; 64 MiB by default. A message of one frame is held to
    /// both limits.
    ///
    /// # Errors
    /// If it is zero or more than 2 GiB.
    pub fn max_message_size(self, bytes: usize) -> Result<Self, LimitError> {
        Ok(Self { message: LimitError::check("max_message_size", bytes, 1, LARGEST)?, ..self })
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { frame: 16 << 20, message: 64 << 20 }
    }
}

/// A size that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitError {
    option: &'static str,
    given: usize,
    least: usize,
    most: usize,
}

impl LimitError {
    /// Lets `given` through if it lies between the two bounds, both included.
    pub(crate) fn check(
        option: &'static str,
        given: usize,
        least: usize,
        most: usize,
    ) -> Result<usize, Self> {
        if (least..=most).contains(&given) { Ok(given) } else { Err(Self { option, given, least, most }) }
    }

    /// The name of the option.
    #[must_use]
    pub const fn option(&self) -> &'static str {
        self.option
    }
}

impl fmt::Display for LimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { option, given, least, most } = self;
        write!(f, "{option} cannot be {given} bytes: choose from {least} to {most}")
    }
}

impl std::error::Error for LimitError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_zero_or_without_bound_is_refused_by_name() {
        let too_much = LARGEST + 1;
        for given in [0, too_much, usize::MAX] {
            let error = Limits::default().max_frame_size(given).unwrap_err();
            assert_eq!(error.option(), "max_frame_size");
            assert!(error.to_string().starts_with(&format!("max_frame_size cannot be {given} bytes")));
            let error = Limits::default().max_message_size(given).unwrap_err();
            assert_eq!(error.option(), "max_message_size");
        }
    }

    #[test]
    fn the_bounds_themselves_are_allowed() {
        for given in [1, LARGEST] {
            let limits = Limits::default().max_frame_size(given).unwrap().max_message_size(given).unwrap();
            assert_eq!(limits, Limits { frame: given, message: given });
        }
    }
}
