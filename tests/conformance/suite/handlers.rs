//! What handlers may ask for (H1-H4).

use std::time::Duration;

use tidegate::{Context, Fault, FrameHandler, Message, Step, Timestamp, Upgrade, from_fn};
use tidegate_tests::prelude::*;
use tidegate_tests::server::{Fact, Server};

cases! {
    both: [
        a_heartbeat_of_the_applications_own,
        a_session_belongs_to_one_connection,
        answers_go_out_in_order,
        a_new_connection_on_request,
        faults,
    ],
}

const BEAT: Duration = ms(40);

/// Sends a beat at fixed intervals, and tells the consumer when.
struct Beating;

impl FrameHandler for Beating {
    /// How many so far.
    type Session = u32;
    type Item = String;

    fn on_upgrade(&mut self, upgrade: &mut Upgrade<'_>) -> Result<u32, Fault> {
        upgrade.wake_at(upgrade.now().saturating_add(BEAT));
        Ok(0)
    }

    fn on_message(
        &mut self,
        _: &mut u32,
        message: Message,
        cx: &mut Context<'_, String>,
    ) -> Result<(), Fault> {
        cx.emit(message.shown());
        Ok(())
    }

    fn on_wake(&mut self, beats: &mut u32, cx: &mut Context<'_, String>) -> Result<(), Fault> {
        *beats += 1;
        cx.send(format!("beat {beats}")).map_err(|error| Fault::retryable(error.to_string()))?;
        cx.emit(cx.now().as_nanos().to_string());
        cx.wake_at(cx.now().saturating_add(BEAT));
        Ok(())
    }
}

/// H4: no message comes, only time passes. On the next connection it begins anew.
async fn a_heartbeat_of_the_applications_own<M: Mode>() {
    let server = Server::start(|_, peer| {
        peer.upgrade()?;
        peer.read_frames(5)?;
        peer.fin()
    });
    let notices = Notices::default();
    let mut feed = M::start(M::to(&server).config(quick()).handler(Beating).on_notice(notices.watch()));
    for id in 1..=2 {
        let seen = take_to(&mut feed, &format!("interrupted {id}: io")).await;
        assert_eq!(seen[0], format!("live {id}"));
        let beats = seen[1..seen.len() - 1].iter();
        let mut times = vec![notices.times("success")[id - 1]];
        times.extend(beats.map(|time| Timestamp::from_nanos(time.parse().unwrap())));
        assert!(times.len() >= 6);
        assert_best(&spans(&times), BEAT, ms(25));
        assert_eq!(server.texts(id)[..5], [1, 2, 3, 4, 5].map(|beat| format!("beat {beat}")));
    }
}

/// H1, H2, H3.
async fn a_session_belongs_to_one_connection<M: Mode>() {
    let server = Server::start(|_, peer| {
        peer.upgrade()?;
        for text in ["a", "skip", "b", "twice"] {
            peer.text(text)?;
        }
        peer.fin()
    });
    let handler = from_fn(0_u32, |message, count| {
        *count += 1;
        match message.as_text().unwrap() {
            "skip" => Step::Skip,
            "twice" => Step::Emit(vec![format!("{count}"), format!("{count} again")]),
            text => Step::Emit(vec![format!("{count} {text}")]),
        }
    });
    let mut feed = M::start(M::to(&server).config(quick()).handler(handler));
    for id in 1..=3 {
        let (live, interrupted) = (format!("live {id}"), format!("interrupted {id}: io"));
        assert_eq!(take(&mut feed, 6).await, [&live, "1 a", "3 b", "4", "4 again", &interrupted]);
    }
}

/// Answers each message, and asks for a new connection when told to move.
struct Answering;

impl FrameHandler for Answering {
    type Session = ();
    type Item = String;

    fn on_upgrade(&mut self, _: &mut Upgrade<'_>) -> Result<(), Fault> {
        Ok(())
    }

    fn on_message(
        &mut self,
        (): &mut (),
        message: Message,
        cx: &mut Context<'_, String>,
    ) -> Result<(), Fault> {
        match message.as_text().unwrap() {
            "move" => cx.reconnect(),
            "weak" => {
                cx.emit("last".to_owned());
                return Err(Fault::retryable("a gap in the sequence"));
            }
            "bad" => {
                cx.emit("last".to_owned());
                return Err(Fault::fatal("not what was subscribed to"));
            }
            text => {
                let send = |answer: String, cx: &mut Context<'_, String>| {
                    cx.send(answer).map_err(|error| Fault::retryable(error.to_string()))
                };
                send(format!("{text}: first"), cx)?;
                send(format!("{text}: second"), cx)?;
                cx.emit(text.to_owned());
            }
        }
        Ok(())
    }
}

/// H4.
async fn answers_go_out_in_order<M: Mode>() {
    let server = Server::start(|_, peer| {
        peer.upgrade()?;
        for number in 0..20 {
            peer.text(&number.to_string())?;
        }
        peer.read_frames(40)?;
        peer.text("all")?;
        peer.be_silent()
    });
    let mut feed = M::start(M::to(&server).config(quick()).handler(Answering));
    take_to(&mut feed, "all").await;
    let answers = (0..20).flat_map(|number| [format!("{number}: first"), format!("{number}: second")]);
    assert_eq!(server.texts(1)[..40], answers.collect::<Vec<_>>());
}

/// H4: the old one is closed as it should be.
async fn a_new_connection_on_request<M: Mode>() {
    let server = Server::start(|_, peer| {
        peer.upgrade()?;
        peer.text("x")?;
        peer.text("move")?;
        peer.serve()
    });
    let notices = Notices::default();
    let mut feed = M::start(
        M::to(&server).config(quick().close_timeout(WAIT)).handler(Answering).on_notice(notices.watch()),
    );
    let expected = ["live 1", "x", "interrupted 1: reconnect", "live 2", "x", "interrupted 2: reconnect"];
    assert_eq!(take(&mut feed, 6).await, expected);
    assert_eq!(server.saw_close(1).await, Some(1000));
    within(server.saw(1, Fact::Gone)).await;
    assert_eq!(notices.times("disconnected 1: reconnect").len(), 1);
}

/// H3: what was emitted before the fault stands.
async fn faults<M: Mode>() {
    let server = Server::start(|number, peer| {
        peer.upgrade()?;
        peer.text(if number == 1 { "weak" } else { "bad" })?;
        peer.serve()
    });
    let mut feed = M::start(M::to(&server).config(quick()).handler(Answering));
    let expected = ["live 1", "last", "interrupted 1: fault", "live 2", "last", "interrupted 2: fault"];
    assert_eq!(take(&mut feed, 6).await, expected);
    let reason = end(&mut feed).await.unwrap();
    let said = "stopped without a retry: the handler returned a fault: not what was subscribed to";
    assert_eq!(reason.to_string(), said);
}
