//! How feeds end (S1-S4, H5).

use tidegate::{
    Attempt, Class, Config, Context, Fault, FeedBuilder, FrameHandler, Message, Phase, RetryPolicy,
    StopReason, TimerKey, Upgrade,
};
use tidegate_tests::harness::EXPECTED_PANIC;
use tidegate_tests::prelude::*;
use tidegate_tests::server::{CLOSE, Fact, Server, frame};

cases! {
    both: [
        a_shutdown_says_goodbye,
        the_stream_ends_once,
        a_dropped_feed_closes_its_connection,
        a_panic_ends_the_feed,
    ],
    spawned: [what_is_queued_outlives_a_shutdown],
}

/// S1, S3: Close(1000), the answer, the end.
async fn a_shutdown_says_goodbye<M: Mode>() {
    let server = Server::start(|_, peer| {
        peer.upgrade()?;
        peer.text("x")?;
        peer.serve()
    });
    let notices = Notices::default();
    let mut feed = M::start(M::to(&server).config(quick().close_timeout(WAIT)).on_notice(notices.watch()));
    assert_eq!(take(&mut feed, 2).await, ["live 1", "x"]);
    let handle = feed.handle();
    handle.shutdown();
    let (phase, mut seen) = drive(&mut feed, handle.wait_for(|_| false)).await;
    if seen.is_empty() {
        // A task may have stopped before its last marker was taken.
        seen.push(next(&mut feed).await);
    }
    assert_eq!((phase, seen), (Phase::Stopped, vec!["interrupted 1: by us".to_owned()]));
    assert_eq!(end(&mut feed).await, None);
    assert_eq!(server.saw_close(1).await, Some(1000));
    within(server.saw(1, Fact::Gone)).await;
    let expected = [
        "connecting 1",
        "success 1",
        "status true",
        "status false",
        "disconnected 1: shutdown",
        "stopped: shutdown",
    ];
    assert_eq!(sorted(notices.lines()), sorted(expected.map(str::to_owned).to_vec()));
    assert_eq!(notices.lines().last().unwrap(), "stopped: shutdown");
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

/// S3: one `Err`, then nothing; for the items alone, too.
async fn the_stream_ends_once<M: Mode>() {
    use futures_util::StreamExt;
    let server = Server::start(|number, peer| {
        if number > 1 {
            return peer.refuse("403 Forbidden", "");
        }
        peer.upgrade()?;
        peer.text("x")?;
        peer.fin()
    });
    let mut items = M::start(M::to(&server).config(quick())).items();
    assert_eq!(within(items.next()).await.unwrap().unwrap().shown(), "x");
    let reason = within(items.next()).await.unwrap().unwrap_err();
    assert_eq!(
        reason.to_string(),
        "stopped without a retry: the server refused the upgrade with HTTP 403 Forbidden"
    );
    assert!(within(items.next()).await.is_none());
    assert!(within(items.into_feed().recv()).await.is_none());
}

/// S2.
async fn what_is_queued_outlives_a_shutdown<M: Mode>() {
    let server = Server::start(|_, peer| {
        peer.upgrade()?;
        peer.flood((0..500).map(|number| frame(1, number.to_string().as_bytes())))?;
        peer.serve()
    });
    let mut feed = M::start(M::to(&server).config(quick()));
    let handle = feed.handle();
    eventually(|| handle.stats().messages == 500).await;
    handle.shutdown();
    assert_eq!(within(handle.wait_for(|_| false)).await, Phase::Stopped);
    assert!(handle.stats().queued > 0, "nothing was left to take");
    let items: Vec<_> = (0..500).map(|number| number.to_string()).collect();
    assert_eq!(take(&mut feed, 501).await[1..], items);
    assert_eq!(next(&mut feed).await, "interrupted 1: by us");
    assert_eq!(end(&mut feed).await, None);
}

/// S4: a task says goodbye; without one there is nobody left to.
async fn a_dropped_feed_closes_its_connection<M: Mode>() {
    let server = Server::start(|_, peer| {
        peer.upgrade()?;
        peer.text("x")?;
        peer.serve()
    });
    let mut feed = M::start(M::to(&server).config(quick()));
    let handle = feed.handle();
    take(&mut feed, 2).await;
    drop(feed);
    within(server.saw(1, Fact::Gone)).await;
    assert_eq!(within(handle.wait_for(|_| false)).await, Phase::Stopped);
    let closes = server.entries().iter().filter(|entry| matches!(entry.fact, Fact::Frame(CLOSE, _))).count();
    assert_eq!(closes, usize::from(M::SPAWNED));
    if M::SPAWNED {
        assert_eq!(server.saw_close(1).await, Some(1000));
    }
    no_task_is_left::<M>().await;
    assert_eq!(server.accepted(), 1);
}

/// Panics where it is told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Panics {
    OnUpgrade,
    OnMessage,
    OnTimer,
    Notice,
    Resolver,
    Resolving,
    Classify,
    Policy,
}

