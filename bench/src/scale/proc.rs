//! Memory and CPU of another process, from `/proc`.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use tidegate_bench_meter::status_kib;

use crate::Result;

/// Usage of a process over some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// User and system time of all threads.
    pub(crate) cpu: Duration,
    /// How often threads went to sleep, and so were woken.
    pub(crate) switches: u64,
}

pub(crate) fn memory_kib(process: u32) -> Result<u64> {
    status(process, "VmRSS")
}

pub(crate) fn peak_kib(process: u32) -> Result<u64> {
    status(process, "VmHWM")
}

/// Measures a process for `window`.
pub(crate) fn usage_during(process: u32, window: Duration) -> Result<Usage> {
    let before = usage(process)?;
    sleep(window);
    let after = usage(process)?;
    Ok(Usage {
        cpu: after.cpu.saturating_sub(before.cpu),
        switches: after.switches.saturating_sub(before.switches),
    })
}

fn status(process: u32, name: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    Ok(status_kib(&status, name).ok_or_else(|| format!("no {name} in /proc"))?)
}

/// Sums up all threads. A thread that has ended is not counted, but the threads of runtimes stay.
fn usage(process: u32) -> Result<Usage> {
    let mut sum = Usage::default();
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let thread = thread?.path();
        // The thread may have ended.
        let (Ok(schedstat), Ok(status)) =
            (fs::read_to_string(thread.join("schedstat")), fs::read_to_string(thread.join("status")))
        else {
            continue;
        };
        sum.cpu += on_cpu(&schedstat).ok_or("schedstat has another format")?;
        sum.switches += switches(&status).ok_or("no switches in /proc")?;
    }
    Ok(sum)
}

/// CPU time: the first number of `schedstat`, in nanoseconds.
fn on_cpu(schedstat: &str) -> Option<Duration> {
    Some(Duration::from_nanos(schedstat.split_whitespace().next()?.parse().ok()?))
}

fn switches(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found() {
        assert_eq!(on_cpu("1500 20 3\n"), Some(Duration::from_nanos(1500)));
        assert_eq!(on_cpu(""), None);
        let status = "nonvoluntary_ctxt_switches:\t9\nvoluntary_ctxt_switches:\t7\n";
        assert_eq!(switches(status), Some(7));
    }

    #[test]
    fn this_process_has_memory_and_has_run() {
        let this = std::process::id();
        assert!(memory_kib(this).unwrap() > 0);
        assert!(peak_kib(this).unwrap() >= memory_kib(this).unwrap() / 2);
        assert!(usage(this).unwrap().cpu > Duration::ZERO);
    }
}
