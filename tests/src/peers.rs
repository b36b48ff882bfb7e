//! Servers that no one here wrote, as processes on loopback: three WebSocket servers, nginx, and two proxies.
//!
//! Each is looked for once, and what is absent is [`Missing`], with its name and the reason; [`or_skip`] tells it. Started,
//! each runs under a guard that ends it when the test ends, drops it, or is killed.
//!
//! | peer | how it is found |
//! |---|---|
//! | Python `websockets`, `aiohttp` | the interpreter `TIDEGATE_PYTHON`, else `python3` |
//! | node `ws` | `TIDEGATE_NODE`, else `node`; the module by `NODE_PATH`, else in `npm root -g` |
//! | nginx, tinyproxy, microsocks | on `PATH`, and where Debian has what only root may want |
//!
//! # What the WebSocket servers do
//! The same by path, so that a case is written once. After what is said here a connection stays open, until the client
//! closes it.
//!
//! | path | what it does |
//! |---|---|
//! | `/echo` | sends back text and binary |
//! | `/feed?count=100&size=0` | sends `{"n":0}`, `{"n":1}` …, each padded to `size` bytes if that is more |
//! | `/close?code=1000&reason=` | sends `{"n":0}`, closes |
//! | `/ping` | sends three pings, each after the other was answered, then `pong ok` |
//! | `/subscribe?count=10` | for each text `subscribe X`: `subscribed X`, then `{"n": 0, "channel": "X"}` …; closes with 1008 at anything else |
//! | `/drop` | sends `{"n":0}`, then resets TCP (`ws` over TLS cannot, and closes TCP without a Close) |
//! | `/refuse?status=503&retry_after=` | refuses the upgrade; `websockets` knows standard statuses only |
//! | `/redirect?to=/echo&status=302` | the same, with `Location` |
//! | `/subprotocol` | chooses `v2.feed` if it is offered; sends `{"subprotocol": "v2.feed"}` or null |
//! | `/headers` | sends `{"Authorization": …, "Origin": …, "X-Test": …, "Host": …}`, null for what is absent |
//! | `/deflate` | sends `{"deflate": false}`, or true if the client got it; then as `/echo` |
//!
//! permessage-deflate is on at all paths, for clients that offer it. Any other path is refused with 404. What is in JSON
//! differs in its spaces from server to server.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod detect;
mod nginx;
mod process;
mod proxy;
#[cfg(test)]
mod tests;
mod web_socket;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use tempfile::TempDir;

pub use detect::{aiohttp, all, microsocks, nginx, tinyproxy, websockets, ws};
pub use nginx::nginx_in_front_of;
use process::{Launch, Process};
pub use proxy::Proxy;
pub use web_socket::{ServerTls, WebSocketServer};

/// Far longer than anything here takes: it only keeps a broken peer from hanging a test.
const WAIT: Duration = Duration::from_secs(20);

/// A peer that is on this machine.
#[derive(Clone, Debug)]
pub struct Available {
    /// What it is called.
    pub name: &'static str,
    /// Its version, if it tells one.
    pub version: Option<String>,
    launch: Launch,
}

/// A peer that is not on this machine, or cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What it is called.
    pub name: &'static str,
    /// What stands in the way.
    pub why: String,
}

impl fmt::Display for Available {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version.as_deref().unwrap_or("(tells no version)"))
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is missing: {}", self.name, self.why)
    }
}

/// What was started; without it, says on standard error what is skipped and why.
///
/// # Panics
/// If it is missing though `TIDEGATE_REQUIRE_ALL` is set.
pub fn or_skip<T>(found: Result<T, Missing>) -> Option<T> {
    match found {
        Ok(found) => Some(found),
        Err(missing) => {
            assert!(std::env::var_os("TIDEGATE_REQUIRE_ALL").is_none(), "{missing}");
            eprintln!("skipped: {missing}");
            None
        }
    }
}

/// A server that runs. Dropping it ends it.
#[derive(Debug)]
pub struct Peer {
    name: &'static str,
    scheme: &'static str,
    address: SocketAddr,
    process: Process,
    /// Its files, which it may read at any time.
    _directory: TempDir,
}

impl Peer {
    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A URL to it, for a path with its query: `ws://127.0.0.1:40123/echo`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        self.url_by_name("127.0.0.1", path)
    }

    /// The same, by another name for its host.
    #[must_use]
    pub fn url_by_name(&self, host: &str, path: &str) -> String {
        format!("{}://{host}:{}{path}", self.scheme, self.address.port())
    }

    /// Its process: to be stopped, or killed.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// All that it wrote to standard output and standard error so far, line by line.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.process.lines()
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Starts what cannot choose a port for itself. The port it is given may be taken before it listens: then another.
fn on_a_free_port(start: impl Fn(u16) -> Result<Peer, String>) -> Peer {
    let mut last = String::new();
    for _ in 0..10 {
        let port = TcpListener::bind(loopback(0)).unwrap().local_addr().unwrap().port();
        match start(port) {
            Ok(peer) => return peer,
            Err(story) if is_collision(&story) => last = story,
            Err(story) => panic!("{story}"),
        }
    }
    panic!("ten free ports were taken, one after the other; the last: {last}");
}

fn is_collision(story: &str) -> bool {
    // The second is all that tinyproxy says of it.
    ["Address already in use", "Could not create listening sockets"].iter().any(|text| story.contains(text))
}
