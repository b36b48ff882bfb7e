//! What is owed between the upgrade and Live (B1-B5).

use tidegate::{ConnectionId, Context, Fault, FrameHandler, Message, Phase, Readiness, SendError, Upgrade};
use tidegate_tests::prelude::*;
use tidegate_tests::server::{Fact, Server};

cases! {
    both: [
        subscriptions_are_sent_again_in_order,
        a_thousand_subscriptions,
        held_back_until_acknowledged,
        never_acknowledged,
        a_subscription_that_is_refused,
        a_bootstrap_that_fails_for_good,
        lost_before_the_acknowledgement,
    ],
}

/// Two subscriptions, and Live once both are acknowledged.
struct Acknowledged;

impl FrameHandler for Acknowledged {
    /// How many acknowledgements have come.
    type Session = u32;
    type Item = String;

    fn on_upgrade(&mut self, upgrade: &mut Upgrade<'_>) -> Result<u32, Fault> {
        upgrade.send("subscribe a");
        upgrade.send("subscribe b");
        Ok(0)
    }

    fn on_message(
        &mut self,
        acks: &mut u32,
        message: Message,
        cx: &mut Context<'_, String>,
    ) -> Result<(), Fault> {
        match message.as_text().unwrap() {
            "ack" => {
                *acks += 1;
                if *acks == 2 {
                    cx.ready();
                }
            }
            "refused" => return Err(Fault::retryable("the subscription was refused")),
            item => cx.emit(item.to_owned()),
        }
        Ok(())
    }

    fn readiness(&self) -> Readiness {
        Readiness::WhenDeclared
    }
}

/// B1.
async fn subscriptions_are_sent_again_in_order<M: Mode>() {
    let server = Server::start(|_, peer| {
        peer.upgrade()?;
        peer.read_frames(3)?;
        peer.text("trade")?;
        peer.fin()
    });
    let frames = |id: ConnectionId| Ok([format!("hello {id}"), "subscribe a".into(), "subscribe b".into()]);
    let mut feed = M::start(M::to(&server).config(quick()).on_upgrade(frames));
    for id in 1..=4 {
        let expected = [format!("live {id}"), "trade".into(), format!("interrupted {id}: io")];
        assert_eq!(take(&mut feed, 3).await, expected);
        let sent = server.texts(id);
        assert_eq!(sent, [&format!("hello {id}"), "subscribe a", "subscribe b"]);
    }
}

/// B1, O3: more than the outgoing queue takes otherwise.
async fn a_thousand_subscriptions<M: Mode>() {
    let server = Server::start(|_, peer| {
        peer.upgrade()?;
        peer.read_frames(1000)?;
        peer.text("all here")?;
        peer.serve()
    });
    let frames = |_| Ok((0..1000).map(|number| format!("subscribe {number}")));
    let mut feed = M::start(M::to(&server).config(quick().send_buffer(2)).on_upgrade(frames));
    assert_eq!(take(&mut feed, 2).await, ["live 1", "all here"]);
    assert!(server.texts(1).into_iter().eq((0..1000).map(|number| format!("subscribe {number}"))));
}

/// B2, B5, O1: not Live before the second acknowledgement, though items flow.
async fn held_back_until_acknowledged<M: Mode>() {
    let server = Server::start(|_, peer| {
        peer.upgrade()?;
        peer.read_frames(2)?;
        peer.text("ack")?;
        peer.text("early")?;
        peer.wait("second")?;
        peer.text("ack")?;
        peer.text("late")?;
        peer.serve()
    });
    let notices = Notices::default();
    let mut feed = M::start(M::to(&server).config(quick()).handler(Acknowledged).on_notice(notices.watch()));
    let handle = feed.handle();
    assert_eq!(next(&mut feed).await, "early");
    assert_eq!(handle.phase(), Phase::Bootstrapping);
    let refused = handle.send("too soon").await;
    assert_eq!(refused, Err(SendError::NotLive("too soon".into())));
    assert!(notices.times("success").is_empty());
    server.open("second");
    assert_eq!(take(&mut feed, 2).await, ["live 1", "late"]);
    assert_eq!(handle.phase(), Phase::Live);
    assert_eq!(server.texts(1), ["subscribe a", "subscribe b"]);
}

