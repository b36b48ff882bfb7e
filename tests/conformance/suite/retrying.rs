//! What follows a failure: another attempt, and when, or the end (R1-R7).

use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use tidegate::{
    Class, Classification, CloseFrame, Config, ConnectionFailure, Failure, Jitter, RetryPolicy, RetryState,
    StopReason,
};
use tidegate_tests::prelude::*;
use tidegate_tests::server::{Fact, Server};

cases! {
    both: [
        retries_are_counted,
        accepting_and_closing_is_still_backed_off,
        a_stable_connection_ends_the_streak,
        retry_after_is_a_lower_bound,
        retry_after_as_a_date,
        retry_after_is_capped,
        which_status_is_fatal,
        a_policy_of_ones_own,
    ],
}

/// R2: 1 + `max_retries` attempts, then the end at once.
async fn retries_are_counted<M: Mode>() {
    let server = Server::start(|_, _| Ok(()));
    let notices = Notices::default();
    let config = Config::builder().retry(RetryPolicy::fixed(ms(40)).max_retries(3));
    let mut feed = M::start(M::to(&server).config(config).on_notice(notices.watch()));
    let Some(StopReason::RetriesExhausted { last: Failure::Connection(ConnectionFailure::Io { .. }) }) =
        end(&mut feed).await
    else {
        panic!("{:?}", notices.lines());
    };
    assert_eq!(notices.retries(), [(1, ms(40)), (2, ms(40)), (3, ms(40))]);
    assert_eq!(notices.times("connecting").len(), 4);
    assert_eq!(server.accepted(), 4);
    // R7: no attempt before its delay is over.
    assert_best(&spans(&notices.times("connecting")), ms(40), ms(100));
    assert_eq!(notices.times("failure 4"), notices.times("stopped"), "without one more wait");
}

/// R3, R4: each of these connections turns Live, and none of them ends the streak.
async fn accepting_and_closing_is_still_backed_off<M: Mode>() {
    let server = Server::start(|_, peer| {
        peer.upgrade()?;
        peer.close(1013)?;
        peer.be_silent()
    });
    let notices = Notices::default();
    let policy = RetryPolicy::exponential(ms(20), ms(80)).jitter(Jitter::None).max_retries(5);
    let config = Config::builder().retry(policy).close_timeout(ms(20));
    let mut feed = M::start(M::to(&server).config(config).on_notice(notices.watch()));
    let last = Failure::Connection(ConnectionFailure::Closed(Some(CloseFrame::new(1013))));
    assert_eq!(end(&mut feed).await, Some(StopReason::RetriesExhausted { last }));
    let expected = [(1, ms(20)), (2, ms(40)), (3, ms(80)), (4, ms(80)), (5, ms(80))];
    assert_eq!(notices.retries(), expected);
    assert_eq!(notices.times("success").len(), 6);
    let (retried, dialled) = (notices.times("retry"), notices.times("connecting"));
    for ((retried, dialled), (_, delay)) in retried.iter().zip(&dialled[1..]).zip(expected) {
        assert!(dialled.saturating_since(*retried) >= delay);
    }
}

/// R4.
async fn a_stable_connection_ends_the_streak<M: Mode>() {
    let server = Server::start(|number, peer| {
        peer.upgrade()?;
        peer.text("x")?;
        if number == 4 {
            // Longer than `stable_after`.
            thread::sleep(ms(300));
        }
        peer.fin()
    });
    let notices = Notices::default();
    let config = quick().stable_after(ms(250));
    let mut feed = M::start(M::to(&server).config(config).on_notice(notices.watch()));
    take_to(&mut feed, "interrupted 5: io").await;
    let attempts: Vec<_> = notices.retries().into_iter().map(|(attempt, _)| attempt).take(5).collect();
    assert_eq!(attempts, [1, 2, 3, 1, 2]);
}

