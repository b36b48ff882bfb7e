//! `wss`: what is checked, and what is told of what does not pass (R6).

use std::io;
use std::net::Ipv6Addr;
use std::sync::Arc;

use futures_util::StreamExt;
use rcgen::{KeyPair, PKCS_ED25519};
use tidegate::rustls::crypto::{CryptoProvider, ring};
use tidegate::rustls::pki_types::PrivateKeyDer;
use tidegate::rustls::server::WebPkiClientVerifier;
use tidegate::rustls::version::{TLS12, TLS13};
use tidegate::rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use tidegate::{ConnectFailure, ConnectRequest, ConnectionFailure, Failure, Frame, TlsProblem};
use tidegate_tests::needs::IPV6;
use tidegate_tests::pki::{Authority, Identity, Leaf};
use tidegate_tests::prelude::*;
use tidegate_tests::server::{self, Server};
use tidegate_tests::{Connector, TlsOptions};

use super::proxy_environment::{child, outcome};

cases! {
    both: [
        a_feed_reconnects_over_tls,
    ],
    single: [
        an_unknown_authority,
        a_certificate_for_another_host,
        a_certificate_that_is_not_valid_now,
        certificates_that_no_server_can_use,
        an_authority_with_another_key,
        no_authorities_on_this_machine,
        an_ipv6_address_in_the_certificate needs [IPV6],
        no_common_application_protocol,
        no_common_version,
        a_server_without_tls,
        a_server_that_hangs_up,
        tcp_cut_off_below_tls,
    ],
}

/// What is spoken unless somebody says otherwise.
const BOTH: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];

pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn roots(authority: &Authority) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().into()).unwrap();
    roots
}

/// How a server of ours speaks TLS.
pub(super) struct Speaks<'a> {
    pub(super) identity: Identity,
    /// It requires certificates of this authority from its clients.
    pub(super) clients: Option<&'a Authority>,
    pub(super) versions: &'a [&'static SupportedProtocolVersion],
    pub(super) protocols: &'a [&'static str],
}

impl Speaks<'_> {
    /// As most servers do, with this certificate.
    pub(super) fn with(identity: Identity) -> Self {
        Self { identity, clients: None, versions: BOTH, protocols: &["h2", "http/1.1"] }
    }

    fn config(self) -> Arc<ServerConfig> {
        let builder =
            ServerConfig::builder_with_provider(provider()).with_protocol_versions(self.versions).unwrap();
        let builder = match self.clients {
            Some(clients) => {
                let roots = Arc::new(roots(clients));
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
            None => builder.with_no_client_auth(),
        };
        let key = PrivateKeyDer::try_from(self.identity.key_der).unwrap();
        let mut config = builder.with_single_cert(vec![self.identity.der.into()], key).unwrap();
        config.alpn_protocols = self.protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }

    /// Says which application protocol was agreed on.
    pub(super) fn serve(self) -> Server {
        let config = self.config();
        Server::start(move |_, peer| talk(&config, peer))
    }
}

fn talk(config: &Arc<ServerConfig>, peer: &mut server::Peer) -> io::Result<()> {
    peer.secure(config)?;
    peer.upgrade()?;
    peer.text(&peer.protocol().unwrap_or_default())?;
    peer.serve()
}

/// With a certificate of this authority for `localhost`.
pub(super) fn good(authority: &Authority) -> Server {
    Speaks::with(authority.issue(Leaf::localhost())).serve()
}

pub(super) fn trusting(authority: &Authority) -> TlsOptions {
    TlsOptions::default().ca_pem(authority.pem())
}

pub(super) async fn connect<A: Adapter>(url: &str, options: TlsOptions) -> Result<A::Transport, Failure> {
    let connector = Connector::default().tls(options).unwrap();
    within(A::connect_once(ConnectRequest::new(url).unwrap(), connector, WAIT)).await
}

/// The server's certificate is taken, and frames come through.
pub(super) async fn assert_works<A: Adapter>(server: &Server, options: TlsOptions) {
    let mut client = connect::<A>(&server.secure_url("localhost"), options).await.unwrap();
    assert_eq!(within(client.next()).await, Some(Ok(Frame::from("http/1.1"))));
}

