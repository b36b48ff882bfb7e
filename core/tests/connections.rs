//! Connections and phases: one at a time, ids, stale events, timeouts, and the closing handshake (C1-C5, P1-P3).

mod common;

use common::{Asked, Bench, Puppet, at, broken, close, id, ms, names, notices, patient, refused, text};
use tidegate_core::{
    Action, CloseFrame, ConnectFailure, Connected, ConnectionFailure, ConnectionId, Deadline, Delivery,
    Event, Failure, Frame, Machine, Notice, PassThrough, Phase, Timestamp,
};

#[test]
fn c1_start_dials_once() {
    let mut bench = Bench::plain(patient());
    assert_eq!(
        bench.start(),
        [
            Asked::Do(Action::Notify(Notice::Connecting { id: id(1) })),
            Asked::Do(Action::Connect { id: id(1) })
        ]
    );
    assert_eq!(bench.start(), []);
    bench.connected();
    assert_eq!(bench.start(), []);
}

#[test]
fn c1_an_attempt_that_overruns_is_dropped_before_the_next_is_made() {
    let mut bench = Bench::plain(patient().connect_timeout(ms(500)));
    bench.start();
    assert_eq!(names(&bench.expire()), ["failure", "Abort", "retry"]);
    assert_eq!(names(&bench.expire()), ["connecting", "Connect"]);
}

#[test]
fn c1_no_new_connection_while_the_old_one_is_closing() {
    let mut bench = Bench::new(patient().close_timeout(ms(1000)), Puppet::default());
    bench.connect();
    bench.text("reconnect");
    assert_eq!(bench.at(999).tick(), []);
    assert_eq!(names(&bench.at(1000).tick()), ["Abort", "retry"]);
    assert_eq!(names(&bench.expire()), ["connecting", "Connect"]);
}

#[test]
fn c2_ids_increase_strictly_from_one() {
    let mut bench = Bench::plain(patient());
    bench.start();
    for number in 1..=20 {
        assert_eq!(bench.feed.connection(), Some(id(number)));
        if number % 2 == 0 {
            bench.connected();
            bench.lost();
        } else {
            bench.connect_failed(refused());
        }
        bench.expire();
    }
}

fn about(id: ConnectionId) -> [Event; 7] {
    [
        Event::Connected { id, connected: Connected::default() },
        Event::ConnectFailed { id, failure: refused() },
        Event::Frame { id, frame: text("x") },
        Event::Heard { id, at: at(0) },
        Event::ProtocolError { id, code: 1002, detail: "x".to_owned() },
        Event::Flushed { id },
        Event::Lost { id, failure: broken() },
    ]
}

/// A bench in each phase, the third connection being current where there is one.
fn in_each_phase() -> Vec<Bench<Puppet>> {
    let reach: [fn(&mut Bench<Puppet>); 7] = [
        |_| (),
        |bench| third(bench),
        |bench| {
            third(bench);
            bench.connected();
        },
        |bench| {
            third(bench);
            bench.connected();
            bench.flushed();
        },
        |bench| {
            third(bench);
            bench.connected();
            bench.frame(Frame::Close(None));
        },
        |bench| {
            third(bench);
            bench.connect_failed(refused());
        },
        |bench| {
            third(bench);
            bench.shutdown();
        },
    ];
    let benches = reach.map(|reach| {
        let mut bench = Bench::new(patient().idle_timeout(ms(5000)), Puppet::bootstraps(&["a"]));
        reach(&mut bench);
        bench
    });
    let phases = benches.each_ref().map(|bench| bench.feed.phase());
    assert_eq!(phases, Phase::ALL);
    benches.into()
}

fn third(bench: &mut Bench<Puppet>) {
    bench.start();
    bench.connect_failed(refused());
    bench.expire();
    bench.connect_failed(refused());
    bench.expire();
}

#[test]
fn c2_an_event_about_another_connection_changes_nothing_and_is_counted() {
    for mut bench in in_each_phase() {
        let (phase, deadline) = (bench.feed.phase(), bench.feed.deadline());
        let before = bench.feed.stats();
        for event in [id(1), id(2), id(4), id(0)].into_iter().flat_map(about) {
            assert_eq!(bench.hand_in(event.clone()), [], "{phase}: {event:?}");
            assert_eq!(bench.feed.phase(), phase, "{event:?}");
            assert_eq!(bench.feed.deadline(), deadline, "{phase}: {event:?}");
        }
        let mut after = before;
        after.stale_events += 28;
        assert_eq!(bench.feed.stats(), after, "{phase}");
    }
}

