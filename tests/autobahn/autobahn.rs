//! All cases of the testsuite that are about a client.

use tidegate_tests::autobahn::{Expectations, Security, Wstest, find_wstest, run_all_cases};
use tidegate_tests::needs::WSTEST;
use tidegate_tests::prelude::*;
use tidegate_tests::{Connector, TlsOptions};

/// How many there are: a suite that runs fewer proves less.
const CASES: usize = 517;

cases! {
    plain: [ws needs [WSTEST], wss needs [WSTEST]],
}

fn ws<A: Adapter>() {
    no_case_is_worse_than_expected::<A>(Security::Plain, "ws");
}

fn wss<A: Adapter>() {
    no_case_is_worse_than_expected::<A>(Security::Tls, "wss");
}

fn no_case_is_worse_than_expected<A: Adapter>(security: Security, scheme: &str) {
    let program = find_wstest().expect("it was found before");
    let server = Wstest::start(&program, security).unwrap_or_else(|error| panic!("{error}"));
    let tls = server.ca_pem().map_or_else(TlsOptions::default, |pem| TlsOptions::default().ca_pem(pem));
    let connector = Connector::default().tls(tls).expect("its own certificate");
    let agent = format!("{}-{scheme}", A::NAME);
    let run = Box::pin(run_all_cases::<A>(&connector, &server, &agent));
    A::world().run(run).unwrap_or_else(|problem| panic!("{problem}"));
    let report = server.report(&agent).unwrap_or_else(|error| panic!("{error}"));
    println!("{agent}: autobahntestsuite {}, {}", server.version(), report.summary());
    let worse = Expectations::parse(include_str!("expected.txt")).worse(server.cases(), &report);
    assert!(worse.is_empty(), "{}", worse.join("\n"));
    assert_eq!(server.cases().len(), CASES);
}
