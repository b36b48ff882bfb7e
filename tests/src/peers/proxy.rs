//! The two proxies.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::process::Process;
use super::{Available, Missing, Peer, WAIT, detect, loopback, on_a_free_port};

/// A user and a password, or nothing.
type Credentials<'a> = Option<(&'a str, &'a str)>;

/// A proxy that runs. Dropping it ends it.
#[derive(Debug)]
pub struct Proxy {
    peer: Peer,
    /// What its log says of each tunnel that it opened.
    tunnel: &'static str,
    /// How many of them were opened before it was ready.
    earlier: usize,
}

impl Proxy {
    /// Starts tinyproxy: HTTP CONNECT to any host and port; with basic authentication if there are a user and a password,
    /// which have letters and digits only. It answers 407 where credentials are missing, and 401 to wrong ones (as of 1.11).
    ///
    /// # Errors
    /// If it is not here.
    ///
    /// # Panics
    /// If it is here and does not start; with all that it wrote.
    pub fn http(credentials: Credentials<'_>) -> Result<Self, Missing> {
        let line = |(user, password)| format!("BasicAuth {user} {password}\n");
        Self::http_with(&credentials.map_or_else(String::new, line))
    }

    /// The same without credentials, and to this port only: any other it answers with 403.
    ///
    /// # Errors
    /// If it is not here.
    ///
    /// # Panics
    /// If it is here and does not start; with all that it wrote.
    pub fn http_only_to(port: u16) -> Result<Self, Missing> {
        Self::http_with(&format!("ConnectPort {port}\n"))
    }

    fn http_with(options: &str) -> Result<Self, Missing> {
        let found = detect::tinyproxy()?;
        let peer = on_a_free_port(|port| start_tinyproxy(&found, port, options));
        Ok(Self { peer, tunnel: "Established connection to host", earlier: 0 })
    }

    /// Starts microsocks: SOCKS5 to any host and port; with a user and a password if they are given.
    ///
    /// # Errors
    /// If it is not here.
    ///
    /// # Panics
    /// If it is here and does not start; with all that it wrote.
    pub fn socks5(credentials: Credentials<'_>) -> Result<Self, Missing> {
        let found = detect::microsocks()?;
        let peer = on_a_free_port(|port| start_microsocks(&found, port, credentials));
        Ok(Self { peer, tunnel: "connected to", earlier: 1 })
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.peer.name()
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.peer.address()
    }

    /// Its URL: `http://127.0.0.1:40123`, or `socks5://user:password@127.0.0.1:40123`.
    #[must_use]
    pub fn url(&self, credentials: Credentials<'_>) -> String {
        let credentials =
            credentials.map_or_else(String::new, |(user, password)| format!("{user}:{password}@"));
        format!("{}://{credentials}{}", self.peer.scheme, self.address())
    }

    /// Its process: to be stopped, or killed.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.peer.pid()
    }

    /// All that it wrote to standard output and standard error so far, line by line.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.peer.log()
    }

    /// How many tunnels it has opened so far. What went through one is there before this has counted it: where one is
    /// expected, wait for it.
    #[must_use]
    pub fn tunnels(&self) -> usize {
        self.log().iter().filter(|line| line.contains(self.tunnel)).count() - self.earlier
    }

    /// Waits until it has opened so many tunnels.
    ///
    /// # Panics
    /// If it does not come to that.
    pub fn wait_for_tunnels(&self, count: usize) {
        let what = format!("tunnel {count}");
        let waited =
            self.peer.process.wait_for_nth(self.earlier + count, &what, |line| line.contains(self.tunnel));
        waited.unwrap_or_else(|story| panic!("{story}"));
    }
}

pub(super) fn start_tinyproxy(found: &Available, port: u16, options: &str) -> Result<Peer, String> {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("tinyproxy.conf");
    // Without a line for ConnectPort all ports are allowed.
    let rest = "Listen 127.0.0.1\nTimeout 3600\nMaxClients 256\nLogLevel Info\n";
    std::fs::write(&file, format!("Port {port}\n{rest}{options}")).unwrap();
    let process = Process::start(found.name, &found.launch, &["-d".into(), "-c".into(), file.into()]);
    process.wait_for("its main loop", |line| line.contains("Accepting connections"))?;
    Ok(Peer { name: found.name, scheme: "http", address: loopback(port), process, _directory: directory })
}

pub(super) fn start_microsocks(
    found: &Available,
    port: u16,
    credentials: Credentials<'_>,
) -> Result<Peer, String> {
    let mut arguments = ["-i", "127.0.0.1", "-p"].map(OsString::from).to_vec();
    arguments.push(port.to_string().into());
    if let Some((user, password)) = credentials {
        arguments.extend(["-u", user, "-P", password].map(OsString::from));
    }
    let process = Process::start(found.name, &found.launch, &arguments);
    wait_until_it_serves(&process, port, credentials)?;
    let directory = TempDir::new().unwrap();
    Ok(Peer { name: found.name, scheme: "socks5", address: loopback(port), process, _directory: directory })
}

/// microsocks says nothing when it listens, but it does of each tunnel: so one is opened. That somebody answers at the port
/// would not do, since it may be whoever was given the same one.
fn wait_until_it_serves(process: &Process, port: u16, credentials: Credentials<'_>) -> Result<(), String> {
    let target = TcpListener::bind(loopback(0)).unwrap();
    let address = target.local_addr().unwrap();
    let start = Instant::now();
    let mut served = false;
    // In its place somebody else may be silent; then it has ended.
    while !served && !process.ends_within(Duration::from_millis(5)) && start.elapsed() < WAIT {
        let stream = TcpStream::connect(loopback(port));
        served = stream.is_ok_and(|mut stream| {
            stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            socks5(&mut stream, address, credentials).is_ok_and(|opened| opened)
        });
    }
    let line = format!("connected to {address}");
    process.wait_for("its first tunnel", |found| found.ends_with(&line)).map(drop)
}

/// A tunnel through SOCKS5 (RFC 1928), with or without a user and a password (RFC 1929): whether it opened.
pub(super) fn socks5(
    stream: &mut (impl Read + Write),
    target: SocketAddr,
    credentials: Credentials<'_>,
) -> io::Result<bool> {
    let SocketAddr::V4(target) = target else { panic!("{target} is not IPv4") };
    let method = if credentials.is_some() { 2 } else { 0 };
    let mut answer = [0; 10];
    stream.write_all(&[5, 1, method])?;
    stream.read_exact(&mut answer[..2])?;
    if answer[1] != method {
        return Ok(false);
    }
    if let Some((user, password)) = credentials {
        let mut login = vec![1];
        for part in [user, password] {
            login.push(u8::try_from(part.len()).expect("short credentials"));
            login.extend(part.bytes());
        }
        stream.write_all(&login)?;
        stream.read_exact(&mut answer[..2])?;
        if answer[1] != 0 {
            return Ok(false);
        }
    }
    let request = [&[5, 1, 0, 1][..], &target.ip().octets(), &target.port().to_be_bytes()].concat();
    stream.write_all(&request)?;
    stream.read_exact(&mut answer)?;
    Ok(answer[1] == 0)
}
