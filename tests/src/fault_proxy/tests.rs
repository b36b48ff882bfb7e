//! Each toxic, seen from plain sockets on both sides.

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
    let expected = Counters { accepted: 1, open: 1, upstream_bytes: 1_000_000, downstream_bytes: 6 };
    assert!(setup.proxy.wait_for(WAIT, |counters| counters == expected), "{:?}", setup.proxy.connections());
    drop(server);
    assert_eq!(rest(&client), (vec![], Ok(())));
    assert!(setup.proxy.wait_for(WAIT, |counters| counters.open == 0));
    assert_eq!(setup.proxy.url("/feed"), format!("ws://{}/feed", setup.proxy.addr()));
}

#[test]
fn latency_in_one_direction_and_order_under_jitter() {
    let setup = Setup::new();
    let (client, server) = setup.connect();
    setup.proxy.set(Direction::Downstream, Toxic::Latency { delay: ms(150), jitter: ms(0) });
    let start = Instant::now();
    write(&server, b"late");
    assert_eq!(read(&client, 4), b"late");
    assert!(start.elapsed() >= ms(150), "{:?}", start.elapsed());

    setup.proxy.set(Direction::Downstream, Toxic::Latency { delay: ms(20), jitter: ms(20) });
    let numbers: Vec<u8> = (0..100).collect();
    for number in &numbers {
        write(&server, &[*number]);
        thread::sleep(ms(1));
    }
    assert_eq!(read(&client, 100), numbers);
}

#[test]
fn bandwidth() {
    let setup = Setup::new();
    let (client, server) = setup.connect();
    setup.proxy.set(Direction::Downstream, Toxic::Bandwidth { bytes_per_second: 20_000 });
    let start = Instant::now();
    write(&server, &[b'x'; 8_000]);
    read(&client, 8_000);
    // What is last need not be waited after.
    assert!(start.elapsed() >= ms(350), "{:?}", start.elapsed());
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
fn slow_close() {
    let setup = Setup::new();
    let (client, server) = setup.connect();
    setup.proxy.set(Direction::Downstream, Toxic::SlowClose { delay: ms(400) });
    let start = Instant::now();
    write(&server, b"last");
    drop(server);
    assert_eq!(read(&client, 4), b"last");
    assert_eq!(rest(&client), (vec![], Ok(())));
    assert!(start.elapsed() >= ms(400), "{:?}", start.elapsed());
}

#[test]
fn half_open_loses_data_and_tells_nobody() {
    let setup = Setup::new();
    let (client, server) = setup.connect();
    let (other_client, other_server) = setup.connect();
    setup.proxy.half_open();
    write(&client, b"lost");
    write(&server, b"lost");
    drop(other_server);
    for stream in [&client, &server, &other_client] {
        assert_open_and_quiet(stream);
    }
    assert_eq!(setup.proxy.connections().open, 2);
    setup.proxy.clear();
    write(&client, b"heard");
    assert_eq!(read(&server, 5), b"heard");
    // The end of the stream comes after all.
    assert_eq!(rest(&other_client), (vec![], Ok(())));
}

#[test]
fn timeout_closes() {
    let setup = Setup::new();
    setup.proxy.set(Direction::Downstream, Toxic::Timeout { after: Some(ms(200)) });
    let start = Instant::now();
    let (client, server) = setup.connect();
    write(&server, b"lost");
    write(&client, b"the other way");
    assert_eq!(rest(&client), (vec![], Ok(())));
    assert!(start.elapsed() >= ms(200), "{:?}", start.elapsed());
    assert_eq!(rest(&server), (b"the other way".to_vec(), Ok(())));
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
fn reset_peer() {
    let setup = Setup::new();
    let (client, server) = setup.connect();
    write(&server, b"before");
    assert_eq!(read(&client, 6), b"before");
    let start = Instant::now();
    setup.proxy.set(Direction::Upstream, Toxic::ResetPeer { after: ms(200) });
    assert_eq!(rest(&client), (vec![], Err(ErrorKind::ConnectionReset)));
    assert!(start.elapsed() >= ms(200), "{:?}", start.elapsed());
    assert_eq!(rest(&server), (vec![], Err(ErrorKind::ConnectionReset)));
    // Later ones, too.
    setup.proxy.set(Direction::Upstream, Toxic::ResetPeer { after: ms(0) });
    let later = connect(setup.proxy.addr()).unwrap();
    assert_eq!(rest(&later), (vec![], Err(ErrorKind::ConnectionReset)));
}

#[test]
fn limit_data_counts_from_the_beginning_of_the_connection() {
    let setup = Setup::new();
    let (client, server) = setup.connect();
    write(&server, b"01234");
    assert_eq!(read(&client, 5), b"01234");
    setup.proxy.set(Direction::Downstream, Toxic::LimitData { bytes: 8, end: End::Close });
    write(&server, b"56789");
    assert_eq!(rest(&client), (b"567".to_vec(), Ok(())));

    let (client, server) = setup.connect();
    setup.proxy.set(Direction::Downstream, Toxic::LimitData { bytes: 3, end: End::Reset });
    write(&server, b"56789");
    let (bytes, end) = rest(&client);
    assert!(b"567".starts_with(&bytes), "{bytes:?}");
    assert_eq!(end, Err(ErrorKind::ConnectionReset));
}

#[test]
fn refusing_and_accepting_again() {
    let setup = Setup::new();
    let (client, server) = setup.connect();
    for _ in 0..3 {
        setup.proxy.refuse();
        setup.proxy.refuse();
        let refused = connect(setup.proxy.addr()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        write(&client, b"still here");
        assert_eq!(read(&server, 10), b"still here");
        setup.proxy.clear();
        setup.connect();
    }
    assert!(setup.proxy.wait_for(WAIT, |counters| counters.accepted == 4));
    assert!(setup.proxy.wait_for(WAIT, |counters| counters.open == 1));
}

#[test]
fn cutting_ends_all_that_are_open_and_no_later_one() {
    let setup = Setup::new();
    for (end, seen) in [(End::Close, Ok(())), (End::Reset, Err(ErrorKind::ConnectionReset))] {
        let pairs = [setup.connect(), setup.connect()];
        assert!(setup.proxy.wait_for(WAIT, |counters| counters.open == 2));
        setup.proxy.cut(end);
        for stream in pairs.iter().flat_map(|(client, server)| [client, server]) {
            assert_eq!(rest(stream), (vec![], seen));
        }
        assert_eq!(setup.proxy.connections().open, 0);
    }
    let (client, server) = setup.connect();
    write(&client, b"new");
    assert_eq!(read(&server, 3), b"new");
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
