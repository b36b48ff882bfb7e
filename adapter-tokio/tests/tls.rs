//! `wss`: whom to trust, who to be, and how mistakes are told.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use std::path::PathBuf;
use std::sync::Arc;

use common::{CLOSE, TEXT, connect_with, frame, upgrade, within};
use futures_util::StreamExt;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tidegate_tokio::core::{Failure, Frame};
use tidegate_tokio::rustls::crypto::{CryptoProvider, ring};
use tidegate_tokio::rustls::pki_types::PrivateKeyDer;
use tidegate_tokio::rustls::server::WebPkiClientVerifier;
use tidegate_tokio::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tidegate_tokio::{Connector, TlsError, TlsOptions, Transport};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A certificate authority of our own.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        roots
    }

    /// A certificate for `name`, and its key.
    fn issue(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.0).unwrap(), key)
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// A server with a certificate for `name`, which asks for the clients' if there is an authority for those.
fn acceptor(authority: &Authority, name: &str, clients: Option<&Authority>) -> TlsAcceptor {
    let (certificate, key) = authority.issue(name);
    let builder =
        ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        Some(clients) => {
            let roots = Arc::new(clients.roots());
            builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(roots, provider()).build().unwrap(),
            )
        }
        None => builder.with_no_client_auth(),
    };
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let mut config = builder.with_single_cert(vec![certificate.der().clone()], key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

/// Both ends, if the client got that far; the server reads on until the client has gone otherwise.
async fn attempt(
    acceptor: TlsAcceptor,
    connector: &Connector,
) -> Result<(Transport, TlsStream<TcpStream>), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://localhost:{}/feed", listener.local_addr().unwrap().port());
    let server = tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        let mut stream = acceptor.accept(tcp).await.ok()?;
        upgrade(&mut stream).await;
        Some(stream)
    });
    let client = within(connect_with(&url, connector)).await?;
    Ok((client, within(server).await.unwrap().unwrap()))
}

fn connector(options: TlsOptions) -> Connector {
    Connector::default().tls(options).unwrap()
}

fn file(name: &str, content: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, content).unwrap();
    path
}

/// The certificate of the server is taken, and frames come through.
async fn assert_works(acceptor: TlsAcceptor, connector: &Connector) {
    let (mut client, mut server) = attempt(acceptor, connector).await.unwrap();
    assert_eq!(server.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    server.write_all(&frame(TEXT, b"hello")).await.unwrap();
    server.flush().await.unwrap();
    assert_eq!(within(client.next()).await, Some(Ok(Frame::Text("hello".into()))));
}

#[tokio::test]
async fn an_authority_from_a_file_is_trusted() {
    let authority = Authority::new();
    let path = file("good-ca.pem", &authority.pem());
    let connector = connector(TlsOptions::default().ca_file(path));
    assert_works(acceptor(&authority, "localhost", None), &connector).await;
    assert_works(acceptor(&authority, "localhost", None), &connector.clone()).await;
}

#[tokio::test]
async fn each_of_several_authorities_is_trusted() {
    let (first, second) = (Authority::new(), Authority::new());
    let both = format!("{}\n{}", first.pem(), second.pem());
    let connector = connector(TlsOptions::default().ca_pem(Authority::new().pem()).ca_pem(both));
    assert_works(acceptor(&first, "localhost", None), &connector).await;
    assert_works(acceptor(&second, "localhost", None), &connector).await;
}

#[tokio::test]
async fn an_unknown_authority_is_refused() {
    let connector = connector(TlsOptions::default().ca_pem(Authority::new().pem()));
    let failure = attempt(acceptor(&Authority::new(), "localhost", None), &connector).await.unwrap_err();
    assert_eq!(failure.kind(), "tls");
    assert!(failure.to_string().contains("invalid peer certificate"), "{failure}");
}

#[tokio::test]
async fn by_default_only_the_platform_is_trusted() {
    let acceptor = acceptor(&Authority::new(), "localhost", None);
    assert_eq!(attempt(acceptor, &Connector::default()).await.unwrap_err().kind(), "tls");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let authority = Authority::new();
    let connector = connector(TlsOptions::default().ca_pem(authority.pem()));
    let failure = attempt(acceptor(&authority, "other.test", None), &connector).await.unwrap_err();
    assert_eq!(failure.kind(), "tls");
    assert!(failure.to_string().contains("other.test"), "{failure}");
}

#[tokio::test]
async fn any_certificate_is_taken_where_that_was_asked_for() {
    let connector = connector(TlsOptions::default().dangerously_accept_any_certificate());
    assert_works(acceptor(&Authority::new(), "other.test", None), &connector).await;
}

#[tokio::test]
async fn a_client_certificate_is_sent_where_it_is_required() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let (certificate, key) = clients.issue("feed-reader");
    let (chain, key) = (certificate.pem(), key.serialize_pem());
    let options = || TlsOptions::default().ca_pem(authority.pem());

    let from_memory = connector(options().client_certificate_pem(chain.clone(), key.clone()));
    assert_works(acceptor(&authority, "localhost", Some(&clients)), &from_memory).await;

    let one_file = file("client.pem", &format!("{key}{chain}"));
    let from_files = connector(options().client_certificate_files(&one_file, &one_file));
    assert_works(acceptor(&authority, "localhost", Some(&clients)), &from_files).await;
}

