//! The common part of client processes: reads arguments, counts messages, and prints one line.
//!
//! A package of its own, since the clients in `bench/peers` use it and need nothing else of tidegate.
#![cfg(target_os = "linux")]

use std::process::exit;
use std::time::Duration;

use rustix::time::clock_gettime;

pub use rustix::time::ClockId;

/// Environment variable with the tokio runtime of a client: `current-thread`, or else `multi-thread`.
pub const FLAVOR: &str = "TIDEGATE_BENCH_FLAVOR";

/// Environment variable with the place of a client: `main`, or else in a task.
pub const PLACE: &str = "TIDEGATE_BENCH_PLACE";

/// The arguments of a client process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The server.
    pub url: String,
    /// Number of messages.
    pub count: u64,
    /// Size of a message, in bytes.
    pub size: usize,
}

impl Job {
    /// Reads `URL COUNT SIZE`.
    pub fn parse(mut words: impl Iterator<Item = String>) -> Option<Self> {
        Some(Self {
            url: words.next()?,
            count: words.next()?.parse().ok()?,
            size: words.next()?.parse().ok()?,
        })
    }

    /// Reads the command line of the process. Ends the process if it is invalid.
    #[must_use]
    pub fn from_args() -> Self {
        Self::parse(std::env::args().skip(1)).unwrap_or_else(|| fail("usage: URL COUNT SIZE"))
    }
}

/// Counts messages, and measures the time from its creation to the last message. Not from the first message: by then a client
/// that hands over in batches has done the work of a whole batch.
#[derive(Debug)]
pub struct Meter {
    count: u64,
    size: usize,
    seen: u64,
    start: Times,
}

#[derive(Clone, Copy, Debug)]
struct Times {
    wall: Duration,
    cpu: Duration,
}

impl Times {
    fn now() -> Self {
        Self { wall: clock(ClockId::Monotonic), cpu: clock(ClockId::ProcessCPUTime) }
    }
}

impl Meter {
    /// Begins to measure. Call it before the client connects.
    #[must_use]
    pub fn new(job: &Job) -> Self {
        Self { count: job.count, size: job.size, seen: 0, start: Times::now() }
    }

    /// Counts a message, and checks its size. Prints the line and ends the process at the last one.
    #[inline]
    pub fn message(&mut self, bytes: usize) {
        if bytes != self.size {
            fail(&format!("a message of {bytes} bytes, and not of {}", self.size));
        }
        self.item();
    }

    /// Counts an item made of one message. Prints the line and ends the process at the last one.
    #[inline]
    pub fn item(&mut self) {
        self.seen += 1;
        if self.seen == self.count {
            self.finish();
        }
    }

    fn finish(&self) -> ! {
        let end = Times::now();
        let (wall, cpu) = (end.wall - self.start.wall, end.cpu - self.start.cpu);
        println!("{}", line(self.count, self.size, wall, cpu, peak_rss_kib().unwrap_or(0)));
        exit(0)
    }
}

/// The line that a client process prints.
fn line(messages: u64, size: usize, wall: Duration, cpu: Duration, peak_rss_kib: u64) -> String {
    let per_second = messages as f64 / wall.as_secs_f64();
    let mib_per_second = per_second * size as f64 / f64::from(1 << 20);
    let cpu_ns = cpu.as_nanos() as f64 / messages as f64;
    format!(
        "{{\"msgs_per_s\":{per_second:.0},\"mib_per_s\":{mib_per_second:.2},\"cpu_ns_per_msg\":{cpu_ns:.2},\
         \"peak_rss_kib\":{peak_rss_kib}}}"
    )
}

/// Prints an error and ends the process.
pub fn fail(message: &str) -> ! {
    eprintln!("{message}");
    exit(1)
}

/// Reads a clock.
pub fn clock(id: ClockId) -> Duration {
    let time = clock_gettime(id);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Peak memory of this process.
fn peak_rss_kib() -> Option<u64> {
    status_kib(&std::fs::read_to_string("/proc/self/status").ok()?, "VmHWM")
}

/// A value in KiB from `/proc/PID/status`.
pub fn status_kib(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_read_from_three_words() {
        let words = |text: &str| Job::parse(text.split_whitespace().map(str::to_owned));
        let job = Job { url: "ws://127.0.0.1:1/x".to_owned(), count: 7, size: 64 };
        assert_eq!(words("ws://127.0.0.1:1/x 7 64"), Some(job));
        assert_eq!(words("ws://127.0.0.1:1/x 7"), None);
        assert_eq!(words("ws://127.0.0.1:1/x seven 64"), None);
    }

    #[test]
    fn the_line_has_rates_and_costs() {
        let line = line(1000, 1 << 20, Duration::from_secs(2), Duration::from_micros(5), 42);
        let expected = r#"{"msgs_per_s":500,"mib_per_s":500.00,"cpu_ns_per_msg":5.00,"peak_rss_kib":42}"#;
        assert_eq!(line, expected);
    }

    #[test]
    fn memory_is_found_in_the_status_by_its_whole_name() {
        let status = "Name:\tx\nVmPeak:\t  9 kB\nVmHWM:\t    1234 kB\nVmRSS:\t 12 kB\n";
        assert_eq!(status_kib(status, "VmHWM"), Some(1234));
        assert_eq!(status_kib(status, "VmRSS"), Some(12));
        assert_eq!(status_kib(status, "VmH"), None);
    }
}
