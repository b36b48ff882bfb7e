//! Many feeds in one process: memory, CPU while idle and with few messages, and recovery after a restart of the server.

mod proc;

use std::time::{Duration, Instant};

use crate::Result;
use crate::args::{Jitter, Mode, Pings, Runtime, Scale};
use crate::machine::Machine;
use crate::process::{Process, Server, Threads, arg, own};
use crate::server::path::Path;
use crate::table::{name, table};
use proc::Usage;

/// The line that a client prints whenever all its feeds are Live.
pub(crate) const ALL_LIVE: &str = "all live";

/// How long the server refuses connections in a restart: several retries of each feed.
const OUTAGE: Duration = Duration::from_secs(2);

/// Number of addresses of the server.
const ADDRESSES: u8 = 8;

/// How long all feeds may take to be Live.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Time between all feeds being Live and the measurement. The timer of an attempt's deadline is not canceled and fires once
/// more, ten seconds after the attempt began.
const SETTLE: Duration = Duration::from_secs(11);

/// How long messages arrive before their cost is measured.
const WARM_UP: Duration = Duration::from_secs(1);

/// How long idle feeds with pings are measured: each sends one in this time, by default.
const PING_INTERVAL: Duration = Duration::from_secs(20);

const COUNTS: [usize; 5] = [1, 10, 100, 1_000, 10_000];

pub(crate) fn run(options: &Scale) -> Result<()> {
    let window = Duration::from_secs(if options.quick { 2 } else { 10 });
    let counts = counts(options);
    let mut rows = Vec::new();
    for runtime in [Runtime::Tokio, Runtime::Smol] {
        for &feeds in &counts {
            eprintln!("{feeds} feeds on {}", name(&runtime));
            let setup = Setup { runtime, mode: options.mode, threads: options.threads, feeds };
            rows.push(setup.measure(window)?.cells(&setup));
        }
    }
    println!("{}, feeds {}\n\n{}", Machine::here(), name(&options.mode), table(COLUMNS, rows, 2));
    Ok(())
}

fn counts(options: &Scale) -> Vec<usize> {
    match (options.feeds.is_empty(), options.quick) {
        (false, _) => options.feeds.clone(),
        (true, true) => COUNTS[..4].to_vec(),
        (true, false) => COUNTS.to_vec(),
    }
}

const COLUMNS: [&str; 15] = [
    "feeds",
    "runtime",
    "ms until all are Live",
    "KiB each",
    "peak MiB",
    "idle: CPU ms/s",
    "idle: switches/s",
    "pings: CPU ms/s",
    "pings: switches/s",
    "1 message/s each: CPU ms/s",
    "us of CPU per message",
    "back, full jitter: ms",
    "back, full jitter: attempts in 0.1 s",
    "back, no jitter: ms",
    "back, no jitter: attempts in 0.1 s",
];

/// One process with many feeds.
struct Setup {
    runtime: Runtime,
    mode: Mode,
    threads: Threads,
    feeds: usize,
}

struct Figures {
    until_live: Duration,
    kib_each: f64,
    peak_kib: u64,
    idle: Usage,
    pinging: Usage,
    busy: Usage,
    window: Duration,
    full: Restart,
    none: Restart,
}

/// The recovery of all feeds from a restart of the server.
struct Restart {
    /// Time from when the server accepts connections again until all are Live.
    back_after: Duration,
    /// Most attempts in a tenth of a second in that time.
    peak_attempts: u32,
}

impl Setup {
    fn measure(&self, window: Duration) -> Result<Figures> {
        let mut server = Server::start(ADDRESSES)?;
        let started = self.start(&server, Jitter::Full, Pings::Off)?;
        let process = &started.process;
        std::thread::sleep(SETTLE);
        let memory = proc::memory_kib(process.id())?;
        let idle = proc::usage_during(process.id(), window)?;
        server.command("messages on")?;
        std::thread::sleep(WARM_UP);
        let busy = proc::usage_during(process.id(), window)?;
        server.command("messages off")?;
        let full = restart(&mut server, process)?;
        let peak_kib = proc::peak_kib(process.id())?;
        // Both must end before the next are started, to measure one process at a time.
        drop((started.process, server));
        let mut server = Server::start(ADDRESSES)?;
        let started_again = self.start(&server, Jitter::None, Pings::On)?;
        std::thread::sleep(SETTLE);
        let pinging = proc::usage_during(started_again.process.id(), PING_INTERVAL)?;
        let none = restart(&mut server, &started_again.process)?;
        let kib_each = memory.saturating_sub(started.memory_before_kib) as f64 / self.feeds as f64;
        Ok(Figures {
            until_live: started.until_live,
            kib_each,
            peak_kib,
            idle,
            pinging,
            busy,
            window,
            full,
            none,
        })
    }

    /// Starts a process, and waits until all its feeds are Live.
    fn start(&self, server: &Server, jitter: Jitter, pings: Pings) -> Result<Started> {
        let mut command = own("scale-client", self.threads)?;
        arg(&mut command, &self.runtime);
        arg(&mut command, &self.mode);
        command.arg(self.feeds.to_string());
        arg(&mut command, &jitter);
        arg(&mut command, &pings);
        let process = Process::start(command.args(server.urls(Path::Hold)))?;
        let memory_before_kib = process.json(TIMEOUT)?;
        let begin = Instant::now();
        all_live(&process)?;
        Ok(Started { process, memory_before_kib, until_live: begin.elapsed() })
    }
}

struct Started {
    process: Process,
    memory_before_kib: u64,
    until_live: Duration,
}

fn restart(server: &mut Server, process: &Process) -> Result<Restart> {
    let begin = Instant::now();
    server.command(&format!("drop {}", OUTAGE.as_millis()))?;
    all_live(process)?;
    Ok(Restart { back_after: begin.elapsed().saturating_sub(OUTAGE), peak_attempts: server.peak_attempts()? })
}

fn all_live(process: &Process) -> Result<()> {
    let line = process.line(TIMEOUT)?;
    if line == ALL_LIVE { Ok(()) } else { Err(format!("unknown line of a client: {line}").into()) }
}

impl Figures {
    fn cells(&self, setup: &Setup) -> [String; COLUMNS.len()] {
        let per_second = |value: f64| value / self.window.as_secs_f64();
        let pinging = |value: f64| value / PING_INTERVAL.as_secs_f64();
        let busy = per_second(self.busy.cpu.as_secs_f64());
        [
            setup.feeds.to_string(),
            name(&setup.runtime),
            self.until_live.as_millis().to_string(),
            format!("{:.1}", self.kib_each),
            format!("{:.1}", self.peak_kib as f64 / 1024.0),
            format!("{:.2}", per_second(self.idle.cpu.as_secs_f64() * 1e3)),
            format!("{:.1}", per_second(self.idle.switches as f64)),
            format!("{:.2}", pinging(self.pinging.cpu.as_secs_f64() * 1e3)),
            format!("{:.1}", pinging(self.pinging.switches as f64)),
            format!("{:.2}", busy * 1e3),
            format!("{:.1}", busy * 1e6 / setup.feeds as f64),
            self.full.back_after.as_millis().to_string(),
            self.full.peak_attempts.to_string(),
            self.none.back_after.as_millis().to_string(),
            self.none.peak_attempts.to_string(),
        ]
    }
}
