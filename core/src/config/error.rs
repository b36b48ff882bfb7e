//! What is wrong with a configuration.

use core::fmt;
use core::time::Duration;

/// An option's value in an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Value {
    /// A span of time.
    Span(Duration),
    /// A number of things.
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

/// Options that cannot go together: which, their values, and the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// It must be more than zero.
    Zero {
        /// Which option.
        option: &'static str,
    },
    /// It must not be empty.
    Empty {
        /// Which option.
        option: &'static str,
    },
    /// It must be below another.
    NotBelow {
        /// Which option.
        option: &'static str,
        /// Its value.
        value: Value,
        /// The option it must be below.
        limit: &'static str,
        /// That one's value.
        limit_value: Value,
    },
    /// It must not be above another.
    Above {
        /// Which option.
        option: &'static str,
        /// Its value.
        value: Value,
        /// The option it must not be above.
        limit: &'static str,
        /// That one's value.
        limit_value: Value,
    },
    /// It means nothing without another.
    Needs {
        /// Which option.
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
            Self::Needs { option, needs } => write!(f, "{option} is set: it means nothing without {needs}"),
        }
    }
}

impl core::error::Error for ConfigError {}
