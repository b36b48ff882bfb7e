//! Values of options: parsed once, valid from then on.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::{OsStringValueParser, PossibleValue, PossibleValuesParser, TypedValueParser};
use tidegate::{Overflow, RetryPolicy};

/// A span such as `500ms`, `15s` or `2m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let span = humantime::parse_duration(text).map_err(|_| "expected a duration such as 500ms, 15s or 2m")?;
    if span.is_zero() { Err("the duration must be more than zero".to_owned()) } else { Ok(span) }
}

/// The interval between pings, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PingInterval(pub(crate) Option<Duration>);

/// A span, or `off`.
pub(super) fn ping_interval(text: &str) -> Result<PingInterval, String> {
    if text == "off" { Ok(PingInterval(None)) } else { duration(text).map(Some).map(PingInterval) }
}

/// A whole number. The parser's own would repeat one that is out of range.
pub(super) fn at_least<N>(least: N) -> impl Fn(&str) -> Result<N, String> + Clone
where
    N: Clone + FromStr + PartialOrd + fmt::Display,
{
    move |text| match text.parse() {
        Ok(number) if number >= least => Ok(number),
        Ok(_) | Err(_) => Err(format!("expected a whole number of at least {least}")),
    }
}

/// An HTTP status.
pub(super) fn status(range: RangeInclusive<u16>) -> impl Fn(&str) -> Result<u16, String> + Clone {
    move |text| match text.parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        Ok(_) | Err(_) => {
            Err(format!("expected numbers from {} to {} with commas between", range.start(), range.end()))
        }
    }
}

/// A code that a Close may have (RFC 6455, section 7.4), or 1005 for one without a code.
pub(super) fn close_code(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(code @ (1000..=1003 | 1005 | 1007..=1014 | 3000..=4999)) => Ok(code),
        Ok(1006 | 1015) => {
            Err("no server sends 1006 or 1015: a broken connection is always retried".to_owned())
        }
        Ok(_) | Err(_) => {
            Err("expected codes of Close frames with commas between, such as 1008,4001".to_owned())
        }
    }
}

/// The name of a file. One of several lines is most likely the content of a key file, which errors must not repeat.
pub(super) fn file_name() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().try_map(|name| {
        let is_content = name.to_string_lossy().contains(['\r', '\n']);
        if is_content { Err("expected the name of a file, not its content") } else { Ok(PathBuf::from(name)) }
    })
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

/// `HOST1:PORT1:HOST2:PORT2`, as curl's option of that name; an IPv6 address in brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConnectTo {
    pub(crate) from: (String, u16),
    pub(crate) to: (String, u16),
}

impl FromStr for ConnectTo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (from, rest) = host_and_port(text)?;
            let (to, rest) = host_and_port(rest.strip_prefix(':')?)?;
            rest.is_empty().then_some(Self { from, to })
        };
        parse().ok_or_else(|| {
            "expected HOST1:PORT1:HOST2:PORT2, such as feed.example:443:10.0.0.7:8443, with brackets around an IPv6 \
             address"
                .to_owned()
        })
    }
}

/// Takes a host and its port from the beginning of `text`; what follows them is left.
fn host_and_port(text: &str) -> Option<((String, u16), &str)> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(address) => address.split_once("]:")?,
        None => text.split_once(':')?,
    };
    let (port, rest) = rest.split_at(rest.find(':').unwrap_or(rest.len()));
    let port = port.parse().ok().filter(|port| *port > 0)?;
    (!host.is_empty()).then(|| ((host.to_owned(), port), rest))
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

/// An overflow policy, by name.
pub(super) fn overflow() -> impl TypedValueParser<Value = Overflow> {
    PossibleValuesParser::new(Overflow::ALL.iter().copied().filter_map(possible)).map(|name| {
        let named = |overflow: &Overflow| possible(*overflow).is_some_and(|value| value.get_name() == name);
        Overflow::ALL.iter().copied().find(named).expect("no other name is taken")
    })
}

fn possible(overflow: Overflow) -> Option<PossibleValue> {
    let (name, help) = match overflow {
        Overflow::Pause => {
            ("pause", "Stop reading until there is room: nothing is lost, the server has to wait")
        }
        Overflow::DropOldest => ("drop-oldest", "Drop the oldest items"),
        Overflow::DropNewest => ("drop-newest", "Drop the newest items"),
        Overflow::Disconnect => ("disconnect", "Reconnect"),
        _ => return None,
    };
    Some(PossibleValue::new(name).help(help))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ping_interval_is_a_span_or_off() {
        assert_eq!(ping_interval("off"), Ok(PingInterval(None)));
        assert_eq!(ping_interval("5s"), Ok(PingInterval(Some(Duration::from_secs(5)))));
        for wrong in ["", "0s", "on", "OFF"] {
            assert!(ping_interval(wrong).is_err(), "{wrong:?} was accepted");
        }
    }

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
    fn hosts_and_ports_are_read() {
        let host = |name: &str, port| (name.to_owned(), port);
        let names = ConnectTo { from: host("feed.example", 443), to: host("10.0.0.7", 8443) };
        assert_eq!("feed.example:443:10.0.0.7:8443".parse(), Ok(names));
        let addresses = ConnectTo { from: host("2001:db8::1", 443), to: host("::1", 1) };
        assert_eq!("[2001:db8::1]:443:[::1]:1".parse(), Ok(addresses));
        for wrong in [
            "",
            "a:1",
            "a:1:b",
            "a:1:b:0",
            "a:1:b:2:3",
            ":1:b:2",
            "a:1::2",
            "a:99999:b:2",
            "::1:1:b:2",
            "[::1]1:b:2",
        ] {
            assert!(wrong.parse::<ConnectTo>().is_err(), "{wrong:?} was accepted");
        }
    }
}