/// TLS fails for this reason, and these words help.
#[track_caller]
pub(super) fn assert_problem<T>(result: Result<T, Failure>, expected: TlsProblem, words: &[&str]) {
    let failure = result.err().expect("TLS should fail");
    let Failure::Connect(ConnectFailure::Tls { problem, detail }) = &failure else { panic!("{failure}") };
    assert_eq!(*problem, expected, "{failure}");
    for word in words {
        assert!(detail.contains(word), "{word:?} is not in: {detail}");
    }
}

/// C1, T2: as any other.
async fn a_feed_reconnects_over_tls<M: Mode>() {
    let authority = Authority::new();
    let config = Speaks::with(authority.issue(Leaf::localhost())).config();
    let server = Server::start(move |number, peer| {
        if number > 1 {
            return talk(&config, peer);
        }
        peer.secure(&config)?;
        peer.upgrade()?;
        peer.fin()
    });
    let builder = M::feed(&server.secure_url("localhost")).config(quick()).tls(trusting(&authority));
    let mut feed = M::start(builder);
    assert_eq!(take(&mut feed, 4).await, ["live 1", "interrupted 1: io", "live 2", "http/1.1"]);
    feed.handle().shutdown();
    assert_eq!(end(&mut feed).await, None);
    assert_eq!(within(server.saw_close(2)).await, Some(1000));
}

async fn an_unknown_authority<A: Adapter>() {
    let server = good(&Authority::new());
    let result = connect::<A>(&server.secure_url("localhost"), trusting(&Authority::new())).await;
    let words = ["no trusted authority", "if you trust its authority", "ca_file"];
    assert_problem(result, TlsProblem::UnknownIssuer, &words);
}

async fn a_certificate_for_another_host<A: Adapter>() {
    let authority = Authority::new();
    let server = Speaks::with(authority.issue(Leaf::server(["other.test", "localhost"]))).serve();
    assert_works::<A>(&server, trusting(&authority)).await;
    let result = connect::<A>(&server.secure_url("127.0.0.1"), trusting(&authority)).await;
    let words = ["other.test", "connect to a name that the certificate is for"];
    assert_problem(result, TlsProblem::WrongHost, &words);
}

async fn a_certificate_that_is_not_valid_now<A: Adapter>() {
    let authority = Authority::new();
    let table = [
        (Leaf::localhost().expired(), "expired on Sun, 31 Dec 2000 00:00:00 GMT"),
        (Leaf::localhost().not_yet_valid(), "not valid before Wed, 01 Jan 3000 00:00:00 GMT"),
    ];
    for (leaf, when) in table {
        let server = Speaks::with(authority.issue(leaf)).serve();
        let result = connect::<A>(&server.secure_url("localhost"), trusting(&authority)).await;
        assert_problem(result, TlsProblem::Expired, &[when, "renewed", "this machine's clock"]);
    }
}

/// An authority's own, which is what `openssl req -x509` makes; one for clients.
async fn certificates_that_no_server_can_use<A: Adapter>() {
    let authority = Authority::new();
    let table = [
        (authority.identity(), "a CA certificate"),
        (authority.issue(Leaf::client("localhost")), "not for servers"),
    ];
    for (identity, words) in table {
        let server = Speaks::with(identity).serve();
        let result = connect::<A>(&server.secure_url("localhost"), trusting(&authority)).await;
        assert_problem(result, TlsProblem::BadCertificate, &[words, "another certificate"]);
    }
}

/// It was made anew under its old name.
async fn an_authority_with_another_key<A: Adapter>() {
    let authority = Authority::new();
    let server = good(&authority);
    for (key, words) in [
        (KeyPair::generate().unwrap(), "another key"),
        (KeyPair::generate_for(&PKCS_ED25519).unwrap(), "another kind"),
    ] {
        let old = authority.with_key(key);
        let result = connect::<A>(&server.secure_url("localhost"), trusting(&old)).await;
        assert_problem(result, TlsProblem::BadSignature, &[words, "ca_file"]);
    }
}

/// The system's are where the environment says: only a process of its own can be given one.
async fn no_authorities_on_this_machine<A: Adapter>() {
    const URL: &str = "TIDEGATE_TLS_TEST_URL";
    if let Ok(url) = std::env::var(URL) {
        let result = connect::<A>(&url, TlsOptions::default()).await;
        assert_problem(result, TlsProblem::NoRoots, &["ca-certificates", "SSL_CERT_FILE", "ca_file"]);
        let result = connect::<A>(&url, trusting(&Authority::new())).await;
        assert_problem(result, TlsProblem::UnknownIssuer, &[]);
        return;
    }
    let server = good(&Authority::new());
    let mut child = child::<A>("tls::no_authorities_on_this_machine");
    child.env("SSL_CERT_FILE", "/nowhere").env("SSL_CERT_DIR", "/nowhere");
    child.env(URL, server.secure_url("localhost"));
    let (passed, story) = outcome(child);
    assert!(passed, "{story}");
}

