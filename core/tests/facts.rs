//! Facts about a connection, and the frame that ends it.

mod common;

use common::{Bench, at, close, patient};
use tidegate_core::{
    CloseFrame, CloseFrameError, Connected, Context, Event, Fault, FrameHandler, Headers, Message, Phase,
    StopReason, Upgrade,
};

#[test]
fn a_close_frame_is_checked_before_it_is_sent() {
    let frame = |code, len| CloseFrame { code, reason: "x".repeat(len) };
    for code in [1000, 1003, 1007, 1014, 3000, 4999] {
        assert_eq!(frame(code, 123).check(), Ok(()), "{code}");
    }
    for code in [0, 999, 1004, 1006, 1015, 2999, 5000] {
        assert_eq!(frame(code, 0).check(), Err(CloseFrameError::Code(code)));
        assert!(!CloseFrame::may_be_sent(code));
    }
    assert_eq!(frame(1000, 124).check(), Err(CloseFrameError::Reason { len: 124 }));
    assert!(CloseFrameError::Code(1006).to_string().contains("1006"));
    assert!(CloseFrameError::Reason { len: 124 }.to_string().contains("124 bytes"));
}

#[test]
fn s1_a_shutdown_may_have_its_own_frame() {
    let mut bench = Bench::plain(patient());
    bench.connect();
    bench.flushed();
    bench.feed.shutdown_with(CloseFrame::new(4001), at(0));
    assert!(bench.actions().contains(&close(1, 4001)));
    bench.lost();
    assert_eq!(bench.feed.stopped(), Some(&StopReason::Shutdown));
    let mut bench = Bench::plain(patient());
    bench.feed.shutdown_with(CloseFrame::new(4001), at(0));
    bench.assert_phase(Phase::Stopped);
}

/// Sends what it sees of the answer.
struct Curious;

impl FrameHandler for Curious {
    type Session = ();
    type Item = String;

    fn on_upgrade(&mut self, upgrade: &mut Upgrade<'_>) -> Result<(), Fault> {
        let facts = format!("{:?} {}", upgrade.connected().subprotocol(), upgrade.waits_for_ready());
        upgrade.send(facts);
        upgrade.wait_for_ready();
        let waits = upgrade.waits_for_ready().to_string();
        upgrade.send(waits);
        Ok(())
    }

    fn on_message(&mut self, (): &mut (), _: Message, _: &mut Context<'_, String>) -> Result<(), Fault> {
        Ok(())
    }
}

#[test]
fn h4_a_handler_sees_the_answer_to_the_upgrade() {
    let headers = Headers::from_iter([("Sec-WebSocket-Protocol", b"v2".as_slice())]);
    for (connected, seen) in
        [(Connected::new(headers), "Some(\"v2\") false"), (Connected::default(), "None false")]
    {
        let mut bench = Bench::new(patient(), Curious);
        bench.start();
        let id = bench.id();
        let asked = bench.hand_in(Event::Connected { id, connected });
        assert_eq!(common::sent(&asked), [seen, "true"]);
    }
    assert_eq!(format!("{:?}", Headers::from_iter([("cookie", b"secret".as_slice())])), "[\"cookie\"]");
}
