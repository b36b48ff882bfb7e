//! A network namespace with a link to this one, whose packets can be lost: what no proxy can do, since it answers TCP.
//!
//! Needs root, `ip` (iproute2) and `nft` (nftables); [`unavailable`] says what is missing. Sockets can be made in it by
//! this process, and programs run in it.

use std::fs::File;
use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{self, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Which packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Into the namespace.
    In,
    /// Out of it. TCP in the namespace notices that they are lost, and sends them again a little sooner.
    Out,
    /// Both.
    Both,
}

/// A namespace of its own, its end of the link and this one. Goes when dropped, with all processes that run in it.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    subnet: u32,
}

const PREFIX: &str = "tidegate-";
const INNER_LINK: &str = "eth0";

/// 198.18.0.0/15 is set aside for tests of networks (RFC 2544): no machine reaches anything there.
const ADDRESSES: u32 = u32::from_be_bytes([198, 18, 0, 0]);

/// Of four addresses each.
const SUBNETS: u32 = 1 << 15;

/// Why there are no namespaces here, if so. It makes one, the first time.
pub fn unavailable() -> Option<&'static str> {
    static REASON: OnceLock<Option<String>> = OnceLock::new();
    let probe = || Namespace::new().and_then(|namespace| namespace.lose(Way::Both, 100)).err();
    REASON.get_or_init(|| probe().map(|error| format!("no network namespaces: {error}"))).as_deref()
}

/// Deletes what killed runs have left behind.
///
/// # Errors
/// If `ip` fails.
pub fn remove_leftovers() -> io::Result<()> {
    for line in run("ip", &["netns", "list"])?.lines() {
        let name = line.split(' ').next().unwrap_or_default();
        let Some(owner) = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next()) else { continue };
        if !Path::new("/proc").join(owner).exists() {
            remove(name)?;
        }
    }
    Ok(())
}

impl Namespace {
    /// # Errors
    /// If it cannot be made: then nothing is left of it.
    pub fn new() -> io::Result<Self> {
        static LEFTOVERS: OnceLock<()> = OnceLock::new();
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        if LEFTOVERS.set(()).is_ok() {
            remove_leftovers()?;
        }
        let (pid, number) = (process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let name = format!("{PREFIX}{pid}-{number}");
        let subnet = free_subnet(pid.wrapping_mul(61).wrapping_add(number))?;
        run("ip", &["netns", "add", &name])?;
        // From here on, dropping it cleans up.
        let made = Self { name, subnet };
        made.link_up()?;
        made.nft("add table inet tidegate")?;
        Ok(made)
    }

    /// What `ip netns` calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address, which can be connected to from here.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        address(self.subnet, 2)
    }

    /// A listener in it, on any port: a server of this process that can be reached over the link alone.
    ///
    /// # Errors
    /// If the namespace cannot be entered.
    pub fn listen(&self) -> io::Result<TcpListener> {
        let (file, address) = (File::open(Path::new("/run/netns").join(&self.name))?, self.address());
        let listen = move || {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
            TcpListener::bind((address, 0))
        };
        // A socket stays where it was made, but so does a thread.
        thread::spawn(listen).join().map_err(|_| io::Error::other("the thread panicked"))?
    }

    /// A program to run in it. It is killed when the namespace is dropped.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Loses so many of a hundred packets from now on, in place of what was lost before.
    ///
    /// # Errors
    /// If `nft` fails.
    pub fn lose(&self, way: Way, percent: u8) -> io::Result<()> {
        let which = if percent < 100 { format!("numgen random mod 100 < {percent}") } else { String::new() };
        let chain = |hook: &str| {
            format!("chain {hook} {{ type filter hook {hook} priority 0; {which} counter drop; }}")
        };
        let chains = match way {
            Way::In => chain("input"),
            Way::Out => chain("output"),
            Way::Both => chain("input") + "\n" + &chain("output"),
        };
        self.nft(&format!("delete table inet tidegate\ntable inet tidegate {{\n{chains}\n}}"))
    }

