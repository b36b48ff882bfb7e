//! Log lines: what they say, and what they must not (T3).
#![allow(clippy::unwrap_used, reason = "the lint does not know that the cases are tests")]

mod common;

use std::io::{Read, pipe};
use std::sync::Arc;

use common::{Dial, Mode, Rig, SECOND, World, builder, config};
use tidegate_driver::core::{CloseFrame, Failure, Frame};
use tracing::Level;

/// Every secret says `hush`.
fn run(mode: Mode) {
    let world = World::default();
    world.next_dial(Dial::Fail(Failure::rejected(503, None)));
    let builder = builder(&world)
        .config(config().telemetry_id("prices"))
        .header("authorization", "hush")
        .on_upgrade(|_| Ok(["hush"]));
    let mut rig = Rig::new(mode, &world, builder);
    rig.advance(SECOND);
    rig.peer().send("hush");
    let _ = rig.drain();
    rig.peer().send(Frame::Ping(b"hush".to_vec().into()));
    rig.peer().send(Frame::Close(Some(CloseFrame { code: 1008, reason: "hush".to_owned() })));
    rig.peer().end();
    rig.settle();
    rig.advance(SECOND);
    rig.handle.shutdown();
    rig.settle();
    rig.advance(SECOND);
}

/// One test for both modes: `tracing` remembers for the whole process which lines are wanted.
#[test]
fn log_lines_hold_no_secret() {
    for mode in [Mode::Task, Mode::Stream] {
        let (mut read, write) = pipe().unwrap();
        let log = tracing_subscriber::fmt().with_max_level(Level::TRACE).with_ansi(false);
        tracing::subscriber::with_default(log.with_writer(Arc::new(write)).finish(), || run(mode));
        let mut lines = String::new();
        read.read_to_string(&mut lines).unwrap();
        assert!(!lines.contains("hush"), "{lines}");
        for expected in [
            "url=\"wss://feed.example:8443/v1\"",
            "feed=\"prices\" event=\"success\"",
            "event=\"failure\" connection=1 reason=\"rejected\"",
            "event=\"disconnected\" connection=2 reason=\"closed\"",
            "event=\"disconnected\" connection=3 reason=\"shutdown\"",
            "event=\"status\" live=true",
            "event=\"stopped\" reason=\"shutdown\"",
        ] {
            assert!(lines.contains(expected), "{expected} is not in\n{lines}");
        }
        // What the application asked for is no problem.
        for line in lines.lines().filter(|line| line.contains("reason=\"shutdown\"")) {
            assert!(line.contains("INFO"), "{line}");
        }
    }
}