#[test]
fn c2_an_event_that_cannot_happen_in_the_phase_changes_nothing_and_is_counted() {
    for mut bench in in_each_phase() {
        let phase = bench.feed.phase();
        let impossible: &[usize] = match phase {
            Phase::Connecting => &[2, 3, 4, 5, 6],
            Phase::Bootstrapping | Phase::Live | Phase::Closing => &[0, 1],
            Phase::Idle | Phase::Waiting | Phase::Stopped => &[0, 1, 2, 3, 4, 5, 6],
        };
        for &index in impossible {
            let before = bench.feed.stats().stale_events;
            let event = about(id(3))[index].clone();
            assert_eq!(bench.hand_in(event.clone()), [], "{phase}: {event:?}");
            assert_eq!(bench.feed.phase(), phase, "{event:?}");
            assert_eq!(bench.feed.stats().stale_events, before + 1, "{phase}: {event:?}");
        }
    }
}

#[test]
fn c3_connect_timeout_is_one_deadline_from_the_dial() {
    let mut bench = Bench::plain(patient().connect_timeout(ms(300)));
    bench.at(40).start();
    bench.assert_deadline(340);
    assert_eq!(bench.at(339).tick(), []);
    let actions = bench.at(340).tick();
    let failure = Failure::Connect(ConnectFailure::Timeout);
    assert_eq!(notices(&actions)[0], Notice::Failure { id: id(1), failure });
    assert_eq!(actions[1], Asked::Do(Action::Abort { id: id(1) }));
}

#[test]
fn c5_the_peers_close_is_answered_with_its_code() {
    let table = [
        (None, None),
        (Some(CloseFrame { code: 1001, reason: "going away".into() }), Some(CloseFrame::new(1001))),
        (Some(CloseFrame::new(4000)), Some(CloseFrame::new(4000))),
    ];
    for (received, answer) in table {
        let mut bench = Bench::plain(patient());
        bench.connect();
        let actions = bench.frame(Frame::Close(received.clone()));
        assert_eq!(names(&actions), ["status", "disconnected", "Close"]);
        assert_eq!(actions[2], Asked::Write(id(1), Frame::Close(answer)));
        let failure = Some(Failure::Connection(ConnectionFailure::Closed(received)));
        assert_eq!(notices(&actions)[1], Notice::Disconnected { id: id(1), failure });
    }
}

#[test]
fn c5_a_peer_that_closes_and_keeps_tcp_open_holds_nothing_up() {
    let mut bench = Bench::plain(patient().close_timeout(ms(200)));
    bench.connect();
    bench.at(50).frame(Frame::Close(None));
    bench.assert_deadline(250);
    bench.at(240).text("still talking");
    assert_eq!(bench.at(249).tick(), []);
    assert_eq!(names(&bench.at(250).tick()), ["Abort", "retry"]);
}

#[test]
fn c5_once_the_socket_is_gone_nothing_waits_for_the_timeout() {
    let mut bench = Bench::plain(patient());
    bench.connect();
    bench.frame(Frame::Close(None));
    assert_eq!(names(&bench.at(3).lost()), ["retry"], "there is nothing left to abort");
    bench.assert_deadline(103);
}

#[test]
fn c5_a_closing_connection_is_read_so_that_the_peers_close_is_seen() {
    let mut bench = Bench::new(patient().buffer(1), Puppet::default());
    bench.connect();
    bench.text("item:a");
    assert!(!bench.feed.wants_frames());
    bench.shutdown();
    assert!(bench.feed.wants_frames());
    assert_eq!(bench.text("item:b"), []);
    assert_eq!(bench.frame(Frame::Close(Some(CloseFrame::new(1000)))), []);
    bench.assert_phase(Phase::Closing);
}

#[test]
fn c6_a_peer_that_breaks_the_protocol_is_closed_with_the_code() {
    let mut bench = Bench::plain(patient().close_timeout(ms(200)));
    bench.connect();
    let detail = || "a text message is not UTF-8".to_owned();
    let actions = bench.at(50).hand_in(Event::ProtocolError { id: id(1), code: 1007, detail: detail() });
    assert_eq!(names(&actions), ["status", "disconnected", "Close"]);
    assert_eq!(actions[2], close(1, 1007));
    let failure = Some(Failure::Connection(ConnectionFailure::Protocol { code: 1007, detail: detail() }));
    assert_eq!(notices(&actions)[1], Notice::Disconnected { id: id(1), failure });
    bench.assert_deadline(250);
    assert_eq!(names(&bench.at(250).tick()), ["Abort", "retry"]);
}

