//! What people and logs get to see: names, texts and Debug output, none of which holds a payload (T3).

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use common::{Bench, Puppet, broken, ms, patient};
use tidegate_core::{
    BootstrapFailure, Class, Classification, CloseFrame, Config, Failure, Fault, Frame, Jitter, Message,
    Phase, ProxyProblem, RetryPolicy, RetryState, StopReason, TlsProblem,
};

const TLS: [TlsProblem; 6] = [
    TlsProblem::UnknownIssuer,
    TlsProblem::WrongHost,
    TlsProblem::Expired,
    TlsProblem::NoCommonProtocol,
    TlsProblem::ClientCertificate,
    TlsProblem::Other,
];
const PROXY: [ProxyProblem; 5] = [
    ProxyProblem::Misconfigured,
    ProxyProblem::Unreachable,
    ProxyProblem::Credentials,
    ProxyProblem::Forbidden,
    ProxyProblem::Failed,
];

/// One of each; `said` wherever a failure has a text of its own.
fn failures(said: &str) -> Vec<Failure> {
    let detail = || said.to_owned();
    let fault = || Fault::retryable(said);
    let tls = TLS.map(|problem| Failure::Tls { problem, detail: format!("{said} {}", problem.kind()) });
    let proxy = PROXY.map(|problem| Failure::Proxy { problem, detail: format!("{said} {}", problem.kind()) });
    let others = [
        Failure::Resolve { detail: detail() },
        Failure::Lookup { detail: detail() },
        Failure::Tcp { detail: detail() },
        Failure::Rejected { status: 503, retry_after: Some(ms(1500)) },
        Failure::Upgrade { detail: detail() },
        Failure::ConnectTimeout,
        Failure::Bootstrap(BootstrapFailure::Fault(fault())),
        Failure::Bootstrap(BootstrapFailure::Lost(Box::new(Failure::Io { detail: detail() }))),
        Failure::Bootstrap(BootstrapFailure::Timeout),
        Failure::Closed(Some(CloseFrame { code: 1013, reason: "hush".into() })),
        Failure::Io { detail: detail() },
        Failure::Protocol { detail: detail() },
        Failure::IdleTimeout,
        Failure::PongTimeout,
        Failure::Stale,
        Failure::Fault(fault()),
        Failure::Reconnect,
        Failure::Overflow,
    ];
    tls.into_iter().chain(proxy).chain(others).collect()
}

/// Dashboards and alerts are built on the names.
#[test]
fn each_failure_has_a_name_of_its_own_in_snake_case() {
    let names: Vec<_> = failures("x").iter().map(Failure::kind).collect();
    let distinct: BTreeSet<_> = names.iter().copied().collect();
    assert_eq!(distinct.len(), names.len(), "{names:?}");
    let snake =
        |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    assert!(names.iter().copied().all(snake), "{names:?}");
}

#[test]
fn each_failure_has_a_text_of_its_own() {
    let texts: Vec<_> = failures("x").iter().map(ToString::to_string).collect();
    let distinct: BTreeSet<_> = texts.iter().collect();
    assert_eq!(distinct.len(), texts.len(), "{texts:#?}");
    assert!(texts.iter().all(|text| text.len() > 10 && !text.contains('\n')), "{texts:#?}");
}

#[test]
fn a_failures_text_tells_what_was_told() {
    for failure in failures("the-cause") {
        let text = failure.to_string();
        let told = match &failure {
            Failure::Rejected { .. } => text.contains("503") && text.contains("1.5s"),
            Failure::Closed(_) => text.contains("1013"),
            Failure::ConnectTimeout
            | Failure::Bootstrap(BootstrapFailure::Timeout)
            | Failure::IdleTimeout
            | Failure::PongTimeout
            | Failure::Stale
            | Failure::Reconnect
            | Failure::Overflow => true,
            Failure::Resolve { .. }
            | Failure::Lookup { .. }
            | Failure::Tcp { .. }
            | Failure::Proxy { .. }
            | Failure::Tls { .. }
            | Failure::Upgrade { .. }
            | Failure::Bootstrap(BootstrapFailure::Fault(_) | BootstrapFailure::Lost(_))
            | Failure::Io { .. }
            | Failure::Protocol { .. }
            | Failure::Fault(_) => text.contains("the-cause"),
        };
        assert!(told, "{text}");
    }
}

/// T3: the reason is the peer's own text, and may repeat what it was sent.
#[test]
fn the_reason_of_a_close_is_not_shown() {
    for failure in failures("x") {
        assert!(!format!("{failure} {failure:?}").contains("hush"), "{failure:?}");
    }
    let bare = Failure::Closed(None).to_string();
    assert!(!bare.contains("code"), "{bare}");
}

