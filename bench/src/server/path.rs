//! Paths of URLs, each with what the server sends.

use std::time::Duration;

/// The messages of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Path {
    /// `/flood/SIZE/COUNT`: that many messages of that size, as fast as the client reads.
    Flood { size: usize, count: u64 },
    /// `/stamp/COUNT/MICROSECONDS`: that many messages, one at a time, each with the time at which it is sent.
    Stamp { count: u64, interval: Duration },
    /// `/flap/MILLISECONDS`: after that long, a message with the time, then the end of the connection.
    Flap { after: Duration },
    /// `/hold`: a connection that stays, with a message a second or none.
    Hold,
}

impl Path {
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        Some(match parts[..] {
            ["flood", size, count] => Self::Flood { size: size.parse().ok()?, count: count.parse().ok()? },
            ["stamp", count, interval] => Self::Stamp {
                count: count.parse().ok()?,
                interval: Duration::from_micros(interval.parse().ok()?),
            },
            ["flap", after] => Self::Flap { after: Duration::from_millis(after.parse().ok()?) },
            ["hold"] => Self::Hold,
            _ => return None,
        })
    }
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Flood { size, count } => write!(f, "/flood/{size}/{count}"),
            Self::Stamp { count, interval } => write!(f, "/stamp/{count}/{}", interval.as_micros()),
            Self::Flap { after } => write!(f, "/flap/{}", after.as_millis()),
            Self::Hold => f.write_str("/hold"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for path in [
            Path::Flood { size: 64, count: 1000 },
            Path::Stamp { count: 10, interval: Duration::from_micros(500) },
            Path::Flap { after: Duration::from_millis(20) },
            Path::Hold,
        ] {
            assert_eq!(Path::parse(&path.to_string()), Some(path));
        }
    }

    #[test]
    fn other_paths_are_nothing() {
        for path in ["", "/", "/flood/64", "/flood/64/x", "/hold/1", "hold"] {
            assert_eq!(Path::parse(path), None, "{path}");
        }
    }
}