async fn an_ipv6_address_in_the_certificate<A: Adapter>() {
    let authority = Authority::new();
    let at_ipv6 = |leaf| {
        let config = Speaks::with(authority.issue(leaf)).config();
        Server::start_at(Ipv6Addr::LOCALHOST.into(), move |_, peer| talk(&config, peer))
    };
    let server = at_ipv6(Leaf::server(["::1"]));
    let mut client = connect::<A>(&server.secure_url("[::1]"), trusting(&authority)).await.unwrap();
    assert_eq!(within(client.next()).await, Some(Ok(Frame::from("http/1.1"))));

    let server = at_ipv6(Leaf::server(["localhost", "127.0.0.1"]));
    let result = connect::<A>(&server.secure_url("[::1]"), trusting(&authority)).await;
    assert_problem(result, TlsProblem::WrongHost, &[]);
}

async fn no_common_application_protocol<A: Adapter>() {
    let authority = Authority::new();
    let speaks = Speaks { protocols: &["h2"], ..Speaks::with(authority.issue(Leaf::localhost())) };
    let server = speaks.serve();
    let result = connect::<A>(&server.secure_url("localhost"), trusting(&authority)).await;
    assert_problem(result, TlsProblem::NoCommonProtocol, &["HTTP/1.1"]);
}

/// A client that speaks `versions` only, and trusts this authority.
pub(super) fn ready(authority: &Authority, versions: &[&'static SupportedProtocolVersion]) -> TlsOptions {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots(authority))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    TlsOptions::default().client_config(Arc::new(config))
}

/// By default both versions are spoken.
async fn no_common_version<A: Adapter>() {
    let authority = Authority::new();
    for (version, other) in [(&TLS12, &TLS13), (&TLS13, &TLS12)] {
        let speaks = Speaks { versions: &[version], ..Speaks::with(authority.issue(Leaf::localhost())) };
        let server = speaks.serve();
        assert_works::<A>(&server, trusting(&authority)).await;
        let result = connect::<A>(&server.secure_url("localhost"), ready(&authority, &[other])).await;
        assert_problem(result, TlsProblem::NoCommonProtocol, &["TLS 1.2 and 1.3"]);
    }
}

/// A web server without TLS.
fn plain() -> Server {
    Server::start(|_, peer| {
        peer.raw(b"HTTP/1.1 400 Bad Request\r\n\r\n")?;
        peer.drain()
    })
}

async fn a_server_without_tls<A: Adapter>() {
    let result = connect::<A>(&plain().secure_url("localhost"), TlsOptions::default()).await;
    assert_problem(result, TlsProblem::PlainServer, &["does not speak TLS", "its URL begins with ws://"]);
}

async fn a_server_that_hangs_up<A: Adapter>() {
    let server = Server::start(|_, peer| peer.drain());
    let result = connect::<A>(&server.secure_url("localhost"), TlsOptions::default()).await;
    assert_problem(result, TlsProblem::Protocol, &["during the handshake", "begins with ws://"]);
}

async fn tcp_cut_off_below_tls<A: Adapter>() {
    let authority = Authority::new();
    let config = Speaks::with(authority.issue(Leaf::localhost())).config();
    let server = Server::start(move |number, peer| {
        peer.secure(&config)?;
        peer.upgrade()?;
        if number == 2 {
            peer.raw(&server::frame(server::CLOSE, b""))?;
        }
        peer.fin()
    });
    let url = server.secure_url("localhost");
    let detail = "the peer closed the connection without a closing handshake".to_owned();
    let mut client = connect::<A>(&url, trusting(&authority)).await.unwrap();
    assert_eq!(within(client.next()).await, Some(Err(Failure::Connection(ConnectionFailure::Io { detail }))));
    assert_eq!(within(client.next()).await, None);

    // After Close it is only the end.
    let mut client = connect::<A>(&url, trusting(&authority)).await.unwrap();
    assert_eq!(within(client.next()).await, Some(Ok(Frame::Close(None))));
    assert_eq!(within(client.next()).await, None);
}
