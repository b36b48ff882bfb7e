//! A runtime of one's own, over sockets of the standard library (design §4): readiness is all it has.
#![cfg(feature = "net")]
#![allow(clippy::unwrap_used, reason = "the lint does not know that helpers of tests are tests")]

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::pin::pin;
use std::sync::mpsc::{self, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use futures_channel::oneshot::{self, Receiver};
use futures_executor::block_on;
use futures_util::{AsyncReadExt, AsyncWriteExt, SinkExt, StreamExt};
use socket2::{Domain, SockRef, Socket, Type};
use tidegate_driver::core::{CloseFrame, Failure, Frame};
use tidegate_driver::net::{
    Connector, Interest, Net, Proxy, Reactor, SocketRuntime, StdStream, WebSocket, connect_once,
};
use tidegate_driver::{Alarm, ConnectRequest, Runtime};
use tungstenite::{Message as Said, WebSocket as Peer};

const WAIT: Duration = Duration::from_secs(20);

/// Wakes at once whoever waits for a socket, which readiness may do at any time.
struct Eager;

impl Reactor for Eager {
    fn wake_when(_: &Arc<TcpStream>, _: Interest, waker: &Waker) {
        thread::yield_now();
        waker.wake_by_ref();
    }
}

impl Net for Eager {
    type Stream = StdStream<Self>;
    type Timer = Receiver<()>;

    async fn connected(socket: TcpStream) -> io::Result<StdStream<Self>> {
        StdStream::connected(socket).await
    }

    fn timer(after: Duration) -> Self::Timer {
        let (done, over) = oneshot::channel();
        thread::spawn(move || {
            thread::sleep(after);
            // Nobody may be waiting any more.
            let _ = done.send(());
        });
        over
    }

    async fn unblock<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
        work()
    }
}

/// A server that says, once it is over, what became of its one connection.
fn server<T: Send + 'static>(
    talk: impl FnOnce(Peer<TcpStream>) -> T + Send + 'static,
) -> (SocketAddr, mpsc::Receiver<T>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (sender, told) = channel();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(WAIT)).unwrap();
        sender.send(talk(tungstenite::accept(stream).unwrap())).unwrap();
    });
    (address, told)
}

async fn connect(address: SocketAddr, connector: Connector) -> Result<WebSocket<StdStream<Eager>>, Failure> {
    let request = ConnectRequest::new(format!("ws://{address}/")).unwrap();
    connect_once::<Eager>(request, &connector.no_proxy(), WAIT).await
}

#[test]
fn frames_go_both_ways() {
    let (address, told) = server(|mut peer| {
        let asked = peer.read().unwrap();
        // More than the system buffers on the way: writing has to wait for the reader.
        peer.send(Said::Binary(vec![7; 8 << 20].into())).unwrap();
        asked
    });
    block_on(async {
        let mut connection = connect(address, Connector::default()).await.unwrap();
        connection.send(Frame::from("what is there")).await.unwrap();
        let answer = connection.next().await.unwrap().unwrap();
        assert_eq!(answer, Frame::from(vec![7; 8 << 20]));
    });
    assert_eq!(told.recv_timeout(WAIT).unwrap(), Said::text("what is there"));
}

/// RFC 6455 §7.1.2: a sink that is closed says so to the peer, and nothing goes out behind it.
#[test]
fn closing_the_sink_is_a_closing_handshake() {
    let (address, told) = server(|mut peer| {
        let close = peer.read().unwrap();
        // The answer to it goes out with the next read.
        let end = peer.read().unwrap_err();
        (close, end.to_string())
    });
    block_on(async {
        let mut connection = connect(address, Connector::default()).await.unwrap();
        connection.close().await.unwrap();
        let late = connection.send(Frame::from("late")).await.unwrap_err();
        assert_eq!(late.kind(), "io", "{late}");
        assert_eq!(connection.next().await, Some(Ok(Frame::Close(None))), "the peer's answer");
        assert_eq!(connection.next().await, None);
    });
    let (close, end) = told.recv_timeout(WAIT).unwrap();
    assert_eq!(close, Said::Close(None));
    assert!(end.to_lowercase().contains("closed"), "{end}");
}

#[test]
fn the_peers_close_ends_the_stream() {
    let (address, told) = server(|mut peer| {
        peer.close(None).unwrap();
        peer.read().unwrap()
    });
    block_on(async {
        let mut connection = connect(address, Connector::default()).await.unwrap();
        assert_eq!(connection.next().await, Some(Ok(Frame::Close(None))));
        connection.send(Frame::Close(Some(CloseFrame::new(1000)))).await.unwrap();
        assert_eq!(connection.next().await, None);
    });
    assert_eq!(told.recv_timeout(WAIT).unwrap(), Said::Close(None));
}

