//! The Autobahn testsuite: its fuzzing server as a process, a client that echoes, and the verdicts.
//!
//! It is the real `wstest`, which needs Python 2.7: `autobahn/requirements.txt` has the versions. Each fuzzing server has a port
//! and a report directory of its own.

mod echo;
mod verdict;

use std::env;
use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

pub use echo::run_all_cases;
pub use verdict::{Behavior, Expectations, Outcome, Report};

/// How long it may take to listen: Python imports a lot.
const START: Duration = Duration::from_secs(60);

/// How long the server waits for either handshake, in seconds.
const PATIENCE: u32 = 30;

/// With or without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// `ws`
    Plain,
    /// `wss`, with a certificate for 127.0.0.1 that signs itself.
    Tls,
}

/// The program to start: `TIDEGATE_WSTEST`, else `wstest` on the path.
#[must_use]
pub fn find_wstest() -> Option<PathBuf> {
    if let Some(named) = env::var_os("TIDEGATE_WSTEST") {
        return Some(named.into());
    }
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join("wstest")).find(|path| path.is_file())
}

/// A fuzzing server that runs until it is dropped.
#[derive(Debug)]
pub struct Wstest {
    child: Child,
    url: String,
    ca_pem: Option<String>,
    cases: Vec<String>,
    version: String,
    folder: TempDir,
}

impl Wstest {
    /// Starts `program` with all cases, and waits until it listens.
    ///
    /// # Errors
    /// If it cannot be started, ends at once, or does not listen in time; what it printed is in the error.
    pub fn start(program: &Path, security: Security) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("tidegate-autobahn-").tempdir()?;
        let address = free_address()?;
        let (url, ca_pem) = match security {
            Security::Plain => (format!("ws://{address}"), None),
            Security::Tls => (format!("wss://{address}"), Some(write_certificate(folder.path())?)),
        };
        fs::write(folder.path().join(SPEC), spec(&url, ca_pem.is_some()).to_string())?;
        let child = spawn(program, folder.path())?;
        let (cases, version) = (Vec::new(), String::new());
        let mut server = Self { child, url, ca_pem, cases, version, folder };
        server.wait_for(address)?;
        let log = server.log()?;
        (server.cases, server.version) = greeting(&log)
            .ok_or_else(|| io::Error::other(format!("wstest does not say what it will run\n{log}")))?;
        Ok(server)
    }

    /// Scheme, host and port.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whom to trust.
    #[must_use]
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// The names of all cases, such as `1.1.1`.
    #[must_use]
    pub fn cases(&self) -> &[String] {
        &self.cases
    }

    /// Versions of autobahntestsuite and of autobahn itself, such as `25.10.1/0.10.9`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What it wrote about `agent` at its last `/updateReports`.
    ///
    /// # Errors
    /// If there is no such report, or it is not as it should be.
    pub fn report(&self, agent: &str) -> io::Result<Report> {
        Report::parse(&fs::read_to_string(self.folder.path().join(REPORTS).join("index.json"))?, agent)
    }

    fn log(&self) -> io::Result<String> {
        fs::read_to_string(self.folder.path().join(LOG))
    }

    fn wait_for(&mut self, address: SocketAddr) -> io::Result<()> {
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            let ended = self.child.try_wait()?;
            if ended.is_some() || start.elapsed() > START {
                let how = ended.map_or_else(|| "does not listen".to_owned(), |status| status.to_string());
                return Err(io::Error::other(format!("wstest: {how}\n{}", self.log()?)));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Wstest {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const LOG: &str = "log";
const SPEC: &str = "spec.json";
const CERTIFICATE: &str = "certificate.pem";
const KEY: &str = "key.pem";
const REPORTS: &str = "reports";

/// wstest takes no port 0. Another process may take the port before it does; it then ends at once, and says so.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn spec(url: &str, tls: bool) -> Value {
    // The one second that it gives a client to answer Close is not much on a busy machine.
    let options = json!({ "openHandshakeTimeout": PATIENCE, "closeHandshakeTimeout": PATIENCE });
    let mut spec = json!({ "url": url, "outdir": REPORTS, "cases": ["*"], "options": options });
    if tls {
        spec["cert"] = json!(CERTIFICATE);
        spec["key"] = json!(KEY);
    }
    spec
}

fn spawn(program: &Path, folder: &Path) -> io::Result<Child> {
    let log = File::create(folder.join(LOG))?;
    Command::new(program)
        .args(["--mode", "fuzzingserver", "--spec", SPEC, "--webport", "0"])
        .current_dir(folder)
        .env("PYTHONUNBUFFERED", "1")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
}

/// The cases and the version, from what it prints before it listens.
fn greeting(log: &str) -> Option<(Vec<String>, String)> {
    let rest_of = |start| log.lines().find_map(|line| line.strip_prefix(start));
    let version = rest_of("Autobahn WebSocket ")?.split(' ').next()?;
    let cases = rest_of("Cases = ")?.split('\'').skip(1).step_by(2);
    Some((cases.map(str::to_owned).collect(), version.to_owned()))
}

fn write_certificate(folder: &Path) -> io::Result<String> {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).map_err(io::Error::other)?;
    let pem = made.cert.pem();
    fs::write(folder.join(CERTIFICATE), &pem)?;
    fs::write(folder.join(KEY), made.signing_key.serialize_pem())?;
    Ok(pem)
}
