//! One process of another author: what it says, and its end.

use std::ffi::OsString;
use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use super::WAIT;

/// Ends the program with whoever started it.
const GUARD: &str = include_str!("guard.sh");

/// How a program is called: the program, what always comes first, and what is added to its environment.
#[derive(Clone, Debug)]
pub(super) struct Launch {
    pub(super) program: OsString,
    pub(super) environment: Vec<(&'static str, OsString)>,
}

impl Launch {
    pub(super) fn command(&self, program: impl Into<OsString>) -> Command {
        let mut command = Command::new(program.into());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// A program that runs under the guard.
pub(super) struct Process {
    name: &'static str,
    guard: Child,
    pid: u32,
    log: Arc<Log>,
}

/// What a program wrote.
#[derive(Default)]
struct Log {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<String>,
    /// Of standard output and standard error, how many have ended.
    ended: usize,
}

impl State {
    fn over(&self) -> bool {
        self.ended == 2
    }
}

impl Process {
    /// # Panics
    /// If there is no `sh`, or it cannot run the guard.
    pub(super) fn start(name: &'static str, launch: &Launch, arguments: &[OsString]) -> Self {
        let mut command = launch.command("sh");
        command.args(["-c", GUARD, "sh"]).arg(&launch.program).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut guard = command.spawn().expect("every peer runs under `sh`");
        let log = Arc::new(Log::default());
        follow(guard.stdout.take().expect("it is piped"), Arc::clone(&log));
        follow(guard.stderr.take().expect("it is piped"), Arc::clone(&log));
        let mut process = Self { name, guard, pid: 0, log };
        let told = process.wait_for("the guard to tell the pid", |line| line.starts_with("pid "));
        process.pid = number_after("pid ", &told.unwrap_or_else(|story| panic!("{story}")));
        process
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.log.state().lines.clone()
    }

    /// The first line that matches, once it is there; otherwise all that is known.
    pub(super) fn wait_for(&self, what: &str, matches: impl Fn(&str) -> bool) -> Result<String, String> {
        self.wait_for_nth(1, what, matches)
    }

    /// The same for the `count`th line that matches, from 1.
    pub(super) fn wait_for_nth(
        &self,
        count: usize,
        what: &str,
        matches: impl Fn(&str) -> bool,
    ) -> Result<String, String> {
        let find = |state: &State| state.lines.iter().filter(|line| matches(line)).nth(count - 1).cloned();
        let state = self.log.wait_while(WAIT, |state| !state.over() && find(state).is_none());
        find(&state).ok_or_else(|| self.story(what, &state))
    }

    /// Whether it ends within this time.
    pub(super) fn ends_within(&self, time: Duration) -> bool {
        self.log.wait_while(time, |state| !state.over()).over()
    }

    /// That it did not do what it should, and all that it wrote.
    fn story(&self, what: &str, state: &State) -> String {
        let end = if state.over() { "it ended" } else { "it still runs" };
        format!("{}: waited for {what}; {end}; it wrote:\n{}", self.name, state.lines.join("\n"))
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").field("name", &self.name).field("pid", &self.pid).finish_non_exhaustive()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The guard's sign to kill the program.
        drop(self.guard.stdin.take());
        if !self.ends_within(WAIT) {
            // No panic here: the test may be in one already. Both calls fail only if it has ended after all.
            eprintln!("{} did not end in time", self.name);
            self.guard.kill().ok();
        }
        self.guard.wait().ok();
    }
}

impl Log {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with it")
    }

    fn wait_while(&self, time: Duration, mut waits: impl FnMut(&State) -> bool) -> MutexGuard<'_, State> {
        let waited = self.changed.wait_timeout_while(self.state(), time, |state| waits(state));
        waited.expect("nobody panics with it").0
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }
}

/// Notes the lines of a pipe, until its end.
fn follow(pipe: impl Read + Send + 'static, log: Arc<Log>) {
    thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            log.change(|state| state.lines.push(String::from_utf8_lossy(&line).into_owned()));
        }
        log.change(|state| state.ended += 1);
    });
}

/// The number in a line such as `port 40123`.
pub(super) fn number_after<N: std::str::FromStr>(prefix: &str, line: &str) -> N {
    let number = line.strip_prefix(prefix).and_then(|number| number.trim().parse().ok());
    number.unwrap_or_else(|| panic!("a number after {prefix:?}, not {line:?}"))
}