/// A socket that is not connected yet is waited for, until it can be written to.
#[test]
fn a_connection_that_takes_its_time_is_waited_for() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let same = socket.try_clone().unwrap();
    let mut connected = pin!(StdStream::<Patient>::connected(socket.into()));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(connected.as_mut().poll(&mut cx).is_pending());
    assert_eq!(*ASKED.lock().unwrap_or_else(PoisonError::into_inner), [Interest::Writable]);
    same.connect(&listener.local_addr().unwrap().into()).unwrap();
    assert!(connected.as_mut().poll(&mut cx).is_ready());
}

/// Only what goes out is over.
#[test]
fn a_socket_that_is_closed_can_still_be_read_from() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    socket.set_nonblocking(true).unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    peer.set_read_timeout(Some(WAIT)).unwrap();
    block_on(async {
        let mut stream = StdStream::<Eager>::connected(socket).await.unwrap();
        stream.write_all(b"last words").await.unwrap();
        stream.close().await.unwrap();
        assert_eq!(io::read_to_string(&mut peer).unwrap(), "last words");
        peer.write_all(b"heard").unwrap();
        drop(peer);
        let mut heard = String::new();
        stream.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "heard");
    });
}

/// What was waited for.
static ASKED: Mutex<Vec<Interest>> = Mutex::new(Vec::new());

/// Notes what is waited for, and never wakes.
struct Patient;

impl Reactor for Patient {
    fn wake_when(_: &Arc<TcpStream>, interest: Interest, _: &Waker) {
        ASKED.lock().unwrap_or_else(PoisonError::into_inner).push(interest);
    }
}

#[test]
fn nobody_listens() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let failure = block_on(connect(address, Connector::default())).unwrap_err();
    assert_eq!(failure.kind(), "tcp");
    assert!(failure.to_string().contains(&address.to_string()), "{failure}");
}

/// An address that this machine does not have.
#[test]
fn a_local_address_that_cannot_be_bound_to() {
    let (address, _told) = server(drop);
    let elsewhere = Ipv4Addr::new(192, 0, 2, 1);
    let failure =
        block_on(connect(address, Connector::default().bind_address(elsewhere.into()))).unwrap_err();
    assert_eq!(failure.kind(), "tcp");
    assert!(failure.to_string().contains(&address.to_string()), "{failure}");
    let other_family = Connector::default().bind_address(Ipv6Addr::LOCALHOST.into());
    let failure = block_on(connect(address, other_family)).unwrap_err();
    assert!(failure.to_string().contains("family"), "{failure}");
}

/// Looks at the socket it is given, and goes no further.
struct Looking;

impl Net for Looking {
    type Stream = StdStream<Eager>;
    type Timer = Receiver<()>;

    async fn connected(socket: TcpStream) -> io::Result<Self::Stream> {
        let seen = SockRef::from(&socket);
        let keepalive = seen.keepalive()?.then(|| seen.tcp_keepalive_time()).transpose()?;
        Err(io::Error::other(format!("nodelay {}, keepalive {keepalive:?}", seen.tcp_nodelay()?)))
    }

    fn timer(after: Duration) -> Self::Timer {
        Eager::timer(after)
    }

    async fn unblock<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
        work()
    }
}

#[test]
fn options_of_tcp_reach_the_socket() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let seen = |connector: Connector| {
        let request = ConnectRequest::new(url.as_str()).unwrap();
        block_on(connect_once::<Looking>(request, &connector.no_proxy(), WAIT)).unwrap_err().to_string()
    };
    let plain = seen(Connector::default());
    assert!(plain.ends_with("nodelay true, keepalive None"), "{plain}");
    let probing = seen(Connector::default().tcp_keepalive(Duration::from_secs(42)));
    assert!(probing.ends_with("nodelay true, keepalive Some(42s)"), "{probing}");
}

/// T3.
#[test]
fn what_is_shown_of_a_runtime_holds_no_secret() {
    let proxy = Proxy::new("http://reader:hunter2@proxy.test:8080").unwrap();
    let runtime = SocketRuntime::with_net(Eager, Connector::default().proxy(proxy));
    let shown = format!("{runtime:?}");
    assert!(shown.contains("proxy.test") && !shown.contains("hunter2"), "{shown}");
}

/// An alarm that rings is over until it is set again.
#[test]
fn an_alarm_rings_once() {
    let runtime = SocketRuntime::with_net(Eager, Connector::default());
    let mut alarm = runtime.alarm();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(alarm.poll_ring(&mut cx).is_pending(), "not set");
    let before = runtime.now();
    alarm.set(before.saturating_add(Duration::from_millis(20)));
    block_on(std::future::poll_fn(|cx| alarm.poll_ring(cx)));
    assert!(runtime.now() >= before.saturating_add(Duration::from_millis(20)));
    assert!(alarm.poll_ring(&mut cx).is_pending(), "it has rung");
}
