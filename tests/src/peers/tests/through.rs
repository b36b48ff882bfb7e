//! Through the proxies: what gets through is counted, and what should not does not.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};

use super::{Peer, WAIT, head, or_skip, servers, upgrade};
use crate::peers::Proxy;
use crate::peers::proxy::socks5;

const USER: Option<(&str, &str)> = Some(("reader", "secret"));

fn connect(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.address()).unwrap();
    stream.set_read_timeout(Some(WAIT)).unwrap();
    stream
}

/// An HTTP CONNECT; the answer's head.
fn http_connect(stream: &mut TcpStream, target: SocketAddr, more: &str) -> String {
    write!(stream, "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{more}\r\n").unwrap();
    head(stream)
}

fn any_server() -> Option<Peer> {
    servers().next()
}

fn assert_upgrades(mut stream: TcpStream) {
    let answer = upgrade(&mut stream, "/echo", "");
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
}

#[test]
fn http_without_credentials() {
    let (Some(server), Some(proxy)) = (any_server(), or_skip(Proxy::http(None))) else { return };
    assert!(proxy.url(None).starts_with("http://127.0.0.1:"));
    assert_eq!(proxy.tunnels(), 0);
    for count in 1..=2 {
        let mut stream = connect(&proxy);
        let answer = http_connect(&mut stream, server.address(), "");
        assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
        assert_upgrades(stream);
        proxy.wait_for_tunnels(count);
        assert_eq!(proxy.tunnels(), count);
    }
}

#[test]
fn http_with_credentials() {
    let (Some(server), Some(proxy)) = (any_server(), or_skip(Proxy::http(USER))) else { return };
    assert!(proxy.url(USER).starts_with("http://reader:secret@127.0.0.1:"));
    let answer = http_connect(&mut connect(&proxy), server.address(), "");
    assert!(answer.starts_with("HTTP/1.0 407"), "{answer}");
    // That is `reader:wrong`.
    let wrong = "Proxy-Authorization: Basic cmVhZGVyOndyb25n\r\n";
    let answer = http_connect(&mut connect(&proxy), server.address(), wrong);
    assert!(answer.starts_with("HTTP/1.0 401"), "{answer}");
    let mut stream = connect(&proxy);
    let right = "Proxy-Authorization: Basic cmVhZGVyOnNlY3JldA==\r\n";
    let answer = http_connect(&mut stream, server.address(), right);
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    assert_upgrades(stream);
    proxy.wait_for_tunnels(1);
    assert_eq!(proxy.tunnels(), 1, "{:?}", proxy.log());
}

#[test]
fn socks5_without_credentials() {
    let (Some(server), Some(proxy)) = (any_server(), or_skip(Proxy::socks5(None))) else { return };
    assert!(proxy.url(None).starts_with("socks5://127.0.0.1:"));
    assert_eq!(proxy.tunnels(), 0);
    for count in 1..=2 {
        let mut stream = connect(&proxy);
        assert!(socks5(&mut stream, server.address(), None).unwrap());
        assert_upgrades(stream);
        proxy.wait_for_tunnels(count);
        assert_eq!(proxy.tunnels(), count);
    }
}

#[test]
fn socks5_with_credentials() {
    let (Some(server), Some(proxy)) = (any_server(), or_skip(Proxy::socks5(USER))) else { return };
    for credentials in [None, Some(("reader", "wrong"))] {
        assert!(!socks5(&mut connect(&proxy), server.address(), credentials).unwrap());
    }
    let mut stream = connect(&proxy);
    assert!(socks5(&mut stream, server.address(), USER).unwrap());
    assert_upgrades(stream);
    proxy.wait_for_tunnels(1);
    assert_eq!(proxy.tunnels(), 1, "{:?}", proxy.log());
}