impl FrameHandler for Panics {
    type Session = ();
    type Item = Message;

    fn on_upgrade(&mut self, upgrade: &mut Upgrade<'_>) -> Result<(), Fault> {
        assert_ne!(*self, Self::OnUpgrade, "{EXPECTED_PANIC}");
        if *self == Self::OnTimer {
            upgrade.set_timer(TimerKey(0), upgrade.now());
        }
        Ok(())
    }

    fn on_message(
        &mut self,
        (): &mut (),
        message: Message,
        cx: &mut Context<'_, Message>,
    ) -> Result<(), Fault> {
        cx.emit(message);
        assert_ne!(*self, Self::OnMessage, "{EXPECTED_PANIC}");
        Ok(())
    }

    fn on_timer(&mut self, (): &mut (), _: TimerKey, _cx: &mut Context<'_, Message>) -> Result<(), Fault> {
        panic!("{EXPECTED_PANIC}");
    }
}

fn panicking<M: Mode>(server: &Server, panics: Panics) -> FeedBuilder<Rt<M>, Panics> {
    let policy = RetryPolicy::custom(ms(1), move |state, _| {
        assert_ne!(panics, Panics::Policy, "{EXPECTED_PANIC}");
        state
    });
    let config = Config::builder().retry(policy).classify(move |_| {
        assert_ne!(panics, Panics::Classify, "{EXPECTED_PANIC}");
        Class::Retry
    });
    M::to(server)
        .config(config)
        .handler(panics)
        .on_notice(move |notice, _| {
            assert!(panics != Panics::Notice || notice.name() != "success", "{EXPECTED_PANIC}");
        })
        .resolver(move |attempt: Attempt| {
            assert_ne!(panics, Panics::Resolver, "{EXPECTED_PANIC}");
            async move {
                assert_ne!(panics, Panics::Resolving, "{EXPECTED_PANIC}");
                Ok(attempt.request)
            }
        })
}

/// H5: wherever the application's code panics, the feed ends with the reason, and nobody waits for it.
async fn a_panic_ends_the_feed<M: Mode>() {
    use Panics::*;
    for panics in [OnUpgrade, OnMessage, OnTimer, Notice, Resolver, Resolving, Classify, Policy] {
        let server = Server::start(move |_, peer| {
            peer.upgrade()?;
            peer.text("x")?;
            if matches!(panics, Classify | Policy) { peer.fin() } else { peer.serve() }
        });
        let mut feed = M::start(panicking::<M>(&server, panics));
        let handle = feed.handle();
        assert_eq!(end(&mut feed).await, Some(StopReason::HandlerPanicked), "{panics:?}");
        assert_eq!(within(handle.wait_for(|_| false)).await, Phase::Stopped);
        assert!(handle.send("x").await.is_err());
        if !matches!(panics, Resolver | Resolving) {
            within(server.saw(1, Fact::Gone)).await;
        }
        assert!(server.accepted() <= 1, "{panics:?}");
        no_task_is_left::<M>().await;
    }
}
