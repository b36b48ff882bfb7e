//! Sending: only while Live, on one connection only, bounded (O1-O3).

mod common;

use bytes::Bytes;
use common::{Asked, Bench, Puppet, at, id, names, patient, sent, text};
use tidegate_core::{Connected, Event, Frame, Message, Phase, SendError};

fn live() -> Bench<Puppet> {
    let mut bench = Bench::new(patient().send_buffer(2), Puppet::default());
    bench.connect();
    bench
}

#[test]
fn o1_what_is_sent_while_live_goes_out_in_order() {
    let mut bench = Bench::new(patient(), Puppet::default());
    bench.connect();
    bench.feed.send("a").unwrap();
    bench.feed.send(vec![1, 2]).unwrap();
    // On no other connection.
    assert_eq!([1, 2].map(|number| bench.feed.wants_to_send(id(number))), [true, false]);
    assert_eq!(bench.feed.poll_send(id(2)), None);
    let send = |frame| Asked::Write(id(1), frame);
    let binary = Frame::Message(Message::Binary(Bytes::from_static(&[1, 2])));
    assert_eq!(bench.actions(), [send(text("a")), send(binary)]);
    assert!(!bench.feed.wants_to_send(id(1)));
}

#[test]
fn o1_in_any_other_phase_the_message_comes_back() {
    let mut bench = Bench::new(patient(), Puppet::bootstraps(&["a"]));
    let mut refused_in = Vec::new();
    let mut check = |bench: &mut Bench<Puppet>| {
        assert_eq!(bench.feed.send("x"), Err(SendError::NotLive("x".into())), "{}", bench.feed.phase());
        assert_eq!(bench.actions(), []);
        refused_in.push(bench.feed.phase());
    };
    check(&mut bench);
    bench.start();
    check(&mut bench);
    bench.connected();
    check(&mut bench);
    bench.flushed();
    bench.feed.send("now").unwrap();
    bench.frame(Frame::Close(None));
    check(&mut bench);
    bench.lost();
    check(&mut bench);
    bench.shutdown();
    check(&mut bench);
    let all_but_live: Vec<Phase> = Phase::ALL.into_iter().filter(|phase| *phase != Phase::Live).collect();
    assert_eq!(refused_in, [0, 1, 2, 3, 4, 5].map(|index| all_but_live[index]));
}

#[test]
fn o1_what_was_accepted_on_one_connection_is_never_sent_on_a_later_one() {
    let mut bench = live();
    bench.feed.send("accepted, and not taken before the loss").unwrap();
    bench.feed.handle(Event::Lost { id: id(1), failure: common::broken() }, at(0));
    bench.feed.handle(Event::Tick, at(100));
    bench.feed.handle(Event::Connected { id: id(2), connected: Connected::default() }, at(100));
    bench.assert_phase(Phase::Live);
    assert_eq!(sent(&bench.actions()), [""; 0]);
}

#[test]
fn o1_nor_through_a_closing_handshake() {
    for end in [Event::Lost { id: id(1), failure: common::broken() }, Event::Tick] {
        let mut bench = live();
        bench.feed.send("x").unwrap();
        bench.feed.handle(Event::Frame { id: id(1), frame: Frame::Close(None) }, at(0));
        bench.feed.handle(end, at(1000));
        assert_eq!(names(&bench.actions()).iter().filter(|name| ["Send", "Close"].contains(name)).count(), 0);
    }
}

#[test]
fn o3_the_bound_counts_until_the_flush_and_full_gives_the_message_back() {
    let mut bench = live();
    bench.feed.send("a").unwrap();
    bench.feed.send("b").unwrap();
    assert_eq!(bench.feed.send("c"), Err(SendError::Full("c".into())));
    assert_eq!(sent(&bench.actions()), ["a", "b"]);
    assert_eq!(bench.feed.send("c"), Err(SendError::Full("c".into())), "taken is not flushed");
    bench.flushed();
    bench.feed.send("c").unwrap();
    bench.feed.send("d").unwrap();
    bench.feed.send("e").unwrap_err();
}

#[test]
fn o3_a_flush_counts_only_what_was_taken() {
    let mut bench = live();
    bench.feed.send("a").unwrap();
    assert_eq!(names(&bench.actions()), ["Send"]);
    bench.feed.send("b").unwrap();
    bench.feed.handle(Event::Flushed { id: id(1) }, at(0));
    bench.feed.send("c").unwrap();
    bench.feed.send("d").unwrap_err();
}

#[test]
fn o3_a_new_connection_has_the_whole_bound() {
    let mut bench = live();
    bench.feed.send("a").unwrap();
    bench.feed.send("b").unwrap();
    bench.lost();
    bench.connect();
    bench.feed.send("c").unwrap();
    bench.feed.send("d").unwrap();
    bench.feed.send("e").unwrap_err();
}

#[test]
fn text_that_is_not_utf8_comes_back() {
    let mut bench = live();
    let bad = Message::Text(Bytes::from_static(b"\xff"));
    let error = bench.feed.send(bad.clone()).unwrap_err();
    assert_eq!(error, SendError::NotUtf8(bad.clone()));
    assert_eq!(error.into_message(), bad);
    bench.feed.send(Message::Binary(Bytes::from_static(b"\xff"))).unwrap();
}

#[test]
fn nothing_of_a_payload_is_shown() {
    let shown = format!("{:?} {:?}", Message::from("secret"), SendError::NotLive("secret".into()));
    assert!(!shown.contains("secret"), "{shown}");
    assert!(!format!("{:?}", text("secret")).contains("secret"), "T3");
}
