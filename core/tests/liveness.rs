//! Liveness: the idle, ping/pong and stale clocks (L1-L6).

mod common;

use bytes::Bytes;
use common::{Bench, Puppet, at, close, id, live, ms, names, notices, opened, patient, ping, text};
use tidegate_core::{
    ConnectionFailure, Deadline, Delivery, Event, Failure, Frame, LocalFailure, Message, Notice, PassThrough,
    Phase, Timestamp,
};

fn just_before(millis: u64) -> Timestamp {
    Timestamp::from_nanos(at(millis).as_nanos() - 1)
}

fn idle(millis: u64) -> Bench<PassThrough> {
    let mut bench = Bench::plain(patient().idle_timeout(ms(millis)));
    bench.connect();
    bench
}

fn pinging() -> Bench<PassThrough> {
    let mut bench = Bench::plain(patient().ping_interval(ms(100)).pong_timeout(ms(40)));
    bench.connect();
    bench
}

#[test]
fn l1_every_inbound_frame_counts_as_heard() {
    let frames = [
        text("x"),
        Frame::Message(Message::Binary(Bytes::from_static(b"x"))),
        Frame::Ping(Bytes::new()),
        Frame::Pong(Bytes::new()),
    ];
    for frame in frames {
        let mut bench = idle(1000);
        bench.at(400).frame(frame.clone());
        bench.assert_deadline(1400);
        bench.at(1000).tick();
        bench.assert_phase(Phase::Live);
    }
}

/// A long frame, or fragments of one: the peer is there, whatever becomes of the frame.
#[test]
fn l1_bytes_of_a_frame_that_is_not_whole_count_from_when_they_were_read() {
    let mut bench = idle(1000);
    bench.at(1000).heard(400);
    bench.assert_deadline(1400);
    assert_eq!(bench.tick(), []);
    bench.heard(300);
    bench.assert_deadline(1400);
    bench.at(1100).heard(5000);
    bench.assert_deadline(2100);
}

#[test]
fn l1_what_goes_out_does_not_count_as_heard() {
    let mut bench = idle(1000);
    bench.at(500).feed.send("x").unwrap();
    bench.flushed();
    bench.assert_deadline(1000);
}

#[test]
fn l1_the_clock_starts_with_the_upgrade_and_runs_during_bootstrap() {
    let mut bench = Bench::new(patient().idle_timeout(ms(1000)), Puppet::bootstraps(&["a"]));
    bench.start();
    bench.at(30).connected();
    bench.assert_deadline(1030);
    assert_eq!(names(&bench.at(1030).tick()), ["failure", "Abort", "retry"]);
}

#[test]
fn l2_the_connection_fails_at_exactly_last_heard_plus_timeout() {
    let mut bench = idle(1000);
    let heard = Timestamp::from_nanos(123_456_789);
    bench.at_time(heard).text("x");
    let exact = heard.saturating_add(ms(1000));
    assert_eq!(bench.feed.deadline(), exact.into());
    assert_eq!(bench.at_time(Timestamp::from_nanos(exact.as_nanos() - 1)).tick(), []);
    bench.assert_phase(Phase::Live);
    bench.at_time(exact).tick();
    bench.assert_phase(Phase::Waiting);
}

#[test]
fn l2_silence_is_detected_once() {
    let mut bench = idle(1000);
    let actions = bench.at(1000).tick();
    assert_eq!(names(&actions), ["status", "timeout", "Abort", "retry"]);
    let id = id(1);
    assert!(
        notices(&actions)
            .contains(&Notice::Timeout { id, failure: Failure::Connection(ConnectionFailure::IdleTimeout) })
    );
    assert_eq!(bench.tick(), []);
}

#[test]
fn l3_a_ping_goes_out_every_interval_while_pongs_come() {
    let mut bench = pinging();
    for round in 1..=5 {
        bench.assert_deadline(round * 100);
        assert_eq!(bench.at_time(just_before(round * 100)).tick(), []);
        let payload = ping(&bench.at(round * 100).tick());
        bench.assert_deadline(round * 100 + 40);
        bench.at(round * 100 + 30).frame(Frame::Pong(payload));
    }
}

