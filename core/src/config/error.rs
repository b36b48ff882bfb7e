//! Errors of a configuration.

use core::fmt;
use core::time::Duration;

/// The value of an option in a [`ConfigError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Value {
    /// A duration.
    Span(Duration),
    /// A number of items or frames.
    Count(u64),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Span(span) => write!(f, "{span:?}"),
            Self::Count(count) => count.fmt(f),
        }
    }
}

/// An option, or a combination of two, that is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The option must be more than zero.
    Zero {
        /// The option.
        option: &'static str,
    },
    /// The option must not be empty.
    Empty {
        /// The option.
        option: &'static str,
    },
    /// The option must be below another one.
    NotBelow {
        /// The option.
        option: &'static str,
        /// The option's value.
        value: Value,
        /// The option that is the limit.
        limit: &'static str,
        /// The limit's value.
        limit_value: Value,
    },
    /// The option must not be above another one.
    Above {
        /// The option.
        option: &'static str,
        /// The option's value.
        value: Value,
        /// The option that is the limit.
        limit: &'static str,
        /// The limit's value.
        limit_value: Value,
    },
    /// The option has no effect without another one.
    Needs {
        /// The option.
        option: &'static str,
        /// The option that is missing.
        needs: &'static str,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zero { option } => write!(f, "{option} is 0: it must be more than zero"),
            Self::Empty { option } => write!(f, "{option} is empty: it must not be"),
            Self::NotBelow { option, value, limit, limit_value } => {
                write!(f, "{option} is {value}: it must be below {limit}, which is {limit_value}")
            }
            Self::Above { option, value, limit, limit_value } => {
                write!(f, "{option} is {value}: it must not be above {limit}, which is {limit_value}")
            }
            Self::Needs { option, needs } => write!(f, "{option} is set: it has no effect without {needs}"),
        }
    }
}

impl core::error::Error for ConfigError {}