    /// Loses none any more.
    ///
    /// # Errors
    /// If `nft` fails.
    pub fn lose_none(&self) -> io::Result<()> {
        self.nft("delete table inet tidegate\nadd table inet tidegate")
    }

    /// How many packets have been lost since [`Self::lose`].
    ///
    /// # Errors
    /// If `nft` fails.
    pub fn lost(&self) -> io::Result<u64> {
        let list = run("ip", &["netns", "exec", &self.name, "nft", "list", "table", "inet", "tidegate"])?;
        let counters = list.split("counter packets ").skip(1);
        Ok(counters.filter_map(|rest| rest.split(' ').next()?.parse::<u64>().ok()).sum())
    }

    /// Pulls the cable at the far end.
    ///
    /// # Errors
    /// If `ip` fails.
    pub fn cut_link(&self) -> io::Result<()> {
        run("ip", &["-n", &self.name, "link", "set", INNER_LINK, "down"]).map(drop)
    }

    /// Plugs it in again.
    ///
    /// # Errors
    /// If `ip` fails.
    pub fn restore_link(&self) -> io::Result<()> {
        run("ip", &["-n", &self.name, "link", "set", INNER_LINK, "up"]).map(drop)
    }

    fn link_up(&self) -> io::Result<()> {
        let (name, link) = (self.name.as_str(), link_of(&self.name));
        let link = link.as_str();
        let [outer, inner] = [1, 2].map(|host| format!("{}/30", address(self.subnet, host)));
        run("ip", &["link", "add", link, "type", "veth", "peer", "name", INNER_LINK, "netns", name])?;
        run("ip", &["addr", "add", &outer, "dev", link])?;
        run("ip", &["link", "set", link, "up"])?;
        run("ip", &["-n", name, "addr", "add", &inner, "dev", INNER_LINK])?;
        run("ip", &["-n", name, "link", "set", INNER_LINK, "up"])?;
        run("ip", &["-n", name, "link", "set", "lo", "up"]).map(drop)
    }

    fn nft(&self, rules: &str) -> io::Result<()> {
        let mut nft = self.command("nft");
        let mut child = nft
            .args(["-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut input) = child.stdin.take() {
            // If it has ended already, it says why.
            let _ = input.write_all(rules.as_bytes());
        }
        succeeded("nft", &child.wait_with_output()?).map(drop)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = remove(&self.name);
    }
}

/// With its link and its processes: all of them are a test's.
fn remove(name: &str) -> io::Result<()> {
    // First, since sockets keep a namespace alive, even those of dead processes that have something left to send. One
    // that was not finished has no link.
    let _ = run("ip", &["link", "del", &link_of(name)]);
    for pid in run("ip", &["netns", "pids", name])?.lines() {
        // It may have ended meanwhile.
        let _ = run("kill", &["-KILL", pid]);
    }
    run("ip", &["netns", "del", name]).map(drop)
}

/// This end of the link. An interface's name has at most 15 letters.
fn link_of(name: &str) -> String {
    name.replacen(PREFIX, "tg", 1)
}

fn address(subnet: u32, host: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(ADDRESSES + 4 * subnet + host)
}

/// The first at or after `wanted` that no interface has.
fn free_subnet(wanted: u32) -> io::Result<u32> {
    let taken = run("ip", &["-o", "-4", "addr", "show"])?;
    let is_free = |subnet: &u32| !taken.contains(&format!(" {}/", address(*subnet, 1)));
    let subnets = (0..SUBNETS).map(|step| wanted.wrapping_add(step) % SUBNETS);
    subnets.into_iter().find(is_free).ok_or_else(|| io::Error::other("no address is free"))
}

fn run(program: &str, arguments: &[&str]) -> io::Result<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|error| io::Error::other(format!("{program}: {error}")))?;
    succeeded(program, &output)
}

fn succeeded(program: &str, output: &process::Output) -> io::Result<String> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{program}: {}", said.trim())))
}
