//! No verdict without a look at the socket: second looks, bytes that are no whole frame, and Close after a violation.
#![allow(clippy::unwrap_used, reason = "the lint does not know that the cases are tests")]

mod common;

use common::{InStream, InTask, Mode, Rig, SECOND, World, builder, config, in_both_modes, text};
use tidegate_driver::core::{
    CloseFrame, ConfigBuilder, ConnectionFailure, Context, Failure, Fault, Frame, FrameHandler, Message,
    Phase, Readiness, Upgrade,
};

in_both_modes!(
    what_waits_in_the_socket_is_read_before_a_verdict,
    an_acknowledgement_that_waits_in_the_socket_is_in_time,
    silence_is_still_a_verdict,
    a_ping_needs_no_second_look,
    a_backlog_is_read_before_a_verdict,
    frames_of_many_polls_do_not_answer_a_ping,
    bytes_that_are_no_whole_frame_count_from_when_they_came,
    a_violation_is_answered_with_close_before_the_connection_goes,
);

/// L2: a process that was stopped finds the deadline passed, and its runtime has not looked at the socket.
fn what_waits_in_the_socket_is_read_before_a_verdict<M: Mode>() {
    let clocks: [fn(ConfigBuilder) -> ConfigBuilder; 3] = [
        |config| config.idle_timeout(2 * SECOND),
        |config| config.stale_after(2 * SECOND),
        |config| config.ping_interval(SECOND).pong_timeout(SECOND),
    ];
    for clock in clocks {
        let world = World::default();
        let mut rig = Rig::new::<M, _>(&world, builder(&world).config(clock(config())));
        rig.advance(SECOND);
        if let Some(Frame::Ping(payload)) = rig.peer(1).received().pop() {
            rig.peer(1).send_unseen(Frame::Pong(payload));
        }
        rig.peer(1).send_unseen(text("it was there"));
        world.advance(60 * SECOND);
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
fn an_acknowledgement_that_waits_in_the_socket_is_in_time<M: Mode>() {
    let world = World::default();
    let mut rig = Rig::new::<M, _>(&world, builder(&world).handler(Acknowledged));
    rig.peer(1).send_unseen(text("subscribed"));
    world.advance(60 * SECOND);
    rig.settle();
    rig.peer(1).look_at_socket();
    rig.look_again();
    assert_eq!(rig.phase(), Phase::Live);
}

fn silence_is_still_a_verdict<M: Mode>() {
    let world = World::default();
    let mut rig = Rig::new::<M, _>(&world, builder(&world).config(config().idle_timeout(2 * SECOND)));
    world.advance(2 * SECOND);
    rig.settle();
    assert_eq!(rig.phase(), Phase::Live);
    rig.look_again();
    assert_eq!(rig.drain(), ["live 1", "interrupted 1 idle_timeout"]);
}

fn a_ping_needs_no_second_look<M: Mode>() {
    let world = World::default();
    let mut rig = Rig::new::<M, _>(&world, builder(&world).config(config().ping_interval(SECOND)));
    world.advance(SECOND);
    rig.settle();
    assert!(matches!(rig.peer(1).received()[..], [Frame::Ping(_)]));
}

/// L2: more than is read in one poll.
fn a_backlog_is_read_before_a_verdict<M: Mode>() {
    let world = World::default();
    let config = config().ping_interval(SECOND).pong_timeout(SECOND).buffer(20_000);
    let mut rig = Rig::new::<M, _>(&world, builder(&world).config(config));
    rig.advance(SECOND);
    let Some(Frame::Ping(payload)) = rig.peer(1).received().pop() else { panic!("no ping") };
    (0..10_000).for_each(|_| rig.peer(1).send_unseen(text("x")));
    rig.peer(1).send_unseen(Frame::Pong(payload));
    world.advance(60 * SECOND);
    rig.settle();
    rig.peer(1).look_at_socket();
    rig.look_again();
    assert_eq!(rig.phase(), Phase::Live);
}

/// L3: whole frames are none of a ping's answer, however a poll ends that reads them.
fn frames_of_many_polls_do_not_answer_a_ping<M: Mode>() {
    let world = World::default();
    let config = config().ping_interval(SECOND).pong_timeout(2 * SECOND);
    let mut rig = Rig::new::<M, _>(&world, builder(&world).config(config));
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
fn bytes_that_are_no_whole_frame_count_from_when_they_came<M: Mode>() {
    let world = World::default();
    let mut rig = Rig::new::<M, _>(&world, builder(&world).config(config().idle_timeout(2 * SECOND)));
    for _ in 0..10 {
        world.advance(SECOND);
        rig.peer(1).send_bytes(1);
        rig.settle();
    }
    world.advance(SECOND);
    rig.settle();
    assert_eq!(rig.phase(), Phase::Live);
    // Two seconds after the last of them, not after the deadline that they moved.
    world.advance(SECOND);
    rig.settle();
    rig.look_again();
    assert_eq!(rig.phase(), Phase::Waiting);
}

/// C6.
fn a_violation_is_answered_with_close_before_the_connection_goes<M: Mode>() {
    let world = World::default();
    let mut rig = Rig::new::<M, _>(&world, builder(&world));
    rig.peer(1).send(text("before it"));
    rig.peer(1).fail(Failure::Connection(ConnectionFailure::Protocol {
        code: 1007,
        detail: "not UTF-8".to_owned(),
    }));
    rig.settle();
    assert_eq!(rig.peer(1).received(), [Frame::Close(Some(CloseFrame::new(1007)))]);
    assert_eq!(rig.phase(), Phase::Closing);
    assert_eq!(rig.drain(), ["live 1", "before it", "interrupted 1 protocol"]);
    rig.peer(1).end();
    rig.settle();
    assert_eq!(rig.phase(), Phase::Waiting);
    assert!(!rig.peer(1).is_open());
}
