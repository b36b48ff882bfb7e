//! What a case may need of the machine: it is looked for once, and reported by name.

use std::env;
use std::fmt::Display;
use std::net::TcpListener;
use std::process::Command;
use std::sync::OnceLock;

use libtest_mimic::{Completion, Failed};

use crate::autobahn;
use crate::peers::{self, Available, Missing};

/// IPv6 on the loopback interface.
pub static IPV6: Need = Need::new("IPv6 loopback", || match TcpListener::bind("[::1]:0") {
    Ok(_) => Ok("::1".to_owned()),
    Err(error) => Err(format!("cannot listen on ::1: {error}")),
});

/// More addresses on the loopback interface than 127.0.0.1, as Linux has them. There a listener whose queue is full answers
/// nothing, too.
pub static LOOPBACK_NET: Need =
    Need::new("loopback network", || match (cfg!(target_os = "linux"), TcpListener::bind("127.0.0.2:0")) {
        (true, Ok(_)) => Ok("127.0.0.0/8".to_owned()),
        (false, Ok(_)) => Err("this is not Linux".to_owned()),
        (_, Err(error)) => Err(format!("cannot listen on 127.0.0.2: {error}")),
    });

/// The WebSocket server of Python's `websockets`.
pub static WEBSOCKETS: Need = Need::new("Python websockets", || peer(peers::websockets()));
/// The WebSocket server of Python's `aiohttp`.
pub static AIOHTTP: Need = Need::new("Python aiohttp", || peer(peers::aiohttp()));
/// The WebSocket server of node's `ws`.
pub static WS: Need = Need::new("node ws", || peer(peers::ws()));
/// nginx, with TLS.
pub static NGINX: Need = Need::new("nginx", || peer(peers::nginx()));
/// tinyproxy: HTTP CONNECT.
pub static TINYPROXY: Need = Need::new("tinyproxy", || peer(peers::tinyproxy()));
/// microsocks: SOCKS5.
pub static MICROSOCKS: Need = Need::new("microsocks", || peer(peers::microsocks()));

/// Network namespaces, on Linux and with root: links that lose packets.
pub static NETNS: Need = Need::new("network namespaces", namespaces);

#[cfg(target_os = "linux")]
fn namespaces() -> Result<String, String> {
    crate::netns::unavailable().map_or_else(|| Ok("can be made".to_owned()), |why| Err(why.to_owned()))
}

#[cfg(not(target_os = "linux"))]
fn namespaces() -> Result<String, String> {
    Err("Linux alone has them".to_owned())
}

/// The Autobahn testsuite.
pub static WSTEST: Need = Need::new("Autobahn testsuite", || {
    let missing = "no wstest: see tests/src/autobahn/requirements.txt";
    let program = autobahn::find_wstest().ok_or(missing)?;
    let output = Command::new(&program).arg("--autobahnversion").output();
    let output = output.map_err(|error| format!("{}: {error}", program.display()))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().replace('\n', ", "))
});

fn peer(found: Result<Available, Missing>) -> Result<String, String> {
    let version = |peer: Available| peer.version.unwrap_or_else(|| "tells no version".to_owned());
    found.map(version).map_err(|missing| missing.why)
}

/// Something that is not to be had everywhere: a peer, a privilege.
pub struct Need {
    name: &'static str,
    look: fn() -> Result<String, String>,
    found: OnceLock<Result<String, String>>,
}

impl Need {
    /// `look` gives what was found, with its version, or why it cannot be had. It is asked once, by the first case that
    /// needs it.
    #[must_use]
    pub const fn new(name: &'static str, look: fn() -> Result<String, String>) -> Self {
        Self { name, look, found: OnceLock::new() }
    }

    /// What it is called in the report.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Looks, unless that has been done.
    pub fn find(&self) -> Result<&str, &str> {
        match self.found.get_or_init(self.look) {
            Ok(found) => Ok(found),
            Err(why) => Err(why),
        }
    }

    /// A line of the report; `None` if nobody has looked for it.
    pub(crate) fn line(&self) -> Option<String> {
        let name = self.name;
        Some(match self.found.get()? {
            Ok(found) => format!("{name}: {found}"),
            Err(why) => format!("skipped: {name}: {why}"),
        })
    }
}

/// Where it is set, as in the gate, what a case needs must be there.
const REQUIRE_ALL: &str = "TIDEGATE_REQUIRE_ALL";

/// Skips a trial, and says why; fails it where `TIDEGATE_REQUIRE_ALL` is set.
///
/// # Errors
/// In that case.
pub fn absent(reason: impl Display) -> Result<Completion, Failed> {
    match env::var_os(REQUIRE_ALL) {
        Some(_) => Err(format!("{reason}, and {REQUIRE_ALL} is set").into()),
        None => Ok(Completion::ignored_with(reason)),
    }
}