/// B3, B4, T2.
async fn never_acknowledged<M: Mode>() {
    let server = Server::start(|number, peer| {
        peer.upgrade()?;
        peer.text("ack")?;
        if number == 3 {
            peer.text("ack")?;
        }
        peer.be_silent()
    });
    let notices = Notices::default();
    let config = quick().bootstrap_timeout(ms(150));
    let mut feed = M::start(M::to(&server).config(config).handler(Acknowledged).on_notice(notices.watch()));
    assert_eq!(next(&mut feed).await, "live 3");
    let expected = [
        "connecting 1",
        "failure 1: bootstrap_timeout",
        "retry 1",
        "connecting 2",
        "failure 2: bootstrap_timeout",
        "retry 2",
        "connecting 3",
    ];
    assert_eq!(notices.lines()[..7], expected);
    let (dialled, failed) = (notices.times("connecting"), notices.times("failure"));
    let waits = [0, 1].map(|at| failed[at].saturating_since(dialled[at]));
    assert_best(&waits, ms(150), ms(100));
    within(server.saw(1, Fact::Gone)).await;
}

/// B4, H3.
async fn a_subscription_that_is_refused<M: Mode>() {
    let server = Server::start(|number, peer| {
        peer.upgrade()?;
        peer.read_frames(2)?;
        peer.text("early")?;
        peer.text(if number == 1 { "refused" } else { "ack" })?;
        peer.text("ack")?;
        peer.be_silent()
    });
    let notices = Notices::default();
    let mut feed = M::start(M::to(&server).config(quick()).handler(Acknowledged).on_notice(notices.watch()));
    let expected = ["early", "interrupted 1: bootstrap_fault", "early", "live 2"];
    assert_eq!(take(&mut feed, 4).await, expected);
    assert_eq!(notices.times("success").len(), 1);
    assert_eq!(notices.times("failure").len(), 1);
}

/// B4, R6.
async fn a_bootstrap_that_fails_for_good<M: Mode>() {
    let server = Server::start(|_, peer| {
        peer.upgrade()?;
        peer.be_silent()
    });
    let frames = |_| Err::<[&str; 0], _>(Fault::fatal("no credentials"));
    let mut feed = M::start(M::to(&server).config(quick()).on_upgrade(frames));
    let reason = end(&mut feed).await.unwrap();
    assert_eq!((reason.kind(), reason.failure().unwrap().kind()), ("fatal", "bootstrap_fault"));
    within(server.saw(1, Fact::Gone)).await;
}

/// B4: the attempt has failed, though all that was owed to the server was sent.
async fn lost_before_the_acknowledgement<M: Mode>() {
    let server = Server::start(|number, peer| {
        peer.upgrade()?;
        peer.read_frames(2)?;
        match number {
            1 => peer.fin(),
            2 => peer.reset(),
            3 => {
                peer.close(1008)?;
                peer.serve()
            }
            _ => {
                peer.text("ack")?;
                peer.text("ack")?;
                peer.serve()
            }
        }
    });
    let notices = Notices::default();
    let mut feed = M::start(M::to(&server).config(quick()).handler(Acknowledged).on_notice(notices.watch()));
    assert_eq!(next(&mut feed).await, "live 4");
    let (failures, _): (Vec<_>, Vec<_>) =
        notices.lines().into_iter().partition(|line| line.starts_with("failure"));
    assert_eq!(failures, ["failure 1: io", "failure 2: io", "failure 3: closed"]);
    assert_eq!(notices.times("success").len(), 1);
}