#[test]
fn l3_a_pong_gives_the_round_trip_time() {
    let mut bench = pinging();
    let payload = ping(&bench.at(100).tick());
    let actions = bench.at(123).frame(Frame::Pong(payload));
    assert_eq!(notices(&actions), [Notice::Pong { id: id(1), round_trip: ms(23) }]);
    assert_eq!(bench.feed.stats().round_trip, Some(ms(23)));
}

#[test]
fn l3_a_ping_without_an_answer_ends_the_connection_at_pong_timeout() {
    let mut bench = pinging();
    bench.at(100).tick();
    assert_eq!(bench.at_time(just_before(140)).tick(), []);
    let actions = bench.at(140).tick();
    assert_eq!(names(&actions), ["status", "timeout", "Abort", "retry"]);
    assert!(
        notices(&actions).contains(&Notice::Timeout {
            id: id(1),
            failure: Failure::Connection(ConnectionFailure::PongTimeout)
        }),
        "{actions:?}"
    );
}

#[test]
fn l3_a_pong_may_wait_behind_a_frame_that_is_not_whole_but_not_behind_whole_ones() {
    let mut bench = pinging();
    bench.at(100).tick();
    bench.at(130).text("other frames are no answer");
    bench.assert_deadline(140);
    bench.at(140).heard(135);
    bench.assert_deadline(175);
    bench.at(175).tick();
    bench.assert_phase(Phase::Waiting);
}

/// A verdict waits until what has arrived has been read; a ping does not.
#[test]
fn l2_a_failure_has_a_deadline_of_its_own() {
    let mut bench = pinging();
    bench.assert_deadline(100);
    assert_eq!(bench.feed.failure_deadline(), Deadline::Never);
    bench.at(100).tick();
    assert_eq!(bench.feed.failure_deadline(), bench.feed.deadline());
}

#[test]
fn l3_only_the_pong_to_the_ping_that_is_out_is_an_answer() {
    let mut bench = pinging();
    let first = ping(&bench.at(100).tick());
    assert_eq!(bench.at(110).frame(Frame::Pong(Bytes::from_static(b"unsolicited"))), []);
    bench.at(110).frame(Frame::Pong(first.clone()));
    let second = ping(&bench.at(200).tick());
    assert_ne!(first, second);
    assert_eq!(bench.at(210).frame(Frame::Pong(first)), [], "late, and no answer to the second");
    bench.at(240).tick();
    bench.assert_phase(Phase::Waiting);
}

#[test]
fn l3_an_answer_slower_than_the_interval_does_not_pile_up_pings() {
    let mut bench = Bench::plain(patient().ping_interval(ms(100)).pong_timeout(ms(500)));
    bench.connect();
    let payload = ping(&bench.at(100).tick());
    assert_eq!(bench.at(300).tick(), [], "one ping at a time");
    bench.at(350).frame(Frame::Pong(payload));
    ping(&bench.expire());
}

#[test]
fn l3_pings_go_out_during_bootstrap_too() {
    let config = patient().ping_interval(ms(100));
    let mut bench = Bench::new(config, Puppet::default().declares());
    bench.connect();
    bench.assert_phase(Phase::Bootstrapping);
    ping(&bench.at(100).tick());
}

#[test]
fn l4_a_mute_feed_ends_though_frames_still_come() {
    let mut bench = Bench::new(patient().stale_after(ms(1000)), Puppet::default());
    bench.at(10).connect();
    bench.at(500).text("");
    bench.at(700).text("send:reply");
    bench.at(900).frame(Frame::Ping(Bytes::new()));
    bench.assert_deadline(1010);
    assert_eq!(bench.at_time(just_before(1010)).tick(), []);
    let actions = bench.at(1010).tick();
    assert_eq!(names(&actions), ["status", "timeout", "Close"], "a peer that talks answers a Close");
    assert_eq!(actions[2], close(1, 1000));
    bench.lost();
    assert_eq!(bench.feed.stats().retries, 1);
}

#[test]
fn l4_an_item_restarts_the_stale_clock() {
    let mut bench = Bench::new(patient().stale_after(ms(1000)), Puppet::default());
    bench.connect();
    bench.at(700).text("item:a");
    bench.assert_deadline(1700);
}

#[test]
fn l4_before_live_no_item_is_owed() {
    let mut bench = Bench::new(patient().stale_after(ms(100)), Puppet::default().declares());
    bench.connect();
    bench.assert_deadline(10_000);
    bench.at(5000).text("ready");
    bench.assert_deadline(5100);
}

