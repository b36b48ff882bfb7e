//! What every client process does around its client: reads what to do, counts messages, and prints one line.
//!
//! A package of its own, since the clients in `bench/peers` have it too, and are to need nothing else of ours.
#![cfg(target_os = "linux")]

use std::process::exit;
use std::time::Duration;

use rustix::time::clock_gettime;

pub use rustix::time::ClockId;

/// The environment variable that tells clients on tokio which of its runtimes to run on.
pub const FLAVOR: &str = "TIDEGATE_BENCH_FLAVOR";

/// The environment variable that tells clients where to run: `main`, or else in a task.
pub const PLACE: &str = "TIDEGATE_BENCH_PLACE";

/// What a client process is told on its command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Where the messages come from.
    pub url: String,
    /// How many come.
    pub count: u64,
    /// How long each is, in bytes.
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

    /// Reads it from the command line of the process, which ends if there is none.
    #[must_use]
    pub fn from_args() -> Self {
        Self::parse(std::env::args().skip(1)).unwrap_or_else(|| fail("usage: URL COUNT SIZE"))
    }
}

/// Counts messages, and takes the time until the last. From when it is made, and not from the first message: a client that
/// hands messages over in batches has done the work for a whole batch by then.
#[derive(Debug)]
pub struct Meter {
    count: u64,
    size: usize,
    seen: u64,
    start: Marks,
}

#[derive(Clone, Copy, Debug)]
struct Marks {
    wall: Duration,
    cpu: Duration,
}

impl Marks {
    fn now() -> Self {
        Self { wall: clock(ClockId::Monotonic), cpu: clock(ClockId::ProcessCPUTime) }
    }
}

impl Meter {
    /// A meter for this job. Make it before the client connects.
    #[must_use]
    pub fn new(job: &Job) -> Self {
        Self { count: job.count, size: job.size, seen: 0, start: Marks::now() }
    }

    /// A message of so many bytes has come. Prints the line at the last one, and ends the process.
    #[inline]
    pub fn message(&mut self, bytes: usize) {
        if bytes != self.size {
            fail(&format!("a message of {bytes} bytes, and not of {}", self.size));
        }
        self.item();
    }

    /// Something that was made of one message has come.
    #[inline]
    pub fn item(&mut self) {
        self.seen += 1;
        if self.seen == self.count {
            self.finish();
        }
    }

    fn finish(&self) -> ! {
        let end = Marks::now();
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

/// Ends the process with a line on standard error.
pub fn fail(message: &str) -> ! {
    eprintln!("{message}");
    exit(1)
}

/// A reading of `id`.
pub fn clock(id: ClockId) -> Duration {
    let time = clock_gettime(id);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// The most memory that this process has had.
fn peak_rss_kib() -> Option<u64> {
    status_kib(&std::fs::read_to_string("/proc/self/status").ok()?, "VmHWM")
}

/// A line of `/proc/PID/status` that tells of KiB.
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
