//! What a server's side of TLS may do instead of shaking hands, and what is made of it (R6).

use std::net::Ipv4Addr;
use std::sync::Arc;

use tidegate::rustls::pki_types::PrivateKeyDer;
use tidegate::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tidegate::rustls::version::{TLS12, TLS13};
use tidegate::rustls::{ServerConfig, SupportedProtocolVersion};
use tidegate::{ConnectRequest, TlsProblem};
use tidegate_tests::pki::{Authority, Leaf};
use tidegate_tests::prelude::*;
use tidegate_tests::server::Server;
use tidegate_tests::{Connector, TlsOptions};

use super::tls::{assert_problem, connect, provider, trusting};

cases! {
    single: [
        the_certificates_key_must_be_the_servers,
        a_reset_in_the_midst_of_the_handshake,
        alerts_are_told_apart,
        a_host_that_no_certificate_can_be_for,
    ],
}

/// Shows a certificate that `authority` issued, and holds another key.
fn impostor(authority: &Authority, version: &'static SupportedProtocolVersion) -> Server {
    let shown = authority.issue(Leaf::localhost());
    let held = PrivateKeyDer::try_from(authority.issue(Leaf::localhost()).key_der).unwrap();
    let held = provider().key_provider.load_private_key(held).unwrap();
    let pair = SingleCertAndKey::from(CertifiedKey::new(vec![shown.der.into()], held));
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(pair));
    let config = Arc::new(config);
    Server::start(move |_, peer| {
        peer.secure(&config)?;
        peer.listen()
    })
}

/// Whatever certificate is taken: anybody can show one.
async fn the_certificates_key_must_be_the_servers<A: Adapter>() {
    let authority = Authority::new();
    for version in [&TLS12, &TLS13] {
        let server = impostor(&authority, version);
        for options in [trusting(&authority), TlsOptions::default().dangerously_accept_any_certificate()] {
            let result = connect::<A>(&server.secure_url("localhost"), options).await;
            assert_problem(result, TlsProblem::BadSignature, &["does not match its certificate"]);
        }
    }
}

async fn a_reset_in_the_midst_of_the_handshake<A: Adapter>() {
    let server = Server::start(|_, peer| {
        peer.bytes(5)?;
        peer.reset()
    });
    let result = connect::<A>(&server.secure_url("localhost"), TlsOptions::default()).await;
    assert_problem(result, TlsProblem::Protocol, &["during the handshake", "reset"]);
}

/// RFC 8446 §6.2.
async fn alerts_are_told_apart<A: Adapter>() {
    let table: [(u8, TlsProblem, &[&str]); 6] = [
        (40, TlsProblem::NoCommonProtocol, &["cipher suites", "client certificate"]),
        (70, TlsProblem::NoCommonProtocol, &["TLS 1.2 and 1.3"]),
        (42, TlsProblem::ClientCertificate, &["client_certificate_files"]),
        (116, TlsProblem::ClientCertificate, &["client_certificate_files"]),
        // An internal error of the server's.
        (80, TlsProblem::Protocol, &["an internal error", "TLS alert 80"]),
        (112, TlsProblem::NoCommonProtocol, &["no certificate for this host"]),
    ];
    for (alert, problem, words) in table {
        let server = Server::start(move |_, peer| {
            peer.bytes(5)?;
            peer.raw(&[21, 3, 3, 0, 2, 2, alert])?;
            peer.drain()
        });
        let result = connect::<A>(&server.secure_url("localhost"), TlsOptions::default()).await;
        assert_problem(result, problem, words);
    }
}

async fn a_host_that_no_certificate_can_be_for<A: Adapter>() {
    let server = Server::start(|_, peer| peer.listen());
    let host = "a..test";
    let connector = Connector::default().resolve(host, [Ipv4Addr::LOCALHOST.into()]);
    let request = ConnectRequest::new(server.secure_url(host)).unwrap();
    let result = within(A::connect_once(request, connector, WAIT)).await;
    assert_problem(result, TlsProblem::Misconfigured, &["neither a DNS name nor an IP address"]);
}
