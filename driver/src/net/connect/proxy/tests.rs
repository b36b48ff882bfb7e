//! Tests of proxies. The peers are scripted, and send whole answers or single bytes.

mod connect;
mod environment;
mod parsing;
mod socks;

use futures_executor::block_on;
use futures_util::{AsyncReadExt, AsyncWriteExt};
use tidegate_core::{ConnectFailure, Failure, ProxyProblem};

use super::script::{PeerStep, ScriptedPeer, hears, says};
use super::{Destination, Proxy};

/// Maximum number of bytes of one read or write: all, or few.
const CHUNKS: [usize; 3] = [usize::MAX, 3, 1];

fn proxy(url: &str) -> Proxy {
    Proxy::new(url).unwrap()
}

fn name(host: &str, port: u16) -> Destination {
    Destination::Name(host.to_owned(), port)
}

fn address(address: &str) -> Destination {
    Destination::Address(address.parse().unwrap())
}

/// Opens a tunnel through the proxy of `steps`, and talks to the destination. Returns all that the destination sends.
fn through(proxy: &Proxy, destination: &Destination, steps: &[PeerStep]) -> Vec<u8> {
    let steps = [steps, &[says("welcome."), hears("hello"), says("bye")]].concat();
    let [whole, rest @ ..] = CHUNKS.map(|chunk| {
        block_on(async {
            let mut tunnel = proxy.tunnel(ScriptedPeer::new(&steps, chunk), destination).await.unwrap();
            let mut said = Vec::new();
            while said.last() != Some(&b'.') {
                let mut byte = [0];
                tunnel.read_exact(&mut byte).await.unwrap();
                said.extend(byte);
            }
            tunnel.write_all(b"hello").await.unwrap();
            tunnel.flush().await.unwrap();
            tunnel.read_to_end(&mut said).await.unwrap();
            said
        })
    });
    for said in rest {
        assert_eq!(said, whole);
    }
    whole
}

/// Returns why the proxy of `steps` opens no tunnel.
fn refused(proxy: &Proxy, destination: &Destination, steps: &[PeerStep]) -> (ProxyProblem, String) {
    let [whole, rest @ ..] =
        CHUNKS.map(|chunk| match block_on(proxy.tunnel(ScriptedPeer::new(steps, chunk), destination)) {
            Ok(_) => panic!("a way through"),
            Err(Failure::Connect(ConnectFailure::Proxy { problem, detail })) => (problem, detail),
            Err(other) => panic!("{other:?}"),
        });
    for failure in rest {
        assert_eq!(failure, whole);
    }
    whole
}

#[test]
fn a_tunnel_can_be_dug_on_any_thread() {
    fn on_any_thread(_: impl Send) {}
    let (proxy, destination) = (proxy("socks5h://proxy"), name("feed.example", 443));
    on_any_thread(proxy.tunnel(ScriptedPeer::new(&[], 1), &destination));
}
