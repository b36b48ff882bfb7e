//! No verdict without a look at the socket: second looks, and bytes of unfinished frames.
#![allow(clippy::unwrap_used, reason = "the lint does not know that the cases are tests")]

mod common;

use common::{Mode, Rig, SECOND, World, builder, config, in_both_modes};
use tidegate_driver::core::{ConfigBuilder, Context, Fault, Frame, FrameHandler, Message, Phase, Upgrade};

in_both_modes!(
    what_waits_in_the_socket_is_read_before_a_verdict,
    an_acknowledgement_that_waits_in_the_socket_is_in_time,
    a_ping_needs_no_second_look,
    a_backlog_is_read_before_a_verdict,
    frames_after_a_failed_write_put_no_verdict_off,
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
        let world = World::slow_to_look();
        let mut rig = Rig::new(mode, &world, builder(&world).config(clock(config())));
        rig.advance(SECOND);
        world.advance(60 * SECOND);
        if let Some(Frame::Ping(payload)) = rig.peer().received().pop() {
            rig.peer().send(Frame::Pong(payload));
        }
        rig.peer().send("it was there");
        rig.settle();
        assert_eq!(rig.phase(), Phase::Live, "no verdict yet");
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

    fn on_upgrade(&mut self, upgrade: &mut Upgrade<'_>) -> Result<(), Fault> {
        upgrade.wait_for_ready();
        Ok(())
    }

    fn on_message(&mut self, _: &mut (), _: Message, cx: &mut Context<'_, Message>) -> Result<(), Fault> {
        cx.ready();
        Ok(())
    }
}

/// B3 too.
fn an_acknowledgement_that_waits_in_the_socket_is_in_time(mode: Mode) {
    let world = World::slow_to_look();
    let mut rig = Rig::new(mode, &world, builder(&world).handler(Acknowledged));
    world.advance(60 * SECOND);
    rig.peer().send("subscribed");
    rig.settle();
    rig.look_again();
    assert_eq!(rig.phase(), Phase::Live);
}

fn a_ping_needs_no_second_look(mode: Mode) {
    let mut rig = Rig::with(mode, |builder| builder.config(config().ping_interval(SECOND)));
    rig.world.advance(SECOND);
    rig.settle();
    assert!(matches!(rig.peer().received()[..], [Frame::Ping(_)]));
}

/// L2: more than is read in one poll.
fn a_backlog_is_read_before_a_verdict(mode: Mode) {
    let config = config().ping_interval(SECOND).pong_timeout(SECOND).buffer(20_000);
    let world = World::slow_to_look();
    let mut rig = Rig::new(mode, &world, builder(&world).config(config));
    rig.advance(SECOND);
    world.advance(60 * SECOND);
    let Some(Frame::Ping(payload)) = rig.peer().received().pop() else { panic!("no ping") };
    rig.send_items(0..10_000);
    rig.peer().send(Frame::Pong(payload));
    rig.settle();
    rig.look_again();
    assert_eq!(rig.phase(), Phase::Live);
}

/// L2: the verdict comes within a second of its deadline, which is a tenth of a second after the ping.
fn frames_after_a_failed_write_put_no_verdict_off(mode: Mode) {
    let config = config().ping_interval(SECOND).pong_timeout(SECOND / 10);
    let mut rig = Rig::with(mode, |builder| builder.config(config));
    rig.world.advance(SECOND);
    rig.settle();
    let peer = rig.peer();
    peer.break_writing();
    peer.send(Frame::Ping("cannot be answered".into()));
    let mut waited = std::time::Duration::ZERO;
    while rig.phase() == Phase::Live {
        assert!(waited < SECOND * 12 / 10, "put off for {waited:?}");
        peer.send("x");
        rig.world.advance(SECOND / 1100);
        waited += SECOND / 1100;
        rig.settle();
        rig.drain();
    }
}

/// L3: whole frames are none of a ping's answer, however a poll ends that reads them.
fn frames_of_many_polls_do_not_answer_a_ping(mode: Mode) {
    let config = config().ping_interval(SECOND).pong_timeout(2 * SECOND);
    let mut rig = Rig::with(mode, |builder| builder.config(config));
    let long = "x".repeat(300 * 1024);
    for _ in 0..6 {
        rig.peer().send(long.as_str());
        rig.peer().send_bytes(long.len() as u64);
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
        rig.peer().send_bytes(1);
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
