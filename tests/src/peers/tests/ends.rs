//! A peer ends when it is dropped, and when the test process is killed.

use std::cell::Cell;
use std::env;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::{Authority, Peer, WAIT, local, or_skip, servers};
use crate::peers::{Proxy, detect, is_collision, nginx, nginx_in_front_of, on_a_free_port, proxy};

const ONLY_TO_BE_KILLED: &str = "TIDEGATE_PEERS_TEST_TO_BE_KILLED";

fn runs(pid: u32) -> bool {
    PathBuf::from(format!("/proc/{pid}")).exists()
}

/// One of each that is here.
fn one_of_each() -> (Vec<Peer>, Vec<Proxy>) {
    let mut peers: Vec<_> = servers().collect();
    let nginx = peers.first().and_then(|peer| or_skip(nginx_in_front_of(peer, &local(&Authority::new()))));
    peers.extend(nginx);
    let proxies = [Proxy::http(None), Proxy::socks5(None)].into_iter().filter_map(or_skip).collect();
    (peers, proxies)
}

fn places((peers, proxies): &(Vec<Peer>, Vec<Proxy>)) -> Vec<(u32, SocketAddr)> {
    let peers = peers.iter().map(|peer| (peer.pid(), peer.address()));
    peers.chain(proxies.iter().map(|proxy| (proxy.pid(), proxy.address()))).collect()
}

#[test]
fn a_dropped_peer_has_ended() {
    let peers = one_of_each();
    let places = places(&peers);
    for (pid, address) in &places {
        assert!(runs(*pid));
        TcpStream::connect(address).unwrap();
    }
    drop(peers);
    for (pid, address) in places {
        assert!(!runs(pid), "{pid} still runs");
        TcpStream::connect(address).unwrap_err();
    }
}

/// Not a check of its own: the process that the next one kills.
#[test]
fn keeps_peers_until_it_is_killed() {
    if env::var_os(ONLY_TO_BE_KILLED).is_none() {
        return;
    }
    let peers = one_of_each();
    for (pid, _) in places(&peers) {
        println!("peer {pid}");
    }
    println!("ready");
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

#[test]
fn peers_end_with_a_test_process_that_is_killed() {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "peers::tests::ends::keeps_peers_until_it_is_killed", "--nocapture"]);
    // It cannot remove what it leaves behind.
    let left_behind = tempfile::tempdir().unwrap();
    command.env("TMPDIR", left_behind.path());
    command.env(ONLY_TO_BE_KILLED, "yes").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = command.spawn().unwrap();
    let lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
    let lines: Vec<_> = lines.take_while(|line| line != "ready").collect();
    let pids: Vec<u32> =
        lines.iter().filter_map(|line| Some(line.split_once("peer ")?.1.parse().unwrap())).collect();
    assert_eq!(pids.len(), places(&one_of_each()).len(), "{lines:?}");
    assert!(pids.iter().all(|pid| runs(*pid)));

    process.kill().unwrap();
    process.wait().unwrap();
    let start = Instant::now();
    while pids.iter().any(|pid| runs(*pid)) {
        assert!(start.elapsed() < WAIT, "of {pids:?} some still run");
        thread::sleep(Duration::from_millis(5));
    }
}

/// What makes a start on a port that was taken in the meantime be tried again on another.
#[test]
fn a_taken_port_is_told_as_such() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let tls = local(&Authority::new());
    let starts = [
        detect::nginx().map(|found| nginx::start(&found, address.port(), address, &tls)),
        detect::tinyproxy().map(|found| proxy::start_tinyproxy(&found, address.port(), "")),
        detect::microsocks().map(|found| proxy::start_microsocks(&found, address.port(), None)),
    ];
    for started in starts.into_iter().filter_map(or_skip) {
        let story = started.unwrap_err();
        assert!(is_collision(&story), "{story}");
    }
}

#[test]
fn a_start_on_a_taken_port_is_tried_again_on_another() {
    let Some(found) = or_skip(detect::microsocks()) else { return };
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().port();
    let tries = Cell::new(0);
    let peer = on_a_free_port(|port| {
        tries.set(tries.get() + 1);
        proxy::start_microsocks(&found, if tries.get() == 1 { taken } else { port }, None)
    });
    assert_eq!(tries.get(), 2);
    assert_ne!(peer.address().port(), taken);
}
