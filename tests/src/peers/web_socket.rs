//! The three WebSocket servers.

use std::ffi::OsString;
use std::path::Path;

use tempfile::TempDir;

use super::process::{Process, number_after};
use super::{Available, Missing, Peer, detect, loopback};
use crate::pki::{Authority, Identity};

/// Where the programs are that run the servers' libraries.
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/peers/scripts");

/// A WebSocket server of another author.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebSocketServer {
    /// Python `websockets`.
    Websockets,
    /// Python `aiohttp`.
    Aiohttp,
    /// node `ws`.
    Ws,
}

/// With what a server speaks TLS.
#[derive(Clone)]
pub struct ServerTls {
    identity: Identity,
    clients: Option<String>,
}

impl ServerTls {
    /// It shows this certificate.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        Self { identity, clients: None }
    }

    /// It also requires certificates of this authority from its clients.
    #[must_use]
    pub fn require_clients_of(self, authority: &Authority) -> Self {
        Self { clients: Some(authority.pem()), ..self }
    }

    pub(super) fn write_to(&self, directory: &Path) -> TlsFiles {
        let (certificate, key) = self.identity.write_to(directory);
        let clients = self.clients.as_ref().map(|pem| {
            let path = directory.join("clients.pem");
            std::fs::write(&path, pem).unwrap();
            path.into_os_string()
        });
        TlsFiles { certificate: certificate.into(), key: key.into(), clients }
    }
}

/// [`ServerTls`] as a process can read it.
pub(super) struct TlsFiles {
    pub(super) certificate: OsString,
    pub(super) key: OsString,
    pub(super) clients: Option<OsString>,
}

impl WebSocketServer {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Websockets, Self::Aiohttp, Self::Ws];

    /// Whether it is here.
    ///
    /// # Errors
    /// If it is not.
    pub fn detect(self) -> Result<Available, Missing> {
        match self {
            Self::Websockets => detect::websockets(),
            Self::Aiohttp => detect::aiohttp(),
            Self::Ws => detect::ws(),
        }
    }

    /// Starts it on a port that it chooses, without TLS.
    ///
    /// # Errors
    /// If it is not here.
    ///
    /// # Panics
    /// If it is here and does not start; with all that it wrote.
    pub fn start(self) -> Result<Peer, Missing> {
        Ok(self.launch(&self.detect()?, None))
    }

    /// The same, over TLS.
    ///
    /// # Errors
    /// If it is not here.
    ///
    /// # Panics
    /// If it is here and does not start; with all that it wrote.
    pub fn start_tls(self, tls: &ServerTls) -> Result<Peer, Missing> {
        Ok(self.launch(&self.detect()?, Some(tls)))
    }

    fn launch(self, found: &Available, tls: Option<&ServerTls>) -> Peer {
        let directory = TempDir::new().unwrap();
        let mut arguments = vec![Path::new(SCRIPTS).join(self.script()).into_os_string()];
        if let Some(tls) = tls {
            let files = tls.write_to(directory.path());
            arguments.extend(["--certificate".into(), files.certificate, "--key".into(), files.key]);
            arguments.extend(files.clients.into_iter().flat_map(|clients| ["--clients".into(), clients]));
        }
        let process = Process::start(found.name, &found.launch, &arguments);
        let told = process.wait_for("its port", |line| line.starts_with("port "));
        let port = number_after("port ", &told.unwrap_or_else(|story| panic!("{story}")));
        let scheme = if tls.is_some() { "wss" } else { "ws" };
        Peer { name: found.name, scheme, address: loopback(port), process, _directory: directory }
    }

    fn script(self) -> &'static str {
        match self {
            Self::Websockets => "websockets_server.py",
            Self::Aiohttp => "aiohttp_server.py",
            Self::Ws => "ws_server.cjs",
        }
    }
}
