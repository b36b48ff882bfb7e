//! The machine: its name, which every report shows with the date, and its limit of open files.

use std::fmt;
use std::time::SystemTime;

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::Result;

/// A machine, and the date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Machine {
    date: String,
    cpu: String,
    cores: usize,
}

impl Machine {
    /// This machine, today.
    pub(crate) fn here() -> Self {
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        // A `T` separates date and time.
        let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        Self {
            date: now.split('T').next().unwrap_or_default().to_owned(),
            cpu: model(&info).unwrap_or("unknown CPU").to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cores = if self.cores == 1 { "core" } else { "cores" };
        write!(f, "{}, {}, {} {cores}, loopback", self.date, self.cpu, self.cores)
    }
}

/// The model of the first processor in `/proc/cpuinfo`.
fn model(info: &str) -> Option<&str> {
    info.lines().find_map(|line| Some(line.strip_prefix("model name")?.split_once(':')?.1.trim()))
}

/// Raises the limit of open files of this process to its maximum: each connection is a file.
pub(crate) fn raise_open_files() -> Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, limit)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_that_of_the_first_processor() {
        assert_eq!(model("processor\t: 0\nmodel name\t: AMD EPYC\nmodel name\t: other\n"), Some("AMD EPYC"));
        assert_eq!(model("processor\t: 0\n"), None);
    }

    #[test]
    fn it_reads_as_one_line() {
        let machine = Machine { date: "2026-01-31".to_owned(), cpu: "AMD EPYC".to_owned(), cores: 2 };
        assert_eq!(machine.to_string(), "2026-01-31, AMD EPYC, 2 cores, loopback");
    }
}
