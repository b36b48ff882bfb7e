//! No verdict without a look at the socket: second looks, and bytes of unfinished frames.
#![allow(clippy::unwrap_used, reason = "the lint does not know that the cases are tests")]

mod common;

use common::{Mode, Rig, SECOND, config, in_both_modes, text};
use tidegate_driver::core::{
    ConfigBuilder, Context, Fault, Frame, FrameHandler, Message, Phase, Readiness, Upgrade,
};

in_both_modes!(
    what_waits_in_the_socket_is_read_before_a_verdict,
    an_acknowledgement_that_waits_in_the_socket_is_in_time,
    a_ping_needs_no_second_look,
    a_backlog_is_read_before_a_verdict,
    frames_of_many_polls_do_not_answer_a_ping,
    bytes_that_are_no_whole_frame_count_from_when_they_came,
);

/// L2: the deadline passed while the process was stopped, and the runtime has not looked at the socket.
fn what_waits_in_the_socket_is_read_before_a_verdict(mode: Mode) {
    let clocks: [fn(ConfigBuilder) -> ConfigBuilder; 3] = [
        |config| config.idle_timeout(2 * SECOND),
        |config| config.stale_after(2 * SECOND),
        |config| config.ping_interval(SECOND).pong_timeout(SECOND),
    ];
    for clock in clocks {
        let mut rig = Rig::with(mode, |builder| builder.config(clock(config())));
        rig.advance(SECOND);
        if let Some(Frame::Ping(payload)) = rig.peer(1).received().pop() {
            rig.peer(1).send_unseen(Frame::Pong(payload));
        }
        rig.peer(1).send_unseen(text("it was there"));
        rig.world.advance(60 * SECOND);
        rig.settle();
        assert_eq!(rig.phase(), Phase::Live, "no verdict yet");
        rig.peer(1).look_at_socket();
        rig.look_again();
        assert_eq!(rig.drain(), ["live 1", "it was there"]);
        assert_eq!(rig.phase(), Phase::Live);
    }
}

/// Ready with the first message.
struct Acknowledged;

impl FrameHandler for Acknowledged {
    type Session = ();
    type Item = Message;

    fn on_upgrade(&mut self, _: &mut Upgrade<'_>) -> Result<(), Fault> {
        Ok(())
    }

    fn on_message(&mut self, _: &mut (), _: Message, cx: &mut Context<'_, Message>) -> Result<(), Fault> {
        cx.ready();
        Ok(())
    }

    fn readiness(&self) -> Readiness {
        Readiness::WhenDeclared
    }
}

/// B3 too.
fn an_acknowledgement_that_waits_in_the_socket_is_in_time(mode: Mode) {
    let mut rig = Rig::with(mode, |builder| builder.handler(Acknowledged));
    rig.peer(1).send_unseen(text("subscribed"));
    rig.world.advance(60 * SECOND);
    rig.settle();
    rig.peer(1).look_at_socket();
    rig.look_again();
    assert_eq!(rig.phase(), Phase::Live);
}

fn a_ping_needs_no_second_look(mode: Mode) {
    let mut rig = Rig::with(mode, |builder| builder.config(config().ping_interval(SECOND)));
    rig.world.advance(SECOND);
    rig.settle();
    assert!(matches!(rig.peer(1).received()[..], [Frame::Ping(_)]));
}

/// L2: more than is read in one poll.
fn a_backlog_is_read_before_a_verdict(mode: Mode) {
    let config = config().ping_interval(SECOND).pong_timeout(SECOND).buffer(20_000);
    let mut rig = Rig::with(mode, |builder| builder.config(config));
    rig.advance(SECOND);
    let Some(Frame::Ping(payload)) = rig.peer(1).received().pop() else { panic!("no ping") };
    (0..10_000).for_each(|_| rig.peer(1).send_unseen(text("x")));
    rig.peer(1).send_unseen(Frame::Pong(payload));
    rig.world.advance(60 * SECOND);
    rig.settle();
    rig.peer(1).look_at_socket();
    rig.look_again();
    assert_eq!(rig.phase(), Phase::Live);
}

/// L3: whole frames are none of a ping's answer, however a poll ends that reads them.
fn frames_of_many_polls_do_not_answer_a_ping(mode: Mode) {
    let config = config().ping_interval(SECOND).pong_timeout(2 * SECOND);
    let mut rig = Rig::with(mode, |builder| builder.config(config));
    let long = "x".repeat(300 * 1024);
    for _ in 0..6 {
        rig.peer(1).send(text(&long));
        rig.peer(1).send_bytes(long.len() as u64);
        rig.settle();
        rig.drain();
        rig.advance(SECOND / 2);
    }
    assert_eq!(rig.drain(), ["interrupted 1 pong_timeout"]);
}

/// L1, L3: the clocks are as exact as for a frame.
fn bytes_that_are_no_whole_frame_count_from_when_they_came(mode: Mode) {
    let mut rig = Rig::with(mode, |builder| builder.config(config().idle_timeout(2 * SECOND)));
    for _ in 0..10 {
        rig.world.advance(SECOND);
        rig.peer(1).send_bytes(1);
        rig.settle();
    }
    rig.world.advance(SECOND);
    rig.settle();
    assert_eq!(rig.phase(), Phase::Live);
    // Two seconds after the last of them, not after the deadline that they moved.
    rig.world.advance(SECOND);
    rig.settle();
    rig.look_again();
    assert_eq!(rig.phase(), Phase::Waiting);
}
