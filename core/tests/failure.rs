//! What failures, faults and stop reasons say of themselves: in words, by name, and whether they are fatal (R6).

mod common;

use std::time::Duration;

use common::{broken, refused};
use tidegate_core::{
    BootstrapFailure, Class, Classification, CloseFrame, ConnectFailure, ConnectionFailure, Failure, Fault,
    Headers, LocalFailure, ProxyProblem, Refusal, Severity, StopReason, TlsProblem,
};

#[test]
fn r6_each_problem_of_tls_has_a_name_and_is_fatal_or_not() {
    let table = [
        (TlsProblem::UnknownIssuer, "tls_unknown_issuer", FATAL),
        (TlsProblem::WrongHost, "tls_wrong_host", FATAL),
        (TlsProblem::Expired, "tls_expired", RETRIED),
        (TlsProblem::Revoked, "tls_revoked", RETRIED),
        (TlsProblem::BadSignature, "tls_bad_signature", FATAL),
        (TlsProblem::BadCertificate, "tls_bad_certificate", FATAL),
        (TlsProblem::ClientCertificate, "tls_client_certificate", FATAL),
        (TlsProblem::NoRoots, "tls_no_roots", FATAL),
        (TlsProblem::Misconfigured, "tls_misconfigured", FATAL),
        (TlsProblem::PlainServer, "tls_plain_server", FATAL),
        (TlsProblem::NoCommonProtocol, "tls_no_common_protocol", RETRIED),
        (TlsProblem::Protocol, "tls_protocol", RETRIED),
        (TlsProblem::Other, "tls", RETRIED),
    ];
    assert_eq!(table.map(|(problem, ..)| problem), TlsProblem::ALL);
    for (problem, kind, fatal) in table {
        assert_eq!(problem.kind(), kind);
        says(ConnectFailure::Tls { problem, detail: "x".to_owned() }, kind, fatal, "TLS failed: x");
    }
}

const FATAL: bool = true;
const RETRIED: bool = false;

#[track_caller]
fn says(failure: impl Into<Failure>, kind: &str, fatal: bool, words: &str) {
    let failure = failure.into();
    assert_eq!((failure.kind(), failure.to_string().as_str()), (kind, words));
    assert_eq!(failure.is_fatal(), fatal, "{failure}");
    let class = if fatal { Class::Fatal } else { Class::Retry };
    assert_eq!(Classification::Standard.classify(&failure), class, "{failure}");
}

#[test]
fn r6_failures_to_connect_say_what_happened() {
    let (x, line) = (|| "x".to_owned(), || "x\n".to_owned());
    for (severity, fatal) in [(Severity::Retryable, RETRIED), (Severity::Fatal, FATAL)] {
        let resolve = ConnectFailure::Resolve { detail: line(), severity };
        says(resolve, "resolve", fatal, "the resolver of URL and headers failed: x\\n");
    }
    says(ConnectFailure::Request { detail: x() }, "request", FATAL, "the request cannot be sent: x");
    let custom = ConnectFailure::Custom { detail: line() };
    says(custom, "custom", RETRIED, "the application could not connect: x\\n");
    says(
        ConnectFailure::Lookup { detail: x() },
        "lookup",
        RETRIED,
        "the host's name could not be looked up: x",
    );
    says(refused(), "tcp", RETRIED, "no TCP connection: connection refused");
    let proxies = [
        (ProxyProblem::Misconfigured, "proxy_misconfigured", FATAL),
        (ProxyProblem::Unreachable, "proxy_unreachable", RETRIED),
        (ProxyProblem::Credentials, "proxy_credentials", FATAL),
        (ProxyProblem::Forbidden, "proxy_forbidden", FATAL),
        (ProxyProblem::Failed, "proxy", RETRIED),
    ];
    assert_eq!(proxies.map(|(problem, ..)| problem), ProxyProblem::ALL);
    for (problem, kind, fatal) in proxies {
        says(
            ConnectFailure::Proxy { problem, detail: x() },
            kind,
            fatal,
            "could not connect through the proxy: x",
        );
    }
    let after = Some(Duration::from_secs(3));
    let refusal = "the server refused the upgrade with HTTP";
    says(Failure::rejected(503, None), "rejected", RETRIED, &format!("{refusal} 503"));
    says(Failure::rejected(503, after), "rejected", RETRIED, &format!("{refusal} 503, retry after 3 s"));
    says(Failure::rejected(404, after), "rejected", FATAL, &format!("{refusal} 404"));
    says(
        ConnectFailure::Redirected { to: "wss://b.test/x".to_owned() },
        "redirected",
        FATAL,
        "the server redirected to wss://b.test/x, which is another origin: connect to that URL, or allow redirects to other \
         origins if it may see what the feed sends",
    );
    says(
        ConnectFailure::Upgrade { detail: x() },
        "upgrade",
        RETRIED,
        "the answer to the upgrade is not valid: x",
    );
    says(
        ConnectFailure::Timeout,
        "connect_timeout",
        RETRIED,
        "no connection was made within connect_timeout",
    );
}

