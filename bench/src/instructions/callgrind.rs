//! Runs this program under callgrind, which counts the instructions of a process.

use std::env::current_exe;
use std::io::ErrorKind;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::Result;
use crate::process::Process;

/// What a process says when it has taken all its messages.
pub(crate) const DONE: &str = "all messages taken";

/// No run takes longer, or it hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// Large copies in glibc are one instruction that repeats, and valgrind would count each repetition, a byte: as much as all
/// the rest of a message of 16 KiB several times over. Without this feature of the CPU they are loops over vectors.
const TUNABLES: (&str, &str) = ("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-ERMS,-FSRM");

/// Whether instructions can be counted; says what is missing if not.
pub(crate) fn usable() -> Result<()> {
    if cfg!(debug_assertions) {
        return Err("this is a debug build, whose instructions tell nothing: use `cargo run -r`".into());
    }
    let version = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    match version {
        Ok(status) if status.success() => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err("valgrind is not installed: `apt-get install valgrind`, or what your system calls it".into())
        }
        Ok(status) => Err(format!("`valgrind --version` failed: {status}").into()),
        Err(error) => Err(format!("valgrind does not start: {error}").into()),
    }
}

/// How many instructions a process takes from its start to its end.
pub(crate) fn count(arguments: &[String]) -> Result<u64> {
    let mut command = Command::new("valgrind");
    // The log goes to standard output, of which the lines are read with a bound on time.
    command.env(TUNABLES.0, TUNABLES.1);
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--log-fd=1"]);
    command.arg(current_exe()?).arg("instructions-client").args(arguments);
    let process = Process::start(&mut command)?;
    let mut done = false;
    loop {
        let line = process.line(PATIENCE)?;
        done |= line == DONE;
        match collected(&line) {
            Some(instructions) if done => return Ok(instructions),
            Some(_) => return Err("it ended before the last message".into()),
            None => {}
        }
    }
}

/// The total, if this is the line of the log that tells it.
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
