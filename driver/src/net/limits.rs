//! Limits on what a peer may make this side hold in memory.

use std::fmt;

/// Maximum of a limit, in bytes: 2 GiB less one. There is always a limit: memory for a frame is reserved before its
/// first byte arrives, so without one a single header could claim all memory.
const LARGEST: usize = i32::MAX as usize;

/// Limits on what one connection may receive. A peer that exceeds one ends the connection
/// (`ConnectionFailure::Protocol`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub(crate) frame: usize,
    pub(crate) message: usize,
}

impl Limits {
    /// Sets the maximum payload of one frame, in bytes. Default 16 MiB. It is checked before memory is reserved for the
    /// frame.
    ///
    /// # Errors
    /// Returns an error if `bytes` is zero, or 2 GiB or more.
    pub fn max_frame_size(self, bytes: usize) -> Result<Self, LimitError> {
        Ok(Self { frame: LimitError::check("max_frame_size", bytes, 1, LARGEST)?, ..self })
    }

    /// Sets the maximum size of a message, all its frames together, in bytes. Default 64 MiB. Both limits apply to a
    /// message of one frame.
    ///
    /// # Errors
    /// Returns an error if `bytes` is zero, or 2 GiB or more.
    pub fn max_message_size(self, bytes: usize) -> Result<Self, LimitError> {
        Ok(Self { message: LimitError::check("max_message_size", bytes, 1, LARGEST)?, ..self })
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { frame: 16 << 20, message: 64 << 20 }
    }
}

/// Error of a size that is not valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitError {
    option: &'static str,
    given: usize,
    least: usize,
    most: usize,
}

impl LimitError {
    /// Returns `given` if it is within the two bounds, both included.
    pub(crate) fn check(
        option: &'static str,
        given: usize,
        least: usize,
        most: usize,
    ) -> Result<usize, Self> {
        if (least..=most).contains(&given) { Ok(given) } else { Err(Self { option, given, least, most }) }
    }

    /// Returns the name of the option.
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
