//! That the peers are found or told missing, and end when they should. What they do is seen where it is wanted: in the cases
//! against them.

mod detection;
mod ends;

use std::io::{Read, Write};
use std::net::TcpStream;

use super::{WAIT, or_skip};
use crate::peers::{Peer, ServerTls, WebSocketServer};
use crate::pki::{Authority, Leaf};

/// The WebSocket servers that are here.
fn servers() -> impl Iterator<Item = Peer> {
    WebSocketServer::ALL.into_iter().filter_map(|server| or_skip(server.start()))
}

fn local(authority: &Authority) -> ServerTls {
    ServerTls::new(authority.issue(Leaf::localhost()))
}

/// Else it would prove nothing that a server compresses nothing for us.
#[test]
fn each_server_compresses_for_clients_that_offer_it() {
    for peer in servers() {
        let mut stream = TcpStream::connect(peer.address()).unwrap();
        stream.set_read_timeout(Some(WAIT)).unwrap();
        let request = "GET /deflate HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with("HTTP/1.1 101") && head.contains("permessage-deflate"), "{peer:?}: {head}");
    }
}
