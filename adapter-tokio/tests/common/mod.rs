//! A server of a few lines, byte by byte: it can misbehave as no real one would.

#![allow(dead_code, reason = "each suite uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::time::Duration;

use async_tungstenite::tungstenite::handshake::derive_accept_key;
use tidegate_tokio::core::Failure;
use tidegate_tokio::{ConnectRequest, Connector, Transport, connect_once};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Far longer than anything here takes: it only keeps a broken test from hanging.
pub(crate) const WAIT: Duration = Duration::from_secs(20);

pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

pub(crate) async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(WAIT, work).await.expect("the test hangs")
}

/// A listener on loopback and a URL that leads to it.
pub(crate) async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/feed", listener.local_addr().unwrap());
    (listener, url)
}

pub(crate) async fn connect(url: &str) -> Result<Transport, Failure> {
    connect_with(url, &Connector::default()).await
}

pub(crate) async fn connect_with(url: &str, connector: &Connector) -> Result<Transport, Failure> {
    connect_once(ConnectRequest::new(url).unwrap(), connector, WAIT).await
}

/// Reads the request, up to and with its empty line.
pub(crate) async fn request(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// The value of a header of a request.
pub(crate) fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    request.lines().find_map(|line| {
        let (found, value) = line.split_once(": ")?;
        found.eq_ignore_ascii_case(name).then_some(value)
    })
}

/// A valid answer to `request`, with more header lines.
pub(crate) fn switching(request: &str, more: &str) -> String {
    let key = header(request, "sec-websocket-key").unwrap();
    let accept = derive_accept_key(key.as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{more}\r\n"
    )
}

/// Answers the upgrade on a stream that is there.
pub(crate) async fn upgrade(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    let request = request(stream).await;
    stream.write_all(switching(&request, "").as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
}

/// The next connection, upgraded.
pub(crate) async fn accept(listener: &TcpListener) -> TcpStream {
    let (mut stream, _) = listener.accept().await.unwrap();
    upgrade(&mut stream).await;
    stream
}

/// Both ends of a new connection.
pub(crate) async fn pair() -> (Transport, TcpStream) {
    let (listener, url) = listen().await;
    let (client, server) = within(async { tokio::join!(connect(&url), accept(&listener)) }).await;
    (client.unwrap(), server)
}

/// A final frame as a server sends it.
pub(crate) fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    assert!(payload.len() < 126);
    [&[0x80 | opcode, u8::try_from(payload.len()).unwrap()][..], payload].concat()
}

/// The next frame of the client: opcode and unmasked payload.
pub(crate) async fn read_frame(stream: &mut (impl AsyncRead + Unpin)) -> (u8, Vec<u8>) {
    let first = stream.read_u8().await.unwrap();
    let second = stream.read_u8().await.unwrap();
    assert_eq!(first & 0xf0, 0x80, "final, no reserved bits");
    assert_eq!(second & 0x80, 0x80, "a client masks");
    let len = match second & 0x7f {
        126 => usize::from(stream.read_u16().await.unwrap()),
        127 => usize::try_from(stream.read_u64().await.unwrap()).unwrap(),
        short => usize::from(short),
    };
    let mut mask = [0; 4];
    stream.read_exact(&mut mask).await.unwrap();
    let mut payload = vec![0; len];
    stream.read_exact(&mut payload).await.unwrap();
    payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    (first & 0x0f, payload)
}