#[test]
fn a_stop_tells_the_failure_that_led_to_it() {
    let fault = Fault::fatal("account closed");
    assert_eq!(fault.message(), "account closed");
    let failure = || Failure::Fault(fault.clone());
    for reason in [StopReason::Fatal { failure: failure() }, StopReason::RetriesExhausted { last: failure() }]
    {
        assert!(reason.to_string().contains("account closed"), "{reason}");
        assert_eq!(reason.failure(), Some(&failure()));
    }
    for reason in [StopReason::Shutdown, StopReason::HandlerPanicked] {
        assert_eq!(reason.failure(), None);
    }
    assert!(StopReason::HandlerPanicked.to_string().contains("panicked"));
}

#[test]
fn what_is_shown_of_a_frame_is_kind_and_length() {
    let payload = || Bytes::from_static(b"hush");
    let close = CloseFrame { code: 1000, reason: "hush".into() };
    let shown = [
        (format!("{:?}", Message::Text(payload())), "Text(4 bytes)"),
        (format!("{:?}", Message::Binary(payload())), "Binary(4 bytes)"),
        (format!("{:?}", Frame::Text(payload())), "Text(4 bytes)"),
        (format!("{:?}", Frame::Binary(payload())), "Binary(4 bytes)"),
        (format!("{:?}", Frame::Ping(payload())), "Ping(4 bytes)"),
        (format!("{:?}", Frame::Pong(payload())), "Pong(4 bytes)"),
        (format!("{:?}", Frame::Close(Some(close))), "Close(Some(CloseFrame(1000, reason of 4 bytes)))"),
    ];
    for (shown, expected) in shown {
        assert_eq!(shown, expected);
    }
}

#[test]
fn a_message_is_made_of_text_or_bytes_and_gives_its_payload_back() {
    let bytes = Bytes::from_static(b"\x00\xff");
    let binary = Message::from(bytes.clone());
    assert_eq!((&binary, binary.len(), binary.as_text()), (&Message::Binary(bytes.clone()), 2, None));
    let given_back = binary.into_payload();
    assert_eq!((given_back.as_ptr(), &given_back), (bytes.as_ptr(), &bytes), "without a copy");

    let text = Message::from("abc");
    assert_eq!((text.as_text(), text.is_empty()), (Some("abc"), false));
    assert_eq!(text.into_payload(), "abc");
    assert!(Message::from(String::new()).is_empty() && Message::from(Vec::new()).is_empty());
}

/// T3: neither what was sent nor what waits for the consumer.
#[test]
fn a_feed_shows_its_phase_and_no_payload() {
    let config = patient().idle_timeout(ms(1000));
    let mut bench = Bench::new(config, Puppet::bootstraps(&["hush"]));
    let mut phases = Vec::new();
    let mut look = |bench: &Bench<Puppet>| {
        let (phase, shown) = (bench.feed.phase(), format!("{:?}", bench.feed));
        assert!(shown.contains(&format!("{phase:?}")) && !shown.contains("hush"), "{phase:?}: {shown}");
        phases.push(phase);
    };
    look(&bench);
    bench.start();
    look(&bench);
    bench.connected();
    look(&bench);
    bench.flushed();
    bench.text("item:hush send:hush");
    look(&bench);
    bench.text("fault");
    look(&bench);
    bench.lost();
    look(&bench);
    bench.shutdown();
    look(&bench);
    let expected = [
        Phase::Idle,
        Phase::Connecting,
        Phase::Bootstrapping,
        Phase::Live,
        Phase::Closing,
        Phase::Waiting,
        Phase::Stopped,
    ];
    assert_eq!(phases, expected);
}

/// Whoever reads a configuration's Debug output learns how it retries.
#[test]
fn a_configuration_shows_its_retry_policy() {
    let keep = |state: RetryState, _: &Failure| state;
    let shown = |policy: RetryPolicy| {
        let config = Config::builder().retry(policy).classification(Classification::AnyHttpError);
        format!("{:?}", config.build().expect("it is valid"))
    };
    let exponential = shown(RetryPolicy::exponential(ms(250), Duration::from_secs(30)).jitter(Jitter::Equal));
    assert!(exponential.contains("250ms") && exponential.contains("30s") && exponential.contains("Equal"));
    assert!(shown(RetryPolicy::fixed(ms(125))).contains("125ms"));
    assert!(shown(RetryPolicy::custom(ms(375), keep)).contains("375ms"));
    assert!(exponential.contains("AnyHttpError"));
    let own = Classification::Custom(Box::new(|_| Class::Retry));
    assert_eq!(format!("{own:?} {:?}", Classification::Standard), "Custom Standard");
}

/// Only delays that grow are spread.
#[test]
fn jitter_changes_nothing_where_the_delay_is_fixed() {
    let config = patient().retry(RetryPolicy::fixed(ms(100)).unlimited().jitter(Jitter::Full));
    let mut bench = Bench::plain(config);
    bench.start();
    for _ in 0..5 {
        assert_eq!(common::delay(&bench.connect_failed(broken())), ms(100));
        bench.expire();
    }
}