#[test]
fn r6_ends_of_a_connection_say_what_happened() {
    let x = || "x".to_owned();
    let close = CloseFrame { code: 4001, reason: "too \x1b many".to_owned() };
    let closed = "the server closed the connection";
    says(ConnectionFailure::Closed(None), "closed", RETRIED, closed);
    says(
        ConnectionFailure::Closed(Some(close)),
        "closed",
        RETRIED,
        &format!("{closed} with code 4001: too \\u{{1b}} many"),
    );
    says(broken(), "io", RETRIED, "the connection broke: connection reset");
    let protocol = |code| ConnectionFailure::Protocol { code, detail: x() };
    says(protocol(1002), "protocol", RETRIED, "the server broke the protocol: x");
    says(protocol(1009), "too_long", RETRIED, "the server sent a frame or message that is too long: x");
    says(ConnectionFailure::IdleTimeout, "idle_timeout", RETRIED, "nothing arrived within idle_timeout");
    says(
        ConnectionFailure::PongTimeout,
        "pong_timeout",
        RETRIED,
        "a ping was not answered within pong_timeout",
    );
    says(ConnectionFailure::Stale, "stale", RETRIED, "no item arrived within stale_after");
}

#[test]
fn r6_failures_of_the_handler_and_the_consumer_say_what_happened() {
    let faults = [(Fault::retryable("no ticket\n"), RETRIED), (Fault::fatal("no ticket\n"), FATAL)];
    for (fault, fatal) in faults {
        let bootstrap = BootstrapFailure::Fault(fault.clone());
        says(bootstrap, "bootstrap_fault", fatal, "the handler ended the bootstrap: no ticket\\n");
        says(LocalFailure::Fault(fault), "fault", fatal, "the handler returned a fault: no ticket\\n");
    }
    says(
        BootstrapFailure::Lost(Box::new(broken())),
        "bootstrap_lost",
        RETRIED,
        "the bootstrap frames could not be sent: the connection broke: connection reset",
    );
    says(
        BootstrapFailure::Timeout,
        "bootstrap_timeout",
        RETRIED,
        "the connection did not become live within bootstrap_timeout",
    );
    says(LocalFailure::Reconnect, "reconnect", RETRIED, "the handler asked for a new connection");
    says(LocalFailure::Overflow, "overflow", RETRIED, "the consumer was too slow");
}

/// What the server said is shown after the status, escaped and bounded; programs see more of it.
#[test]
fn t3_the_headers_of_a_refusal_are_for_programs_and_bounded() {
    let value = b"hunter2\xff".as_slice();
    let cookies = [("set-cookie", value), ("set-cookie", b"b")];
    let headers = Headers::from_iter(cookies);
    assert_eq!(headers.iter().collect::<Vec<_>>(), cookies);
    assert_eq!((headers.get("Set-Cookie"), headers.get("cookie")), (Some(value), None));
    let refusal = Refusal::default().with_headers(headers);
    let failure = ConnectFailure::Rejected { status: 401, retry_after: None, refusal: Box::new(refusal) };
    let shown = format!("{failure} {failure:?}");
    assert!(shown.contains("set-cookie"), "{shown}");
    let [text, bytes] = ["hunter2".to_owned(), format!("{value:?}")];
    assert!(!shown.contains(&text) && !shown.contains(&bytes), "{shown}");
    // What does not fit is left out as a whole.
    let left = Headers::MAX_LEN - 2 * "set-cookie".len() - value.len() - 1;
    let count = |len| {
        let long = vec![b'x'; len];
        Headers::from_iter(cookies.into_iter().chain([("a", long.as_slice())])).iter().count()
    };
    assert_eq!((count(left - 1), count(left)), (3, 2));
}

