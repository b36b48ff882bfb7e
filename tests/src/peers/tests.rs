//! That the peers do what `peers.rs` says, are found or told missing, and end when they should.

mod behaviour;
mod detection;
mod ends;
mod through;

use std::io::{Read, Write};
use std::net::TcpStream;

use super::{Missing, WAIT, or_skip};
use crate::peers::{Peer, ServerTls, WebSocketServer};
use crate::pki::{Authority, Leaf};

/// The WebSocket servers that are here.
fn servers() -> impl Iterator<Item = Peer> {
    WebSocketServer::ALL.into_iter().filter_map(|server| or_skip(server.start()))
}

fn local(authority: &Authority) -> ServerTls {
    ServerTls::new(authority.issue(Leaf::localhost()))
}

/// Asks for an upgrade on a bare stream; the answer's head.
fn upgrade(stream: &mut TcpStream, path: &str, more: &str) -> String {
    stream.set_read_timeout(Some(WAIT)).unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    head(stream)
}

/// Reads up to an empty line.
fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}
