//! What failures, faults and stop reasons say of themselves, in words and by name.

mod common;

use std::time::Duration;

use common::{broken, refused, rejected};
use tidegate_core::{
    BootstrapFailure, CloseFrame, Failure, Fault, ProxyProblem, Severity, StopReason, TlsProblem,
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
    let closed = Failure::Closed(Some(CloseFrame { code: 4001, reason: "s3cret".to_owned() }));
    let table = [
        (Failure::Resolve { detail: x() }, "resolve", "the resolver of URL and headers failed: x"),
        (Failure::Lookup { detail: x() }, "lookup", "the host's name could not be looked up: x"),
        (refused(), "tcp", "no TCP connection: connection refused"),
        (proxy(ProxyProblem::Misconfigured), "proxy_misconfigured", "no way through the proxy: x"),
        (proxy(ProxyProblem::Unreachable), "proxy_unreachable", "no way through the proxy: x"),
        (proxy(ProxyProblem::Credentials), "proxy_credentials", "no way through the proxy: x"),
        (proxy(ProxyProblem::Forbidden), "proxy_forbidden", "no way through the proxy: x"),
        (proxy(ProxyProblem::Failed), "proxy", "no way through the proxy: x"),
        (tls(TlsProblem::Expired), "tls_expired", "TLS failed: x"),
        (rejected(503, None), "rejected", "the server refused the upgrade with HTTP 503"),
        (rejected(503, after), "rejected", "the server refused the upgrade with HTTP 503, retry after 3s"),
        (Failure::Upgrade { detail: x() }, "upgrade", "the answer to the upgrade is not valid: x"),
        (Failure::ConnectTimeout, "connect_timeout", "no connection within the connect timeout"),
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
            "not live within the bootstrap timeout",
        ),
        (Failure::Closed(None), "closed", "the server closed the connection"),
        (closed, "closed", "the server closed the connection with code 4001"),
        (broken(), "io", "the connection broke: connection reset"),
        (Failure::Protocol { detail: x() }, "protocol", "the server broke the protocol: x"),
        (Failure::IdleTimeout, "idle_timeout", "nothing was heard for the idle timeout"),
        (Failure::PongTimeout, "pong_timeout", "a ping was not answered within the pong timeout"),
        (Failure::Stale, "stale", "no item came for the stale time"),
        (Failure::Fault(fault), "fault", "the handler found fault: no ticket"),
        (Failure::Reconnect, "reconnect", "the handler asked for a new connection"),
        (Failure::Overflow, "overflow", "the consumer was too slow"),
    ];
    for (failure, kind, words) in table {
        assert_eq!((failure.kind(), failure.to_string().as_str()), (kind, words));
    }
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
            "no retry can mend this: no TCP connection: connection refused",
        ),
        (StopReason::HandlerPanicked, "handler_panicked", None, "the frame handler panicked"),
    ];
    for (reason, kind, failure, words) in table {
        assert_eq!((reason.kind(), reason.failure()), (kind, failure.as_ref()));
        assert_eq!(reason.to_string(), words);
    }
}
