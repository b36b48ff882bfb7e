//! Deadlines by each runtime's own timer: never early, and late by no more than that (C3, C5, L2).

use std::thread;
use std::time::Duration;

use tidegate::{
    Config, ConnectFailure, Context, Failure, Fault, FrameHandler, Message, Notice, RetryPolicy, StopReason,
    TimerKey, Timestamp, Upgrade,
};
use tidegate_tests::prelude::*;
use tidegate_tests::server::{Fact, Server, switching};

cases! {
    both: [
        an_upgrade_that_drips,
        a_server_that_closes_and_keeps_tcp_open,
        silence_is_measured_from_the_last_frame,
        a_handler_is_woken_when_it_asked,
    ],
}

/// C2, C3, R2, T2: `connect_timeout` is for the attempt, not for each byte; then comes the delay, and the socket is gone.
async fn an_upgrade_that_drips<M: Mode>() {
    let server = Server::start(|_, peer| {
        let request = peer.request()?;
        peer.note("dripping");
        // The client goes in the middle of it.
        let _ = peer.drip(switching(&request).as_bytes(), ms(20));
        peer.be_silent()
    });
    let notices = Notices::default();
    let config = Config::builder().connect_timeout(ms(150)).retry(RetryPolicy::fixed(ms(50)).max_retries(2));
    let mut feed = M::start(M::to(&server).config(config).on_notice(notices.watch()));
    assert_eq!(
        end(&mut feed).await,
        Some(StopReason::RetriesExhausted { last: Failure::Connect(ConnectFailure::Timeout) })
    );
    let expected = [
        "connecting 1",
        "failure 1: connect_timeout",
        "retry 1",
        "connecting 2",
        "failure 2: connect_timeout",
        "retry 2",
        "connecting 3",
        "failure 3: connect_timeout",
        "stopped: retries_exhausted",
    ];
    assert_eq!(notices.lines(), expected);
    assert_best(&spans(&notices.times("connecting")), ms(200), ms(100));
    for peer in 1..=3 {
        within(server.saw(peer, Fact::Gone)).await;
    }
    assert_eq!(server.accepted(), 3);
}

/// C5: the server's Close is answered, and then its socket is given `close_timeout` at most.
async fn a_server_that_closes_and_keeps_tcp_open<M: Mode>() {
    let server = Server::start(|_, peer| {
        peer.upgrade()?;
        peer.text("bye")?;
        peer.close(1001)?;
        peer.be_silent()
    });
    let notices = Notices::default();
    let config = quick().close_timeout(ms(150));
    let mut feed = M::start(M::to(&server).config(config).on_notice(notices.watch()));
    take_to(&mut feed, "live 4").await;
    assert_eq!(server.saw_close(1).await, Some(1001));
    let (ended, retried) = (notices.times("disconnected"), notices.times("retry"));
    let closing = ended.iter().zip(&retried).map(|(ended, retried)| retried.saturating_since(*ended));
    assert_best(&closing.collect::<Vec<_>>(), Duration::ZERO, ms(150 + 100));
    within(server.saw(3, Fact::Gone)).await;
}

/// L1, L2: never early, and late by no more than the timer.
async fn silence_is_measured_from_the_last_frame<M: Mode>() {
    let server = Server::start(|_, peer| {
        peer.upgrade()?;
        thread::sleep(ms(50));
        peer.note("last");
        peer.text("x")?;
        peer.be_silent()
    });
    let notices = Notices::default();
    let config = quick().idle_timeout(ms(200));
    let mut feed = M::start(M::to(&server).config(config).on_notice(notices.watch()));
    for id in 1..=5 {
        let expected = [format!("live {id}"), "x".into(), format!("interrupted {id}: idle_timeout")];
        assert_eq!(take(&mut feed, 3).await, expected);
    }
    let mut waits = Vec::new();
    for seen in notices.all() {
        if let Notice::Timeout { id, .. } = seen.notice {
            let last = server.saw(usize::try_from(id.get()).unwrap(), Fact::Note("last")).await;
            waits.push(seen.at.duration_since(last));
        }
    }
    assert_eq!(waits.len(), 5);
    assert_best(&waits, ms(200), ms(25));
    within(server.saw(5, Fact::Gone)).await;
}

/// Is woken 100 ms after it last was, and emits how many nanoseconds that took.
struct Sleeper;

impl FrameHandler for Sleeper {
    type Session = Timestamp;
    type Item = String;

    fn on_upgrade(&mut self, upgrade: &mut Upgrade<'_>) -> Result<Timestamp, Fault> {
        upgrade.set_timer_in(TimerKey(0), ms(100));
        Ok(upgrade.now())
    }

    fn on_message(
        &mut self,
        _: &mut Timestamp,
        _: Message,
        _: &mut Context<'_, String>,
    ) -> Result<(), Fault> {
        Ok(())
    }

    fn on_timer(
        &mut self,
        last: &mut Timestamp,
        key: TimerKey,
        cx: &mut Context<'_, String>,
    ) -> Result<(), Fault> {
        let slept = cx.now().saturating_since(*last);
        *last = cx.now();
        cx.set_timer_in(key, ms(100));
        cx.emit(slept.as_nanos().to_string());
        Ok(())
    }
}

/// H4.
async fn a_handler_is_woken_when_it_asked<M: Mode>() {
    let server = Server::start(|_, peer| {
        peer.upgrade()?;
        peer.serve()
    });
    let mut feed = M::start(M::to(&server).config(quick()).handler(Sleeper));
    assert_eq!(take(&mut feed, 1).await, ["live 1"]);
    let slept = take(&mut feed, 5).await;
    let slept: Vec<_> = slept.iter().map(|slept| Duration::from_nanos(slept.parse().unwrap())).collect();
    assert_best(&slept, ms(100), ms(25));
}
