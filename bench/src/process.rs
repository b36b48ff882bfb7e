//! Processes of the harness: the server and the clients. They print lines on standard output.

use std::env::current_exe;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::de::DeserializeOwned;
use tidegate_bench_meter::{FLAVOR, PLACE};

use crate::Result;
use crate::server::path::Path;
use crate::table::name;

/// How long the harness waits for a line that is printed without delay.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A process that is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().ok_or("a process without standard output")?;
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(std::result::Result::ok) {
                // The harness has dropped the process.
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, lines })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the next line.
    pub(crate) fn line(&self, within: Duration) -> Result<String> {
        self.lines.recv_timeout(within).map_err(|error| match error {
            RecvTimeoutError::Timeout => format!("no line within {within:?}").into(),
            RecvTimeoutError::Disconnected => "the process ended without a line".into(),
        })
    }

    /// Waits for the next line and parses it as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self, within: Duration) -> Result<T> {
        Ok(serde_json::from_str(&self.line(within)?)?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if the process has ended.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// On which threads clients run.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct Threads {
    /// Which of tokio's runtimes the clients on tokio run on
    #[arg(long, value_enum, default_value_t)]
    pub(crate) flavor: Flavor,
    /// Where every client runs
    #[arg(long, value_enum, default_value_t)]
    pub(crate) place: Place,
}

/// Which of tokio's runtimes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Flavor {
    /// What `#[tokio::main]` gives
    #[default]
    MultiThread,
    CurrentThread,
}

/// Where clients run, and with them the consumer of a feed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Place {
    /// In a task, as in a service
    #[default]
    Task,
    /// In the main function, which other threads wake
    Main,
}

/// This program as another process: a subcommand of it.
pub(crate) fn own(subcommand: &str, threads: Threads) -> Result<Command> {
    let mut command = Command::new(current_exe()?);
    run_on(command.arg(subcommand), threads);
    Ok(command)
}

/// Sets on which threads a client runs.
pub(crate) fn run_on(command: &mut Command, threads: Threads) {
    command.env(FLAVOR, name(&threads.flavor)).env(PLACE, name(&threads.place));
}

/// Adds a value by its name on the command line.
pub(crate) fn arg(command: &mut Command, value: &impl ValueEnum) {
    command.arg(name(value));
}

/// The server, killed when this is dropped.
pub(crate) struct Server {
    process: Process,
    commands: ChildStdin,
    addresses: Vec<String>,
}

impl Server {
    pub(crate) fn start(addresses: u8) -> Result<Self> {
        let mut command = own("serve", Threads::default())?;
        let mut process = Process::start(command.arg(addresses.to_string()).stdin(Stdio::piped()))?;
        let commands = process.child.stdin.take().ok_or("a server without standard input")?;
        let addresses = process.json(TIMEOUT)?;
        Ok(Self { process, commands, addresses })
    }

    /// A URL at the first address.
    pub(crate) fn url(&self, path: Path) -> String {
        self.urls(path).next().unwrap_or_default()
    }

    /// A URL at each address.
    pub(crate) fn urls(&self, path: Path) -> impl Iterator<Item = String> {
        self.addresses.iter().map(move |address| format!("ws://{address}{path}"))
    }

    pub(crate) fn command(&mut self, command: &str) -> Result<()> {
        Ok(writeln!(self.commands, "{command}")?)
    }

    /// Most attempts in a tenth of a second since the last outage ended.
    pub(crate) fn peak_attempts(&mut self) -> Result<u32> {
        self.command("peak attempts")?;
        self.process.json(TIMEOUT)
    }
}
