//! The clients that are compared.

use std::path::PathBuf;
use std::process::Command;

use crate::Result;
use crate::args::{Client, Mode, Runtime, Throughput};
use crate::process::Threads;
use crate::table::name;
use crate::{peers, process};

/// A client on a runtime in a mode.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) client: String,
    pub(crate) runtime: Runtime,
    /// The library that reads frames.
    pub(crate) transport: &'static str,
    pub(crate) mode: Mode,
    pub(crate) reference: Reference,
    program: Program,
    threads: Threads,
}

/// The client whose cost this one is a multiple of: on the same runtime, on tokio for clients without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reference {
    /// async-tungstenite
    Plain,
    /// async-tungstenite with JSON parsed
    Json,
}

#[derive(Clone, Debug)]
enum Program {
    Own(Client),
    Peer(PathBuf),
}

/// A client of other authors: name, transport, mode.
type Peer = (&'static str, &'static str, Mode);

const PEERS: [Peer; 7] = [
    ("tokio-tungstenite", "tungstenite", Mode::Raw),
    ("fastwebsockets", "fastwebsockets", Mode::Raw),
    ("tokio-websockets", "tokio-websockets", Mode::Raw),
    ("yawc", "yawc", Mode::Raw),
    ("sockudo-ws", "sockudo-ws", Mode::Raw),
    ("ezsockets", "tungstenite", Mode::Spawned),
    ("nautilus-network", "sockudo-ws", Mode::Spawned),
];

const RUNTIMES: [Runtime; 3] = [Runtime::Tokio, Runtime::Smol, Runtime::AsyncStd];

/// The clients that the options select and that build.
pub(crate) fn gather(options: &Throughput) -> Result<Vec<Candidate>> {
    let wanted = |client: &str, runtime| {
        let names = [client, &name(&runtime)];
        options.only.is_empty()
            || options.only.iter().any(|only| names.iter().any(|name| name.contains(only.as_str())))
    };
    let mut candidates: Vec<_> = own(options.threads)
        .into_iter()
        .filter(|candidate| wanted(&candidate.client, candidate.runtime))
        .collect();
    let peers: Vec<_> = PEERS
        .into_iter()
        .filter(|(client, ..)| !options.no_peers && wanted(client, Runtime::Tokio))
        .collect();
    if !peers.is_empty() {
        // Between the raw clients and those of tidegate.
        let at = candidates.iter().position(|candidate| candidate.is_tidegate()).unwrap_or(candidates.len());
        candidates.splice(at..at, built(&peers, options.threads)?);
    }
    Ok(candidates)
}

fn own(threads: Threads) -> Vec<Candidate> {
    let one = |client, transport, runtime, mode| Candidate {
        client: name(&client),
        runtime,
        transport,
        mode,
        reference: match client {
            Client::AsyncTungsteniteJson | Client::TidegateJson => Reference::Json,
            Client::ReadOnly | Client::MinimalParse | Client::AsyncTungstenite | Client::Tidegate => {
                Reference::Plain
            }
        },
        program: Program::Own(client),
        threads,
    };
    let mut all = vec![
        one(Client::ReadOnly, "tcp", Runtime::None, Mode::Raw),
        one(Client::MinimalParse, "tcp", Runtime::None, Mode::Raw),
    ];
    for client in [Client::AsyncTungstenite, Client::AsyncTungsteniteJson] {
        all.extend(RUNTIMES.map(|runtime| one(client, "tungstenite", runtime, Mode::Raw)));
    }
    all.extend(RUNTIMES.map(|runtime| one(Client::AsyncTungstenite, "tungstenite", runtime, Mode::Spawned)));
    for client in [Client::Tidegate, Client::TidegateJson] {
        for mode in [Mode::Inline, Mode::Spawned] {
            all.extend(RUNTIMES.map(|runtime| one(client, "tungstenite", runtime, mode)));
        }
    }
    all
}

