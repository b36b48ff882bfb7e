//! The cases.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use libtest_mimic::{Completion, Trial};
use tidegate_tests::needs::absent;
use tidegate_tests::netns::{Namespace, Way, remove_leftovers, unavailable};

/// Lost packets are sent again after ever longer times.
const WAIT: Duration = Duration::from_secs(120);

/// How long a test watches that nothing happens.
const QUIET: Duration = Duration::from_millis(500);

pub(crate) fn trials() -> Vec<Trial> {
    let cases: [(&str, fn()); 7] = [
        ("half_open_is_silent_and_heals", half_open_is_silent_and_heals),
        ("one_direction", one_direction),
        ("a_lossy_link_delivers", a_lossy_link_delivers),
        ("a_cut_link_heals", a_cut_link_heals),
        ("programs_run_in_it_and_go_with_it", programs_run_in_it_and_go_with_it),
        ("nothing_is_left", nothing_is_left),
        ("leftovers_of_a_killed_run", leftovers_of_a_killed_run),
    ];
    let trial = |(name, case): (&str, fn())| {
        Trial::ignorable_test(name, move || match unavailable() {
            Some(reason) => absent(reason),
            None => {
                case();
                Ok(Completion::Completed)
            }
        })
    };
    cases.map(trial).into()
}

/// Both ends of a connection into the namespace.
fn connect(namespace: &Namespace) -> (TcpStream, TcpStream) {
    let listener: TcpListener = namespace.listen().unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let server = listener.accept().unwrap().0;
    for stream in [&client, &server] {
        stream.set_read_timeout(Some(WAIT)).unwrap();
        stream.set_nodelay(true).unwrap();
    }
    (client, server)
}

fn read(mut stream: &TcpStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

fn write(mut stream: &TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).unwrap();
}

/// Neither data nor a FIN nor a RST.
#[track_caller]
fn assert_open_and_quiet(mut stream: &TcpStream) {
    stream.set_read_timeout(Some(QUIET)).unwrap();
    let error = stream.read(&mut [0]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
    stream.set_read_timeout(Some(WAIT)).unwrap();
}

fn half_open_is_silent_and_heals() {
    let namespace = Namespace::new().unwrap();
    let (client, server) = connect(&namespace);
    write(&client, b"before");
    assert_eq!(read(&server, 6), b"before");
    namespace.lose(Way::Both, 100).unwrap();
    write(&client, b"up");
    write(&server, b"down");
    assert_open_and_quiet(&client);
    assert_open_and_quiet(&server);
    assert!(namespace.lost().unwrap() > 0);
    namespace.lose_none().unwrap();
    assert_eq!(read(&server, 2), b"up");
    assert_eq!(read(&client, 4), b"down");
}

fn one_direction() {
    let namespace = Namespace::new().unwrap();
    let (client, server) = connect(&namespace);
    namespace.lose(Way::In, 100).unwrap();
    write(&server, b"down");
    assert_eq!(read(&client, 4), b"down");
    write(&client, b"up");
    assert_open_and_quiet(&server);
    namespace.lose(Way::Out, 100).unwrap();
    assert_eq!(read(&server, 2), b"up");
    write(&server, b"more");
    assert_open_and_quiet(&client);
}

fn a_lossy_link_delivers() {
    let namespace = Namespace::new().unwrap();
    let (client, server) = connect(&namespace);
    namespace.lose(Way::Both, 20).unwrap();
    // Small and in turns, so that there are many packets to lose.
    let sent: Vec<u8> = (0..20).collect();
    thread::scope(|scope| {
        scope.spawn(|| {
            for byte in &sent {
                write(&server, &[*byte]);
                assert_eq!(read(&server, 1), [*byte]);
            }
        });
        for byte in &sent {
            assert_eq!(read(&client, 1), [*byte]);
            write(&client, &[*byte]);
        }
    });
    assert!(namespace.lost().unwrap() > 0);
}

fn a_cut_link_heals() {
    let namespace = Namespace::new().unwrap();
    let (client, server) = connect(&namespace);
    let listener = namespace.listen().unwrap();
    namespace.cut_link().unwrap();
    write(&client, b"up");
    assert_open_and_quiet(&client);
    assert_open_and_quiet(&server);
    TcpStream::connect_timeout(&listener.local_addr().unwrap(), QUIET).unwrap_err();
    namespace.restore_link().unwrap();
    assert_eq!(read(&server, 2), b"up");
    write(&server, b"down");
    assert_eq!(read(&client, 4), b"down");
}

fn programs_run_in_it_and_go_with_it() {
    let namespace = Namespace::new().unwrap();
    let own = namespace.command("ip").args(["-o", "addr"]).output().unwrap();
    let own = String::from_utf8(own.stdout).unwrap();
    assert!(own.contains(&format!(" {}/30 ", namespace.address())), "{own}");
    let mut child = namespace.command("sleep").arg("1000").stdin(Stdio::null()).spawn().unwrap();
    drop(namespace);
    assert!(!child.wait().unwrap().success());
}

/// Sockets outlive the namespace, and keep nothing of it.
fn nothing_is_left() {
    let namespace = Namespace::new().unwrap();
    let name = namespace.name().to_owned();
    let (client, _server) = connect(&namespace);
    let outer = client.local_addr().unwrap().ip().to_string();
    let is_there = || [listed(&["netns", "list"], &name), listed(&["addr", "show"], &outer)];
    assert_eq!(is_there(), [true, true]);
    drop(namespace);
    assert_eq!(is_there(), [false, false]);
}

fn listed(arguments: &[&str], what: &str) -> bool {
    let output = Command::new("ip").args(arguments).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split([' ', '@', '/', '\n']).any(|word| word == what)
}

fn leftovers_of_a_killed_run() {
    let mut dead = Command::new("true").spawn().unwrap();
    dead.wait().unwrap();
    let [gone, here] = [dead.id(), std::process::id()].map(|pid| format!("tidegate-{pid}-9999"));
    for name in [&gone, &here] {
        assert!(Command::new("ip").args(["netns", "add", name]).status().unwrap().success());
    }
    assert!(Path::new("/run/netns").join(&gone).exists());
    let mut sleeper = Command::new("ip")
        .args(["netns", "exec", &gone, "sleep", "1000"])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    while !listed(&["netns", "pids", &gone], &sleeper.id().to_string()) {
        thread::yield_now();
    }
    remove_leftovers().unwrap();
    assert!(!sleeper.wait().unwrap().success());
    assert!(!listed(&["netns", "list"], &gone));
    assert!(listed(&["netns", "list"], &here));
    assert!(Command::new("ip").args(["netns", "del", &here]).status().unwrap().success());
}