#[test]
fn c6_a_peer_that_breaks_the_protocol_while_closing_is_waited_for_no_longer() {
    let mut bench = Bench::plain(patient());
    bench.connect();
    bench.frame(Frame::Close(None));
    let garbage = Event::ProtocolError { id: id(1), code: 1002, detail: "x".to_owned() };
    assert_eq!(names(&bench.hand_in(garbage)), ["Abort", "retry"]);
}

#[test]
fn p1_every_phase_but_idle_stopped_and_an_unwatched_live_has_a_deadline() {
    for bench in in_each_phase() {
        let never = matches!(bench.feed.phase(), Phase::Idle | Phase::Stopped);
        assert_eq!(bench.feed.deadline() == Deadline::Never, never, "{}", bench.feed.phase());
    }
    let mut bench = Bench::plain(patient());
    bench.connect();
    bench.assert_no_deadline();
}

#[test]
fn p2_a_tick_leaves_no_deadline_due_and_an_early_one_changes_nothing() {
    for mut bench in in_each_phase() {
        for _ in 0..20 {
            let Deadline::At(deadline) = bench.feed.deadline() else { break };
            let early = Timestamp::from_nanos(deadline.as_nanos() - 1);
            let (phase, before) = (bench.feed.phase(), bench.feed.stats());
            assert_eq!(bench.at_time(early).tick(), [], "{phase}");
            assert_eq!((bench.feed.phase(), bench.feed.stats()), (phase, before));
            assert_eq!(bench.feed.deadline(), deadline.into(), "{phase}");
            bench.at_time(deadline).tick();
            assert!(bench.feed.deadline() > deadline.into(), "{phase}");
        }
    }
}

#[test]
fn time_that_runs_backwards_stands_still() {
    let mut bench = Bench::plain(patient().idle_timeout(ms(1000)));
    bench.at(500).connect();
    bench.at(100).text("x");
    bench.assert_deadline(1500);
}

#[test]
fn a_deadline_of_never_sorts_last() {
    assert!(Deadline::At(Timestamp::from_nanos(u64::MAX)) < Deadline::Never);
    assert_eq!(Deadline::Never.min(Deadline::At(at(5))), Deadline::At(at(5)));
    assert!(!Deadline::Never.is_due(Timestamp::from_nanos(u64::MAX)));
    assert_eq!(Deadline::after(at(5), None), Deadline::Never);
    assert_eq!(at(u64::MAX).saturating_add(ms(1)), Timestamp::from_nanos(u64::MAX));
    assert_eq!(at(1).saturating_since(at(2)), ms(0));
}

#[test]
fn a_timestamp_is_a_number_of_nanoseconds() {
    let time = Timestamp::from_nanos(2_500_000);
    assert_eq!((time.as_nanos(), time.as_millis()), (2_500_000, 2));
    assert_eq!(at(3), Timestamp::from_nanos(3_000_000));
}

#[test]
fn a_feed_can_move_to_another_thread_and_its_events_stay_small() {
    fn is_send<T: Send>() {}
    is_send::<Machine<PassThrough>>();
    is_send::<Delivery<tidegate_core::Message>>();
    // What is moved once per frame. Growth here is paid by every message.
    assert!(size_of::<Event>() <= 96, "{}", size_of::<Event>());
    assert!(size_of::<Action>() <= 96, "{}", size_of::<Action>());
}

#[test]
fn an_abort_is_never_preceded_by_what_it_makes_pointless() {
    let mut bench = Bench::new(patient(), Puppet::default());
    bench.connect();
    bench.feed.send("never taken").unwrap();
    bench.feed.handle(Event::Frame { id: id(1), frame: text("reconnect") }, at(0));
    bench.feed.handle(Event::Tick, at(1000));
    assert_eq!(names(&bench.actions()), ["status", "disconnected", "Abort", "retry"]);
}

#[test]
fn a_close_goes_out_after_the_frames_before_it() {
    let mut bench = Bench::new(patient(), Puppet::default());
    bench.connect();
    bench.feed.send("first").unwrap();
    let actions = bench.text("send:second reconnect");
    assert_eq!(names(&actions), ["status", "disconnected", "Send", "Send", "Close"]);
    assert_eq!(actions[4], close(1, 1000));
}