#[test]
fn t3_a_refusal_shows_what_the_server_said() {
    let rejected = |refusal: Refusal| {
        let retry_after = Some(Duration::from_secs(7));
        Failure::Connect(ConnectFailure::Rejected { status: 429, retry_after, refusal: Box::new(refusal) })
            .to_string()
    };
    let reason = || Refusal::default().with_reason("Too\u{9b} Many");
    let start = "the server refused the upgrade with HTTP 429 Too\\u{9b} Many, retry after 7 s";
    assert_eq!(rejected(reason()), start);
    assert_eq!(rejected(reason().with_body(" {\"code\":\n1}\r\n")), format!("{start}: {{\"code\":\\n1}}"));
    let led = reason().with_body("no").with_redirect("ws://b.test/x");
    assert_eq!(rejected(led.clone()), format!("{start} (redirected to ws://b.test/x): no"));
    assert_eq!(led.redirected_to().map(|url| url.to_string()).as_deref(), Some("ws://b.test/x"));

    let long = reason().with_body(&"é".repeat(Refusal::MAX_LEN));
    assert_eq!(long.body().as_raw(), "é".repeat(Refusal::MAX_LEN / 2));
    assert_eq!(rejected(long), format!("{start}: {}…", "é".repeat(200)));
    let odd = Refusal::default().with_body(&format!("x{}", "é".repeat(Refusal::MAX_LEN)));
    assert_eq!(odd.body().as_raw().len(), Refusal::MAX_LEN - 1, "no half of a character");
}

#[test]
fn detail_is_there_to_add_to() {
    for mut failure in [Failure::io("x"), ConnectFailure::Upgrade { detail: "x".to_owned() }.into()] {
        failure.detail_mut().unwrap().push('y');
        assert!(failure.to_string().ends_with(": xy"), "{failure}");
    }
    for mut failure in
        [Failure::rejected(503, None), ConnectionFailure::Stale.into(), LocalFailure::Overflow.into()]
    {
        assert_eq!(failure.detail_mut(), None);
    }
}

#[test]
fn t2_a_failure_is_a_timeout_if_a_liveness_clock_ran_out() {
    for failure in [
        Failure::Connection(ConnectionFailure::IdleTimeout),
        Failure::Connection(ConnectionFailure::PongTimeout),
        Failure::Connection(ConnectionFailure::Stale),
    ] {
        assert!(failure.is_timeout(), "{failure}");
    }
    for failure in
        [Failure::Connect(ConnectFailure::Timeout), Failure::Bootstrap(BootstrapFailure::Timeout), broken()]
    {
        assert!(!failure.is_timeout(), "{failure}");
    }
}

#[test]
fn h3_a_fault_keeps_what_the_handler_said() {
    for (fault, severity) in
        [(Fault::retryable("later"), Severity::Retryable), (Fault::fatal("later"), Severity::Fatal)]
    {
        assert_eq!((fault.message(), fault.severity()), ("later", severity));
        assert_eq!(fault.to_string(), "later");
    }
    let parsed = || "x".parse::<u8>();
    let words = "invalid digit found in string";
    assert_eq!(parsed().map_err(Fault::retryable), Err(Fault::retryable(words)));
    assert_eq!(parsed().map_err(Fault::fatal).unwrap_err().message(), words);
}

#[test]
fn s3_a_stop_reason_names_itself_and_what_led_to_it() {
    let table = [
        (StopReason::Shutdown, "shutdown", None, "the feed was shut down"),
        (
            StopReason::RetriesExhausted { last: broken() },
            "retries_exhausted",
            Some(broken()),
            "no retries left; last failure: the connection broke: connection reset",
        ),
        (
            StopReason::Fatal { failure: refused() },
            "fatal",
            Some(refused()),
            "stopped without a retry: no TCP connection: connection refused",
        ),
        (
            StopReason::HandlerPanicked,
            "handler_panicked",
            None,
            "the handler, or another function of the application, panicked",
        ),
        (StopReason::RuntimeStopped, "runtime_stopped", None, "the runtime dropped the feed's task"),
    ];
    for (reason, kind, failure, words) in table {
        assert_eq!((reason.kind(), reason.failure()), (kind, failure.as_ref()));
        assert_eq!(reason.to_string(), words);
    }
}
