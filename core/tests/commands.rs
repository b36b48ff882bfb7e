//! Commands of the application to its handler (H6).

mod common;

use common::{Bench, at, interrupted, live, opened, patient, sent};
use tidegate_core::{
    CommandError, CommandHandler, Context, Delivery, Failure, Fault, FrameHandler, Message, Overflow, Phase,
    SendError, StopReason, Upgrade,
};

/// Answers commands: `send:x` sends x or emits why not, `item:x` emits x, and there are `fault` and `fatal`.
struct Obedient;

impl FrameHandler for Obedient {
    type Session = ();
    type Item = String;

    fn on_upgrade(&mut self, upgrade: &mut Upgrade<'_>) -> Result<(), Fault> {
        upgrade.send("subscribe");
        Ok(())
    }

    fn on_message(
        &mut self,
        (): &mut (),
        message: Message,
        cx: &mut Context<'_, String>,
    ) -> Result<(), Fault> {
        cx.emit(message.as_text().unwrap_or_default().into());
        Ok(())
    }
}

impl CommandHandler for Obedient {
    type Command = &'static str;

    fn on_command(
        &mut self,
        session: Option<&mut ()>,
        command: &'static str,
        cx: &mut Context<'_, String>,
    ) -> Result<(), Fault> {
        match command.split_once(':').unwrap_or((command, "")) {
            ("send", text) => match cx.send(text) {
                Ok(()) => assert!(session.is_some()),
                Err(SendError::NotLive(_)) => cx.emit(format!("{text} not sent")),
                Err(error) => panic!("{error}"),
            },
            ("item", text) => cx.emit(text.into()),
            ("fault", _) => return Err(Fault::retryable("told to")),
            _ => return Err(Fault::fatal("told to")),
        }
        Ok(())
    }
}

fn items(bench: &mut Bench<Obedient>) -> Vec<String> {
    bench.deliveries().into_iter().filter_map(Delivery::into_item).collect()
}

#[test]
fn h6_a_command_reaches_the_handler_in_every_phase() {
    let mut bench = Bench::new(patient(), Obedient);
    bench.request(99);
    let tell = |bench: &mut Bench<Obedient>, phase| {
        bench.assert_phase(phase);
        assert_eq!(bench.feed.command("send:hello", at(0)), Ok(()));
        bench.assert_phase(phase);
        sent(&bench.actions())
    };
    assert_eq!(tell(&mut bench, Phase::Idle), [""; 0]);
    bench.start();
    assert_eq!(tell(&mut bench, Phase::Connecting), [""; 0]);
    assert_eq!(items(&mut bench), ["hello not sent", "hello not sent"]);
    bench.connected();
    assert_eq!(tell(&mut bench, Phase::Bootstrapping), ["hello"]);
    bench.flushed();
    assert_eq!(tell(&mut bench, Phase::Live), ["hello"]);
    bench.frame(tidegate_core::Frame::Close(None));
    assert_eq!(tell(&mut bench, Phase::Closing), [""; 0]);
    bench.lost();
    assert_eq!(tell(&mut bench, Phase::Waiting), [""; 0]);
    assert_eq!(items(&mut bench), ["hello not sent", "hello not sent"]);
    bench.shutdown();
    assert_eq!(bench.feed.command("item:x", at(0)), Err(CommandError::Stopped("item:x")));
    assert_eq!(items(&mut bench), [""; 0]);
}

#[test]
fn h6_items_without_a_connection_are_between_the_markers() {
    let mut bench = Bench::new(patient(), Obedient);
    bench.connect();
    bench.flushed();
    bench.deliveries();
    bench.lost();
    bench.feed.command("item:alone", at(0)).expect("there is room");
    bench.expire();
    bench.connected();
    bench.flushed();
    let end = interrupted(1, Failure::io("connection reset"));
    let alone = Delivery::Item("alone".to_owned());
    assert_eq!(bench.request(9).deliveries(), [end, alone, opened(2), live(2)]);
}

#[test]
fn d3_a_full_queue_takes_no_command_unless_a_policy_makes_room() {
    for (overflow, passes) in [
        (Overflow::Pause, false),
        (Overflow::Disconnect, false),
        (Overflow::DropOldest, true),
        (Overflow::DropNewest, true),
    ] {
        let mut bench = Bench::new(patient().buffer(2).overflow(overflow), Obedient);
        bench.feed.command("item:a", at(0)).expect("there is room");
        bench.feed.command("item:b", at(0)).expect("there is room");
        assert_eq!(bench.feed.takes_commands(), passes, "{overflow:?}");
        let refused = Err(CommandError::Full("item:c"));
        assert_eq!(
            bench.feed.command("item:c", at(0)),
            if passes { Ok(()) } else { refused },
            "{overflow:?}"
        );
        assert_eq!(bench.feed.stats().queued, 2);
        // Reading goes on once half is taken.
        bench.request(1);
        bench.deliveries();
        assert!(bench.feed.takes_commands(), "{overflow:?}");
    }
}

#[test]
fn h6_a_fault_ends_the_connection_and_without_one_only_a_fatal_fault_counts() {
    let mut bench = Bench::new(patient(), Obedient);
    bench.connect();
    bench.flushed();
    assert_eq!(bench.feed.command("fault", at(0)), Ok(()));
    bench.assert_phase(Phase::Closing);
    assert_eq!(bench.feed.command("fault", at(0)), Ok(()));
    bench.assert_phase(Phase::Closing);
    bench.actions();
    bench.lost();
    bench.expire();
    bench.assert_phase(Phase::Connecting);
    assert_eq!(bench.feed.command("fatal", at(0)), Ok(()));
    assert!(matches!(bench.feed.stopped(), Some(StopReason::Fatal { .. })));
    assert_eq!(common::names(&bench.actions()), ["Abort", "stopped"]);
    assert_eq!(bench.feed.connection(), None);
}

#[test]
fn s1_a_fatal_fault_of_a_command_does_not_cut_a_shutdown_short() {
    let mut bench = Bench::new(patient(), Obedient);
    bench.connect();
    bench.shutdown();
    assert_eq!(bench.feed.command("fatal", at(0)), Ok(()));
    bench.assert_phase(Phase::Closing);
    bench.lost();
    assert_eq!(bench.feed.stopped(), Some(&StopReason::Shutdown));
}

#[test]
fn a_command_that_was_not_passed_on_comes_back() {
    assert_eq!(CommandError::Full(7).into_command(), 7);
    assert_eq!(CommandError::Full(7).to_string(), "the command was not passed on: the queue is full");
    assert_eq!(CommandError::Stopped(7).into_command(), 7);
    assert_eq!(CommandError::Stopped(7).to_string(), "the command was not passed on: the feed has stopped");
}