fn built(peers: &[Peer], threads: Threads) -> Result<Vec<Candidate>> {
    let names: Vec<_> = peers.iter().map(|(client, ..)| *client).collect();
    let mut candidates = Vec::new();
    for (&(client, transport, mode), program) in peers.iter().zip(peers::build(&names)?) {
        let Some(program) = program else {
            eprintln!("{client} does not build: it is left out");
            continue;
        };
        candidates.push(Candidate {
            client: client.to_owned(),
            runtime: Runtime::Tokio,
            transport,
            mode,
            reference: Reference::Plain,
            program: Program::Peer(program),
            threads,
        });
    }
    Ok(candidates)
}

impl Candidate {
    /// The process that receives `count` messages of `size` from `url`.
    pub(crate) fn command(&self, url: &str, count: u64, size: usize) -> Result<Command> {
        let mut command = match &self.program {
            Program::Own(client) => {
                let mut command = process::own("client", self.threads)?;
                process::arg(&mut command, client);
                process::arg(&mut command, &self.runtime);
                process::arg(&mut command, &self.mode);
                command
            }
            Program::Peer(path) => {
                let mut command = Command::new(path);
                process::run_on(&mut command, self.threads);
                command
            }
        };
        command.args([url, &count.to_string(), &size.to_string()]);
        Ok(command)
    }

    /// Client, runtime and mode.
    pub(crate) fn title(&self) -> String {
        match self.runtime {
            Runtime::None => self.client.clone(),
            Runtime::Tokio | Runtime::Smol | Runtime::AsyncStd => {
                format!("{}, {}, {}", self.client, name(&self.runtime), name(&self.mode))
            }
        }
    }

    /// Whether it is a client of tidegate.
    pub(crate) fn is_tidegate(&self) -> bool {
        match self.program {
            Program::Own(Client::Tidegate | Client::TidegateJson) => true,
            Program::Own(
                Client::ReadOnly
                | Client::MinimalParse
                | Client::AsyncTungstenite
                | Client::AsyncTungsteniteJson,
            )
            | Program::Peer(_) => false,
        }
    }

    /// Whether it is the reference of other clients.
    fn is_reference(&self) -> bool {
        match self.program {
            Program::Own(Client::AsyncTungstenite | Client::AsyncTungsteniteJson) => self.mode == Mode::Raw,
            Program::Own(
                Client::ReadOnly | Client::MinimalParse | Client::Tidegate | Client::TidegateJson,
            )
            | Program::Peer(_) => false,
        }
    }
}

/// The index of the reference of each candidate, if the reference is one of them.
pub(crate) fn references(candidates: &[Candidate]) -> Vec<Option<usize>> {
    let runtime = |candidate: &Candidate| match candidate.runtime {
        Runtime::None => Runtime::Tokio,
        runtime @ (Runtime::Tokio | Runtime::Smol | Runtime::AsyncStd) => runtime,
    };
    let reference_of = |candidate: &Candidate| {
        candidates.iter().position(|other| {
            other.is_reference()
                && other.reference == candidate.reference
                && other.runtime == runtime(candidate)
        })
    };
    candidates.iter().map(reference_of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_compared_with_async_tungstenite_on_its_own_runtime() {
        let all = own(Threads::default());
        for (candidate, reference) in all.iter().zip(references(&all)) {
            let reference = &all[reference.unwrap()];
            let json = candidate.client.ends_with("-json");
            let client = if json { "async-tungstenite-json" } else { "async-tungstenite" };
            assert_eq!(reference.client, client, "{}", candidate.title());
            assert_eq!(reference.mode, Mode::Raw, "{}", candidate.title());
            let runtime = if candidate.runtime == Runtime::None { Runtime::Tokio } else { candidate.runtime };
            assert_eq!(reference.runtime, runtime, "{}", candidate.title());
        }
    }

    #[test]
    fn without_its_reference_nothing_is_compared() {
        let all = own(Threads::default());
        assert_eq!(references(&all[..2]), [None, None]);
    }

    #[test]
    fn the_command_line_of_a_client_is_understood() {
        use clap::Parser;
        for candidate in own(Threads::default()) {
            let command = candidate.command("ws://127.0.0.1:1/flood/64/5", 5, 64).unwrap();
            let words = [std::ffi::OsStr::new("tidegate-bench")].into_iter().chain(command.get_args());
            crate::args::Args::try_parse_from(words).unwrap();
        }
    }
}