/// Live from 0 with a queue of two, filled at 600 ms: reading is paused.
fn paused(config: tidegate_core::ConfigBuilder) -> Bench<Puppet> {
    let mut bench = Bench::new(config.buffer(2), Puppet::default());
    bench.connect();
    bench.deliveries();
    bench.at(600).text("item:a item:b");
    assert!(!bench.feed.wants_frames());
    bench
}

#[test]
fn l5_while_reading_is_paused_the_clocks_stand_still() {
    let all = patient().idle_timeout(ms(1000)).ping_interval(ms(700)).stale_after(ms(1000));
    let mut bench = paused(all);
    bench.assert_no_deadline();
    assert_eq!(bench.at(1_000_000).tick(), []);
    bench.assert_phase(Phase::Live);
}

#[test]
fn l5_on_resume_the_clocks_start_from_now() {
    let table = [
        (patient().idle_timeout(ms(1000)), 6000),
        (patient().ping_interval(ms(700)), 5700),
        (patient().stale_after(ms(1000)), 6000),
    ];
    for (config, deadline) in table {
        let mut bench = paused(config);
        bench.at(5000).request(9);
        assert_eq!(bench.deliveries().len(), 2);
        assert!(bench.feed.wants_frames());
        bench.assert_deadline(deadline);
    }
}

#[test]
fn l5_a_pong_that_could_not_be_read_has_its_whole_time_again() {
    let mut bench =
        Bench::new(patient().ping_interval(ms(500)).pong_timeout(ms(300)).buffer(1), Puppet::default());
    bench.connect();
    bench.at(500).tick();
    bench.at(700).text("item:a");
    bench.at(5000).request(1).deliveries();
    bench.assert_deadline(5300);
}

#[test]
fn l5_the_notices_tell_how_long_reading_was_held_back() {
    let mut bench = paused(patient());
    bench.at(2600).request(1).deliveries();
    let id = id(1);
    assert_eq!(notices(&bench.actions()), [Notice::Resumed { id, paused_for: ms(2000) }]);
}

#[test]
fn l5_max_pause_bounds_a_pause() {
    let mut bench = paused(patient().idle_timeout(ms(100_000)).max_pause(ms(3000)));
    bench.assert_deadline(3600);
    assert_eq!(bench.at_time(just_before(3600)).tick(), []);
    let actions = bench.at(3600).tick();
    assert_eq!(names(&actions), ["status", "disconnected", "Abort", "retry"]);
    let failure = Some(Failure::Local(LocalFailure::Overflow));
    assert!(notices(&actions).contains(&Notice::Disconnected { id: id(1), failure }));
}

#[test]
fn l5_a_connection_made_while_the_queue_is_full_is_not_read_and_not_judged() {
    let mut bench = paused(patient().idle_timeout(ms(1000)));
    bench.lost();
    bench.at(1000).connect();
    bench.assert_phase(Phase::Live);
    assert!(!bench.feed.wants_frames());
    bench.assert_no_deadline();
    bench.at(9000).request(9).deliveries();
    bench.assert_deadline(10_000);
}

#[test]
fn l6_a_frame_moves_no_deadline_but_the_one_that_depends_on_it() {
    // The ping clock does not hear frames; were clocks re-armed by each, it would move.
    let mut bench = pinging();
    bench.at(60).text("x");
    bench.assert_deadline(100);
    bench.request(9);
    assert_eq!(bench.deliveries(), [opened(1), live(1), Delivery::Item("x".into())]);
    bench.assert_deadline(100);
}

#[test]
fn a_tick_that_comes_very_late_finds_one_death() {
    let config = patient().idle_timeout(ms(1000)).ping_interval(ms(500)).stale_after(ms(800));
    let mut bench = Bench::plain(config);
    bench.connect();
    assert_eq!(names(&bench.at(1_000_000).tick()), ["status", "timeout", "Abort", "retry"]);
}

#[test]
fn clocks_of_an_old_connection_do_not_outlive_it() {
    let mut bench = idle(1000);
    bench.at(10).lost();
    bench.at(110).tick();
    bench.at(120).connected();
    bench.assert_deadline(1120);
    assert_eq!(bench.at(1000).hand_in(Event::Tick), []);
}