/// Refused once with these header lines, then let in: what the wait was.
async fn wait_after<M: Mode>(status: &'static str, headers: String, max: Duration) -> Duration {
    let server = Server::start(move |number, peer| {
        if number == 1 {
            return peer.refuse(status, &headers);
        }
        peer.upgrade()?;
        peer.serve()
    });
    let notices = Notices::default();
    let config = quick().max_retry_after(max);
    let mut feed = M::start(M::to(&server).config(config).on_notice(notices.watch()));
    assert_eq!(next(&mut feed).await, "live 2");
    let waited = spans(&notices.times("connecting"))[0];
    let (attempt, delay) = notices.retries()[0];
    assert_eq!(attempt, 1);
    assert!(waited >= delay, "{waited:?} is less than {delay:?}");
    delay
}

/// R5: on 429 and 503, nowhere else.
async fn retry_after_is_a_lower_bound<M: Mode>() {
    let table = [
        ("429 Too Many Requests", "Retry-After: 1\r\n", ms(1000)),
        ("503 Service Unavailable", "Retry-After: 1\r\n", ms(1000)),
        ("503 Service Unavailable", "Retry-After: 0\r\n", ms(10)),
        ("500 Internal Server Error", "Retry-After: 1\r\n", ms(10)),
        ("429 Too Many Requests", "Retry-After: soon\r\n", ms(10)),
    ];
    for (status, headers, expected) in table {
        let delay = wait_after::<M>(status, headers.to_owned(), Duration::from_secs(300)).await;
        assert_eq!(delay, expected, "{status}, {headers}");
    }
}

/// R5: dates have whole seconds.
async fn retry_after_as_a_date<M: Mode>() {
    let at = SystemTime::now() + Duration::from_secs(2);
    let headers = format!("Retry-After: {}\r\n", httpdate::fmt_http_date(at));
    let delay = wait_after::<M>("503 Service Unavailable", headers, Duration::from_secs(300)).await;
    assert!(delay <= ms(2000), "{delay:?}");
    // The date has lost its fraction, and the way here took a while: more cannot be said but that it counted.
    assert!(delay > ms(10), "{delay:?}");
}

async fn retry_after_is_capped<M: Mode>() {
    let headers = "Retry-After: 86400\r\n".to_owned();
    assert_eq!(wait_after::<M>("429 Too Many Requests", headers, ms(120)).await, ms(120));
}

/// R6.
async fn which_status_is_fatal<M: Mode>() {
    use Classification::{AnyHttpError, Standard};
    let table = [
        ("400 Bad Request", Standard, true),
        ("401 Unauthorized", Standard, true),
        ("404 Not Found", Standard, true),
        ("408 Request Timeout", Standard, false),
        ("425 Too Early", Standard, false),
        ("429 Too Many Requests", Standard, false),
        ("503 Service Unavailable", Standard, false),
        ("302 Found", Standard, false),
        ("503 Service Unavailable", AnyHttpError, true),
        ("302 Found", AnyHttpError, false),
        ("401 Unauthorized", Classification::Custom(Arc::new(|_| Class::Retry)), false),
    ];
    for (status, classification, fatal) in table {
        let server = Server::start(move |_, peer| peer.refuse(status, ""));
        let config =
            Config::builder().retry(RetryPolicy::fixed(ms(5)).max_retries(1)).classification(classification);
        let mut feed = M::start(M::to(&server).config(config));
        let reason = end(&mut feed).await.unwrap();
        let code = status[..3].parse().unwrap();
        assert_eq!(reason.failure().cloned().map(without_words), Some(Failure::rejected(code, None)));
        assert_eq!(reason.kind(), if fatal { "fatal" } else { "retries_exhausted" }, "{status}");
        assert_eq!(server.accepted(), if fatal { 1 } else { 2 }, "{status}");
        within(server.saw(1, Fact::Gone)).await;
    }
}

/// R2: any function of state and failure.
async fn a_policy_of_ones_own<M: Mode>() {
    let server = Server::start(|_, peer| peer.refuse("500 Internal Server Error", ""));
    let notices = Notices::default();
    let policy = RetryPolicy::custom(ms(1), |state, failure| {
        assert_eq!(failure.kind(), "rejected");
        RetryState { delay: state.delay * 10, ..state }
    });
    let config = Config::builder().retry(policy.max_retries(2));
    let mut feed = M::start(M::to(&server).config(config).on_notice(notices.watch()));
    assert_eq!(end(&mut feed).await.unwrap().kind(), "retries_exhausted");
    assert_eq!(notices.retries(), [(1, ms(10)), (2, ms(100))]);
}
