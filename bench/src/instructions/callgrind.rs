//! Runs this program under callgrind, which counts the instructions of a process.

use std::env::current_exe;
use std::io::ErrorKind;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::Result;
use crate::process::Process;

/// The line that a process prints after its last message.
pub(crate) const DONE: &str = "all messages taken";

/// A run that takes longer hangs.
const TIMEOUT: Duration = Duration::from_secs(120);

/// glibc copies large memory by one instruction that repeats, and valgrind counts each repetition, a byte: several times the
/// rest of a message of 16 KiB. Without this feature of the CPU, glibc uses loops over vectors.
const TUNABLES: (&str, &str) = ("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-ERMS,-FSRM");

/// Returns an error that says what is missing if instructions cannot be counted.
pub(crate) fn usable() -> Result<()> {
    if cfg!(debug_assertions) {
        return Err("the instructions of a debug build mean nothing: use `cargo run -r`".into());
    }
    let version = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    match version {
        Ok(status) if status.success() => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err("valgrind is not installed: `apt-get install valgrind`, or the package of your system".into())
        }
        Ok(status) => Err(format!("`valgrind --version` failed: {status}").into()),
        Err(error) => Err(format!("valgrind does not start: {error}").into()),
    }
}

/// Counts the instructions of a process from start to end.
pub(crate) fn count(arguments: &[String]) -> Result<u64> {
    let mut command = Command::new("valgrind");
    // The log goes to standard output, whose lines are read with a timeout.
    command.env(TUNABLES.0, TUNABLES.1);
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--log-fd=1"]);
    command.arg(current_exe()?).arg("instructions-client").args(arguments);
    let process = Process::start(&mut command)?;
    let mut done = false;
    loop {
        let line = process.line(TIMEOUT)?;
        done |= line == DONE;
        match collected(&line) {
            Some(instructions) if done => return Ok(instructions),
            Some(_) => return Err("it ended before the last message".into()),
            None => {}
        }
    }
}

/// The total, if this is the line of the log that has it.
fn collected(line: &str) -> Option<u64> {
    let (mark, total) = line.split_once(" Collected : ")?;
    let process = mark.strip_prefix("==")?.strip_suffix("==")?;
    process.parse::<u32>().ok()?;
    total.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_found_in_the_log() {
        let log = "==4242== Callgrind, a call-graph generating cache profiler\n\
                   ==4242== For interactive control, run 'callgrind_control -h'.\n\
                   all messages taken\n\
                   ==4242== \n\
                   ==4242== Events    : Ir\n\
                   ==4242== Collected : 17362051\n";
        let totals: Vec<_> = log.lines().filter_map(collected).collect();
        assert_eq!(totals, [17_362_051]);
    }

    #[test]
    fn what_only_looks_like_it_is_no_total() {
        for line in ["Collected : 7", "==x== Collected : 7", "==42== Collected : ", "==42== Collected : 1 2"]
        {
            assert_eq!(collected(line), None, "{line}");
        }
    }
}