#[tokio::test]
async fn no_client_certificate_where_one_is_required() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let connector = connector(TlsOptions::default().ca_pem(authority.pem()));
    let failure = attempt(acceptor(&authority, "localhost", Some(&clients)), &connector).await.unwrap_err();
    // TLS 1.3 tells a client too late for its handshake: the alert comes in place of the answer to the upgrade, unless a
    // reset overtakes it.
    assert!(["tls", "io"].contains(&failure.kind()), "{failure}");
}

#[tokio::test]
async fn a_ready_configuration_is_used_as_it_is() {
    let authority = Authority::new();
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(authority.roots())
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let connector = connector(TlsOptions::default().client_config(Arc::new(config)));
    assert_works(acceptor(&authority, "localhost", None), &connector).await;
}

#[tokio::test]
async fn tcp_cut_off_below_tls() {
    let authority = Authority::new();
    let connector = connector(TlsOptions::default().ca_pem(authority.pem()));
    let broken_off = "the peer closed the connection without a closing handshake".to_owned();

    let (mut client, server) = attempt(acceptor(&authority, "localhost", None), &connector).await.unwrap();
    drop(server);
    assert_eq!(within(client.next()).await, Some(Err(Failure::Io { detail: broken_off })));
    assert_eq!(within(client.next()).await, None);

    // After Close it is only the end.
    let (mut client, mut server) =
        attempt(acceptor(&authority, "localhost", None), &connector).await.unwrap();
    server.write_all(&frame(CLOSE, b"")).await.unwrap();
    server.flush().await.unwrap();
    drop(server);
    assert_eq!(within(client.next()).await, Some(Ok(Frame::Close(None))));
    assert_eq!(within(client.next()).await, None);
}

#[tokio::test]
async fn a_server_without_tls() {
    let (listener, url) = common::listen().await;
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        stream
    };
    let url = url.replace("ws:", "wss:");
    let connector = connector(TlsOptions::default().dangerously_accept_any_certificate());
    let (client, _server) = within(async { tokio::join!(connect_with(&url, &connector), server) }).await;
    assert_eq!(client.unwrap_err().kind(), "tls");
}

#[test]
fn mistakes_show_when_the_options_are_set_and_name_their_source() {
    let authority = Authority::new();
    let (certificate, key) = authority.issue("feed-reader");
    let (chain, key) = (certificate.pem(), key.serialize_pem());
    let other_key = KeyPair::generate().unwrap().serialize_pem();
    let no_pem = file("no.pem", "this is not PEM");
    let cut = file("cut.pem", &authority.pem()[..100]);
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(authority.roots())
        .with_no_client_auth();
    let options = TlsOptions::default;
    let not_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

    let table: [(TlsOptions, &str, &str); 9] = [
        (options().ca_file("/nowhere/ca.pem"), "/nowhere/ca.pem cannot be read", "check the path"),
        (options().ca_file(&no_pem), "no.pem holds no certificate", "BEGIN CERTIFICATE"),
        (options().ca_file(&cut), "cut.pem is not valid PEM", ""),
        (options().ca_pem(key.clone()), "ca_pem holds no certificate", ""),
        (options().ca_pem(not_der), "ca_pem holds a certificate that cannot be an authority", ""),
        (options().client_certificate_files(&no_pem, "/nowhere"), "no.pem holds no certificate", ""),
        (
            options().client_certificate_pem(chain.clone(), chain.clone()),
            "client_certificate_pem holds no",
            "key",
        ),
        (options().client_certificate_pem(chain, other_key), "the private key does not go with", ""),
        (options().client_config(Arc::new(config)).ca_file(&no_pem), "client_config excludes", ""),
    ];
    for (options, start, hint) in table {
        let error: TlsError = Connector::default().tls(options).err().unwrap();
        let text = error.to_string();
        assert!(text.contains(start) && text.contains(hint), "{text}");
    }
}

#[test]
fn keys_do_not_show_in_debug_output() {
    let options = TlsOptions::default().client_certificate_pem("hunter2", "hunter2").ca_pem("hunter2");
    assert!(!format!("{options:?}").contains("hunter2"));
}
