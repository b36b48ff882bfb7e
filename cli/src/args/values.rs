//! Values of options: parsed once, valid from then on.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;
use http::{HeaderName, HeaderValue};
use tidegate::{Overflow, RetryPolicy};

/// A span such as `500ms`, `15s` or `2m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let span = humantime::parse_duration(text)
        .map_err(|_| format!("{text:?} is not a duration such as 500ms, 15s or 2m"))?;
    if span.is_zero() { Err("it must be more than zero".to_owned()) } else { Ok(span) }
}

/// `fixed:DELAY` or `exponential:BASE..CAP`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetryArg {
    Fixed(Duration),
    Exponential { base: Duration, cap: Duration },
}

impl RetryArg {
    pub(crate) fn policy(self, retries: MaxRetries) -> RetryPolicy {
        let policy = match self {
            Self::Fixed(delay) => RetryPolicy::fixed(delay),
            Self::Exponential { base, cap } => RetryPolicy::exponential(base, cap),
        };
        match retries {
            MaxRetries::Unlimited => policy.unlimited(),
            MaxRetries::AtMost(retries) => policy.max_retries(retries),
        }
    }
}

impl FromStr for RetryArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(delay) = text.strip_prefix("fixed:") {
            return Ok(Self::Fixed(duration(delay)?));
        }
        let span = text.strip_prefix("exponential:").and_then(|span| span.split_once(".."));
        let Some((base, cap)) = span else {
            return Err(
                "expected fixed:DELAY or exponential:BASE..CAP, such as exponential:250ms..30s".to_owned()
            );
        };
        Ok(Self::Exponential { base: duration(base)?, cap: duration(cap)? })
    }
}

/// A number, or `unlimited`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MaxRetries {
    AtMost(u32),
    Unlimited,
}

impl FromStr for MaxRetries {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "unlimited" {
            return Ok(Self::Unlimited);
        }
        text.parse().map(Self::AtMost).map_err(|_| "expected a number, or unlimited".to_owned())
    }
}

/// What to do when the queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OverflowArg {
    /// Stop reading until there is room: nothing is lost, the server has to wait
    Pause,
    /// Drop the oldest items
    DropOldest,
    /// Drop the newest items
    DropNewest,
    /// Reconnect
    Disconnect,
}

impl From<OverflowArg> for Overflow {
    fn from(arg: OverflowArg) -> Self {
        match arg {
            OverflowArg::Pause => Self::Pause,
            OverflowArg::DropOldest => Self::DropOldest,
            OverflowArg::DropNewest => Self::DropNewest,
            OverflowArg::Disconnect => Self::Disconnect,
        }
    }
}

/// `Name: value`, `Name: @FILE` or `Name: env:NAME`. Errors name the header, never its value.
#[derive(Clone)]
pub(crate) struct HeaderArg {
    pub(crate) name: HeaderName,
    pub(crate) value: HeaderValue,
}

impl fmt::Debug for HeaderArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HeaderArg").field(&self.name).finish()
    }
}

impl FromStr for HeaderArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once(':').ok_or("expected 'Name: value'")?;
        let name =
            name.trim().parse::<HeaderName>().map_err(|_| "the name is not one of a header".to_owned())?;
        let value = value.trim();
        let value = if let Some(file) = value.strip_prefix('@') {
            let content = std::fs::read_to_string(file)
                .map_err(|error| format!("{name}: the file {file:?} cannot be read: {error}"))?;
            content.trim_end_matches(['\r', '\n']).to_owned()
        } else if let Some(variable) = value.strip_prefix("env:") {
            std::env::var(variable).map_err(|error| match error {
                std::env::VarError::NotPresent => format!("{name}: the variable {variable} is not set"),
                std::env::VarError::NotUnicode(_) => format!("{name}: the variable {variable} is not UTF-8"),
            })?
        } else {
            value.to_owned()
        };
        let mut value = HeaderValue::from_str(&value)
            .map_err(|_| format!("{name}: the value holds characters that a header must not"))?;
        value.set_sensitive(true);
        Ok(Self { name, value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_policies_are_read() {
        let exponential =
            RetryArg::Exponential { base: Duration::from_millis(250), cap: Duration::from_secs(30) };
        assert_eq!("exponential:250ms..30s".parse(), Ok(exponential));
        assert_eq!("fixed:2s".parse(), Ok(RetryArg::Fixed(Duration::from_secs(2))));
        for wrong in ["", "fixed", "fixed:", "fixed:0s", "exponential:1s", "exponential:..", "linear:1s"] {
            assert!(wrong.parse::<RetryArg>().is_err(), "{wrong:?} was accepted");
        }
    }

    #[test]
    fn retries_are_a_number_or_unlimited() {
        assert_eq!("unlimited".parse(), Ok(MaxRetries::Unlimited));
        assert_eq!("0".parse(), Ok(MaxRetries::AtMost(0)));
        assert!("-1".parse::<MaxRetries>().is_err());
    }

    #[test]
    fn header_values_come_from_the_line_or_a_file() {
        let header: HeaderArg = "X-Key:  a b ".parse().unwrap();
        assert_eq!((header.name.as_str(), header.value.as_bytes()), ("x-key", &b"a b"[..]));
        let file = std::env::temp_dir().join(format!("tidegate-header-{}", std::process::id()));
        std::fs::write(&file, "from a file\n").unwrap();
        let header: HeaderArg = format!("X-Key: @{}", file.display()).parse().unwrap();
        std::fs::remove_file(&file).unwrap();
        assert_eq!(header.value.as_bytes(), b"from a file");
    }

    #[test]
    fn a_header_that_is_wrong_does_not_show_its_value() {
        for wrong in
            ["no colon secret", "bad name: secret", "X-Key: secret\u{7f}", "X-Key: env:TIDEGATE_SURELY_UNSET"]
        {
            let error = wrong.parse::<HeaderArg>().unwrap_err();
            assert!(!error.contains("secret"), "{error}");
        }
        assert!(!format!("{:?}", "X-Key: secret".parse::<HeaderArg>().unwrap()).contains("secret"));
    }
}
