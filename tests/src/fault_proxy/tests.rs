//! Properties of the proxy that the cases using it would not notice, with plain sockets on both sides.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::*;

/// Far longer than anything here takes.
const WAIT: Duration = Duration::from_secs(10);

/// How long a test watches that nothing happens.
const QUIET: Duration = Duration::from_millis(300);

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A proxy before a listener that accepts nobody by itself.
struct Setup {
    proxy: FaultProxy,
    listener: TcpListener,
}

impl Setup {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self { proxy: FaultProxy::start(listener.local_addr().unwrap()), listener }
    }

    /// Both ends of a connection through the proxy.
    fn connect(&self) -> (TcpStream, TcpStream) {
        let client = connect(self.proxy.addr()).unwrap();
        let server = self.listener.accept().unwrap().0;
        server.set_read_timeout(Some(WAIT)).unwrap();
        (client, server)
    }
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let client = TcpStream::connect(address)?;
    client.set_read_timeout(Some(WAIT))?;
    Ok(client)
}

fn read(mut stream: &TcpStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

fn write(mut stream: &TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).unwrap();
}

/// Everything up to the end, and how that was.
fn rest(mut stream: &TcpStream) -> (Vec<u8>, Result<(), ErrorKind>) {
    let mut bytes = Vec::new();
    let end = stream.read_to_end(&mut bytes).map(drop).map_err(|error| error.kind());
    (bytes, end)
}

#[track_caller]
fn assert_open_and_quiet(mut stream: &TcpStream) {
    stream.set_read_timeout(Some(QUIET)).unwrap();
    let error = stream.read(&mut [0]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
    stream.set_read_timeout(Some(WAIT)).unwrap();
}

#[test]
fn without_toxics_everything_gets_through() {
    let setup = Setup::new();
    let (client, server) = setup.connect();
    let large: Vec<u8> = (0..1_000_000_u32).map(|number| number as u8).collect();
    thread::scope(|scope| {
        scope.spawn(|| {
            write(&client, &large);
            client.shutdown(Shutdown::Write).unwrap();
        });
        assert_eq!(rest(&server), (large.clone(), Ok(())));
    });
    // One direction has ended, the other has not.
    write(&server, b"answer");
    assert_eq!(read(&client, 6), b"answer");
    drop(server);
    assert_eq!(rest(&client), (vec![], Ok(())));
    assert_eq!(setup.proxy.url("/feed"), format!("ws://{}/feed", setup.proxy.addr()));
}

#[test]
fn slicer() {
    let setup = Setup::new();
    let (client, server) = setup.connect();
    setup.proxy.set(Direction::Upstream, Toxic::Slicer { size: 3, delay: ms(30) });
    let start = Instant::now();
    write(&client, b"0123456789");
    assert_eq!(read(&server, 10), b"0123456789");
    assert!(start.elapsed() >= 3 * ms(30), "{:?}", start.elapsed());
}

#[test]
fn stall_loses_nothing_and_holds_up_the_sender() {
    let setup = Setup::new();
    let (client, mut server) = setup.connect();
    setup.proxy.set(Direction::Downstream, Toxic::Stall);
    server.set_write_timeout(Some(QUIET)).unwrap();
    let mut written = 0;
    let error = loop {
        match server.write(&[b'x'; 100_000]) {
            Ok(len) => written += len,
            Err(error) => break error,
        }
        assert!(written < 100_000_000, "nothing holds it up");
    };
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
    assert_open_and_quiet(&client);
    setup.proxy.clear();
    assert_eq!(read(&client, written).len(), written);
}

#[test]
fn a_reset_that_nobody_ordered_is_passed_on() {
    let setup = Setup::new();
    let (client, server) = setup.connect();
    socket2::SockRef::from(&server).set_linger(Some(Duration::ZERO)).unwrap();
    drop(server);
    assert_eq!(rest(&client), (vec![], Err(ErrorKind::ConnectionReset)));
}

#[test]
fn a_server_that_is_not_there() {
    let Setup { proxy, listener } = Setup::new();
    drop(listener);
    let reset = connect(proxy.addr()).and_then(|mut client| client.read(&mut [0])).unwrap_err();
    assert_eq!(reset.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn nothing_is_left_of_a_dropped_proxy() {
    let setup = Setup::new();
    let (client, server) = setup.connect();
    setup.proxy.set(Direction::Downstream, Toxic::Stall);
    write(&server, &[b'x'; 100_000]);
    let (shared, address) = (Arc::clone(&setup.proxy.shared), setup.proxy.addr());
    let start = Instant::now();
    drop(setup.proxy);
    assert_eq!(rest(&client).1, Err(ErrorKind::ConnectionReset));
    assert_eq!(connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    // No thread has it any more; the last may still be at letting go of it.
    while Arc::strong_count(&shared) > 1 {
        assert!(start.elapsed() < WAIT, "a thread is left");
        thread::yield_now();
    }
}
