//! What failures, faults and stop reasons say of themselves, in words and by name.

mod common;

use std::time::Duration;

use common::{broken, refused, rejected};
use tidegate_core::{
    BootstrapFailure, CloseFrame, Failure, Fault, ProxyProblem, Refusal, Severity, StopReason, TlsProblem,
};

#[test]
fn each_problem_of_tls_has_a_name() {
    let table = [
        (TlsProblem::UnknownIssuer, "tls_unknown_issuer"),
        (TlsProblem::WrongHost, "tls_wrong_host"),
        (TlsProblem::Expired, "tls_expired"),
        (TlsProblem::Revoked, "tls_revoked"),
        (TlsProblem::BadSignature, "tls_bad_signature"),
        (TlsProblem::BadCertificate, "tls_bad_certificate"),
        (TlsProblem::ClientCertificate, "tls_client_certificate"),
        (TlsProblem::NoRoots, "tls_no_roots"),
        (TlsProblem::Misconfigured, "tls_misconfigured"),
        (TlsProblem::PlainServer, "tls_plain_server"),
        (TlsProblem::NoCommonProtocol, "tls_no_common_protocol"),
        (TlsProblem::Protocol, "tls_protocol"),
        (TlsProblem::Other, "tls"),
    ];
    for (problem, kind) in table {
        assert_eq!(problem.kind(), kind);
    }
}

#[test]
fn each_failure_has_a_name_and_says_what_happened() {
    let x = || "x".to_owned();
    let tls = |problem| Failure::Tls { problem, detail: x() };
    let proxy = |problem| Failure::Proxy { problem, detail: x() };
    let fault = Fault::retryable("no ticket");
    let lost = BootstrapFailure::Lost(Box::new(broken()));
    let after = Some(Duration::from_secs(3));
    let closed = Failure::Closed(Some(CloseFrame { code: 4001, reason: "too \x1b many".to_owned() }));
    let table = [
        (Failure::Resolve { detail: x() }, "resolve", "the resolver of URL and headers failed: x"),
        (Failure::Request { detail: x() }, "request", "the request cannot be sent: x"),
        (Failure::Connect { detail: x() }, "connect", "the application could not connect: x"),
        (Failure::Lookup { detail: x() }, "lookup", "the host's name could not be looked up: x"),
        (refused(), "tcp", "no TCP connection: connection refused"),
        (proxy(ProxyProblem::Misconfigured), "proxy_misconfigured", "no way through the proxy: x"),
        (proxy(ProxyProblem::Unreachable), "proxy_unreachable", "no way through the proxy: x"),
        (proxy(ProxyProblem::Credentials), "proxy_credentials", "no way through the proxy: x"),
        (proxy(ProxyProblem::Forbidden), "proxy_forbidden", "no way through the proxy: x"),
        (proxy(ProxyProblem::Failed), "proxy", "no way through the proxy: x"),
        (tls(TlsProblem::Expired), "tls_expired", "TLS failed: x"),
        (rejected(503, None), "rejected", "the server refused the upgrade with HTTP 503"),
        (rejected(503, after), "rejected", "the server refused the upgrade with HTTP 503, retry after 3 s"),
        (rejected(404, after), "rejected", "the server refused the upgrade with HTTP 404"),
        (Failure::Upgrade { detail: x() }, "upgrade", "the answer to the upgrade is not valid: x"),
        (Failure::ConnectTimeout, "connect_timeout", "no connection within connect_timeout"),
        (
            Failure::Bootstrap(BootstrapFailure::Fault(fault.clone())),
            "bootstrap_fault",
            "the bootstrap was refused: no ticket",
        ),
        (
            Failure::Bootstrap(lost),
            "bootstrap_lost",
            "the bootstrap frames could not be sent: the connection broke: connection reset",
        ),
        (
            Failure::Bootstrap(BootstrapFailure::Timeout),
            "bootstrap_timeout",
            "the connection did not become live within bootstrap_timeout",
        ),
        (Failure::Closed(None), "closed", "the server closed the connection"),
        (closed, "closed", "the server closed the connection with code 4001: too \\u{1b} many"),
        (broken(), "io", "the connection broke: connection reset"),
        (Failure::Protocol { code: 1002, detail: x() }, "protocol", "the server broke the protocol: x"),
        (
            Failure::Protocol { code: 1009, detail: x() },
            "too_long",
            "the server sent a frame or message that is too long: x",
        ),
        (Failure::IdleTimeout, "idle_timeout", "nothing arrived within idle_timeout"),
        (Failure::PongTimeout, "pong_timeout", "a ping was not answered within pong_timeout"),
        (Failure::Stale, "stale", "no item arrived within stale_after"),
        (Failure::Fault(fault), "fault", "the handler rejected a message: no ticket"),
        (Failure::Reconnect, "reconnect", "the handler asked for a new connection"),
        (Failure::Overflow, "overflow", "the consumer was too slow"),
    ];
    for (failure, kind, words) in table {
        assert_eq!((failure.kind(), failure.to_string().as_str()), (kind, words));
    }
}

#[test]
fn r6_a_redirect_elsewhere_names_the_place() {
    let failure = Failure::Redirected { to: "wss://b.test/x".to_owned() };
    let words = "the server redirected to wss://b.test/x, which is another origin: connect to that URL, or allow redirects to \
                 other origins if it may see what the feed sends";
    assert_eq!((failure.kind(), failure.to_string().as_str()), ("redirected", words));
}

/// What the server said is shown after the status, escaped and bounded; programs see more of it.
#[test]
fn t3_a_refusal_shows_what_the_server_said() {
    let rejected = |refusal: Refusal| {
        let retry_after = Some(Duration::from_secs(7));
        Failure::Rejected { status: 429, retry_after, refusal: Box::new(refusal) }.to_string()
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
fn t2_a_failure_is_a_timeout_if_a_liveness_clock_ran_out() {
    for failure in [Failure::IdleTimeout, Failure::PongTimeout, Failure::Stale] {
        assert!(failure.is_timeout(), "{failure}");
    }
    for failure in [Failure::ConnectTimeout, Failure::Bootstrap(BootstrapFailure::Timeout), broken()] {
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
            "not retried: no TCP connection: connection refused",
        ),
        (StopReason::HandlerPanicked, "handler_panicked", None, "the frame handler panicked"),
    ];
    for (reason, kind, failure, words) in table {
        assert_eq!((reason.kind(), reason.failure()), (kind, failure.as_ref()));
        assert_eq!(reason.to_string(), words);
    }
}
