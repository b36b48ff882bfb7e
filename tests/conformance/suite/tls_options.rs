//! What can be set of TLS, and how mistakes in it are told.

use tempfile::TempDir;
use tidegate::rustls::version::{TLS12, TLS13};
use tidegate::{ConnectRequest, TlsError, TlsProblem};
use tidegate_tests::pki::{Authority, Leaf};
use tidegate_tests::prelude::*;
use tidegate_tests::{Connector, TlsOptions};

use super::tls::{Speaks, assert_problem, assert_works, connect, good, ready, trusting};

cases! {
    single: [
        an_authority_from_a_file_is_trusted,
        each_of_several_authorities_is_trusted,
        by_default_only_the_platform_is_trusted,
        any_certificate_is_taken_where_that_was_asked_for,
        a_ready_configuration_is_used_as_it_is,
        mistakes_show_when_the_options_are_set_and_name_their_source,
        keys_do_not_show_in_debug_output,
    ],
}

async fn an_authority_from_a_file_is_trusted<A: Adapter>() {
    let authority = Authority::new();
    let directory = TempDir::new().unwrap();
    let options = TlsOptions::default().ca_file(authority.write_to(directory.path()));
    let server = good(&authority);
    let connector = Connector::default().tls(options).unwrap();
    // It is read once, when the option is set.
    drop(directory);
    for connector in [connector.clone(), connector] {
        let request = ConnectRequest::new(server.secure_url("localhost").as_str()).unwrap();
        drop(within(A::connect_once(request, connector, WAIT)).await.unwrap());
    }
}

async fn each_of_several_authorities_is_trusted<A: Adapter>() {
    let (first, second) = (Authority::new(), Authority::new());
    let both = format!("{}\n{}", first.pem(), second.pem());
    let options = trusting(&Authority::new()).ca_pem(both);
    assert_works::<A>(&good(&first), options.clone()).await;
    assert_works::<A>(&good(&second), options).await;
}

async fn by_default_only_the_platform_is_trusted<A: Adapter>() {
    let server = good(&Authority::new());
    let result = connect::<A>(&server.secure_url("localhost"), TlsOptions::default()).await;
    assert_problem(result, TlsProblem::UnknownIssuer, &[]);
}

async fn any_certificate_is_taken_where_that_was_asked_for<A: Adapter>() {
    let options = TlsOptions::default().dangerously_accept_any_certificate();
    for leaf in [Leaf::server(["other.test"]), Leaf::localhost().expired()] {
        let identity = Authority::new().issue(leaf);
        for version in [&TLS12, &TLS13] {
            let speaks = Speaks { versions: &[version], ..Speaks::with(identity.clone()) };
            assert_works::<A>(&speaks.serve(), options.clone()).await;
        }
    }
}

async fn a_ready_configuration_is_used_as_it_is<A: Adapter>() {
    let authority = Authority::new();
    assert_works::<A>(&good(&authority), ready(&authority, &[&TLS12])).await;
    assert_works::<A>(&good(&authority), ready(&authority, &[&TLS13])).await;
}

async fn mistakes_show_when_the_options_are_set_and_name_their_source<A: Adapter>() {
    let authority = Authority::new();
    let (identity, other) =
        (authority.issue(Leaf::client("feed-reader")), authority.issue(Leaf::localhost()));
    let (chain, key) = (identity.chain_pem, identity.key_pem);
    let directory = TempDir::new().unwrap();
    let file = |name: &str, content: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let no_pem = file("no.pem", "this is not PEM");
    let cut = file("cut.pem", &authority.pem()[..100]);
    let options = TlsOptions::default;
    let not_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let no_key = options().client_certificate_pem(chain.clone(), chain.clone());
    let both = ready(&authority, &[&TLS13]).ca_file(&no_pem);

    let table: [(TlsOptions, &str, &str); 9] = [
        (options().ca_file("/nowhere/ca.pem"), "/nowhere/ca.pem cannot be read", "check the path"),
        (options().ca_file(&no_pem), "no.pem holds no certificate", "BEGIN CERTIFICATE"),
        (options().ca_file(&cut), "cut.pem is not valid PEM: a block has no END line", ""),
        (options().ca_pem(key), "ca_pem holds no certificate", ""),
        (options().ca_pem(not_der), "ca_pem holds a certificate that cannot be an authority", ""),
        (options().client_certificate_files(&no_pem, "/nowhere"), "no.pem holds no certificate", ""),
        (no_key, "client_certificate_pem holds no", "key"),
        (
            options().client_certificate_pem(chain, other.key_pem),
            "client_certificate_pem and its key cannot be used",
            "does not belong",
        ),
        (both, "client_config excludes", ""),
    ];
    for (options, start, hint) in table {
        let error: TlsError = Connector::default().tls(options.clone()).err().unwrap();
        let text = error.to_string();
        assert!(text.contains(start) && text.contains(hint), "{text}");
        // A feed's builder says the same.
        let error = A::feed("wss://localhost/").tls(options).inline().err().unwrap();
        assert!(error.to_string().contains(&text), "{error}");
    }
}

async fn keys_do_not_show_in_debug_output<A: Adapter>() {
    let options = TlsOptions::default().client_certificate_pem("hunter2", "hunter2").ca_pem("hunter2");
    let error = A::feed("wss://localhost/").tls(options.clone()).inline().err().unwrap();
    assert!(!format!("{} {error}", shown(&(options, &error))).contains("hunter2"));
}
