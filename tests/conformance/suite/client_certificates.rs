//! Clients that a server wants a certificate of, by our own TLS library and by others.

use futures_util::StreamExt;
use tempfile::TempDir;
use tidegate::rustls::version::{TLS12, TLS13};
use tidegate::{Failure, Frame, TlsProblem};
use tidegate_tests::needs::{AIOHTTP, NGINX, WEBSOCKETS, WS};
use tidegate_tests::peers::{Peer, ServerTls, WebSocketServer, nginx_in_front_of};
use tidegate_tests::pki::{Authority, Leaf};
use tidegate_tests::prelude::*;

use super::tls::{Speaks, assert_problem, assert_works, connect, trusting};

cases! {
    single: [
        a_client_certificate_is_sent_where_it_is_required,
        no_client_certificate_where_one_is_required,
        a_client_certificate_of_another_authority,
        clients_of_python_websockets needs [WEBSOCKETS],
        clients_of_python_aiohttp needs [AIOHTTP],
        clients_of_node_ws needs [WS],
        clients_of_nginx needs [NGINX, WEBSOCKETS],
    ],
}

async fn a_client_certificate_is_sent_where_it_is_required<A: Adapter>() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let identity = clients.issue(Leaf::client("feed-reader"));
    let (chain, key) = (identity.chain_pem, identity.key_pem);
    let directory = TempDir::new().unwrap();
    let one_file = directory.path().join("client.pem");
    std::fs::write(&one_file, format!("{key}{chain}")).unwrap();
    for versions in [&[&TLS12], &[&TLS13]] {
        let leaf = authority.issue(Leaf::localhost());
        let server = Speaks { clients: Some(&clients), versions, ..Speaks::with(leaf) }.serve();
        let options = trusting(&authority).client_certificate_pem(chain.clone(), key.clone());
        assert_works::<A>(&server, options).await;
        let options = trusting(&authority).client_certificate_files(&one_file, &one_file);
        assert_works::<A>(&server, options).await;
    }
}

async fn no_client_certificate_where_one_is_required<A: Adapter>() {
    let (authority, clients) = (Authority::new(), Authority::new());
    for versions in [&[&TLS12], &[&TLS13]] {
        let leaf = authority.issue(Leaf::localhost());
        let server = Speaks { clients: Some(&clients), versions, ..Speaks::with(leaf) }.serve();
        let result = connect::<A>(&server.secure_url("localhost"), trusting(&authority)).await;
        assert_problem(result, TlsProblem::ClientCertificate, &["client_certificate_files"]);
    }
}

async fn a_client_certificate_of_another_authority<A: Adapter>() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let unknown = Authority::new().issue(Leaf::client("feed-reader"));
    for versions in [&[&TLS12], &[&TLS13]] {
        let leaf = authority.issue(Leaf::localhost());
        let server = Speaks { clients: Some(&clients), versions, ..Speaks::with(leaf) }.serve();
        let (chain, key) = (unknown.chain_pem.clone(), unknown.key_pem.clone());
        let options = trusting(&authority).client_certificate_pem(chain, key);
        let result = connect::<A>(&server.secure_url("localhost"), options).await;
        assert_problem(result, TlsProblem::ClientCertificate, &["client_certificate_files"]);
    }
}

/// A server with another TLS library: with the certificate it requires, and without. The failure without.
async fn without_client_certificate<A: Adapter>(start: impl FnOnce(&ServerTls) -> Peer) -> Failure {
    let (authority, clients) = (Authority::new(), Authority::new());
    let tls = ServerTls::new(authority.issue(Leaf::localhost())).require_clients_of(&clients);
    let server = start(&tls);
    let url = server.url_by_name("localhost", "/feed?count=1");
    let identity = clients.issue(Leaf::client("feed-reader"));
    let options = trusting(&authority).client_certificate_pem(identity.chain_pem, identity.key_pem);
    let mut client = connect::<A>(&url, options).await.unwrap();
    assert_eq!(within(client.next()).await, Some(Ok(Frame::from(r#"{"n":0}"#))));
    connect::<A>(&url, trusting(&authority)).await.unwrap_err()
}

/// With TLS 1.3 the alert comes in place of the answer to the upgrade, unless a reset overtakes it.
fn assert_told_or_reset(failure: &Failure) {
    assert!(["tls_client_certificate", "io"].contains(&failure.kind()), "{failure}");
}

async fn clients_of_python_websockets<A: Adapter>() {
    let start = |tls: &_| WebSocketServer::Websockets.start_tls(tls).unwrap();
    assert_told_or_reset(&without_client_certificate::<A>(start).await);
}

async fn clients_of_python_aiohttp<A: Adapter>() {
    let start = |tls: &_| WebSocketServer::Aiohttp.start_tls(tls).unwrap();
    assert_told_or_reset(&without_client_certificate::<A>(start).await);
}

async fn clients_of_node_ws<A: Adapter>() {
    let start = |tls: &_| WebSocketServer::Ws.start_tls(tls).unwrap();
    assert_told_or_reset(&without_client_certificate::<A>(start).await);
}

/// It lets TLS pass, and refuses the request.
async fn clients_of_nginx<A: Adapter>() {
    let behind = WebSocketServer::Websockets.start().unwrap();
    let start = |tls: &_| nginx_in_front_of(&behind, tls).unwrap();
    let failure = without_client_certificate::<A>(start).await;
    assert_eq!(without_words(failure), Failure::rejected(400, None));
}
