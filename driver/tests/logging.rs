//! Log lines: what is in them, and what must not be (T3).
#![allow(clippy::unwrap_used, reason = "the lint does not know that the cases are tests")]

mod common;

use std::cell::RefCell;
use std::fmt::{Debug, Write};
use std::sync::Once;

use common::{Dial, Mode, Rig, SECOND, URL, World, config, in_both_modes, text};
use tidegate_driver::FeedBuilder;
use tidegate_driver::core::{CloseFrame, Failure, Frame};
use tracing::field::{Field, Visit};
use tracing::span;

in_both_modes!(tracing_holds_no_secret);

thread_local! {
    static LINES: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Writes each event on a line of its own, message and fields, for the thread it happens in.
///
/// There is one for the whole process: `tracing` remembers for each place in the code whether anybody listens, and with
/// one listener per thread a thread without one may be what it remembers.
struct Lines;

impl tracing::Subscriber for Lines {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = format!("{} {}", event.metadata().level(), event.metadata().target());
        event.record(&mut Fields(&mut line));
        LINES.with_borrow_mut(|lines| {
            lines.push_str(&line);
            lines.push('\n');
        });
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

/// T3: everything secret here says `hush`.
fn tracing_holds_no_secret(mode: Mode) {
    static LISTENER: Once = Once::new();
    LISTENER.call_once(|| tracing::subscriber::set_global_default(Lines).unwrap());
    let world = World::with(Dial::Refuse(Failure::rejected(503, None)));
    let builder = FeedBuilder::new(world.clone(), URL)
        .config(config().telemetry_id("prices"))
        .header("authorization", "hush")
        .on_upgrade(|_| Ok(["hush"]));
    let mut rig = Rig::new(mode, &world, builder);
    rig.advance(SECOND);
    rig.peer(1).send(text("hush"));
    let _ = rig.drain();
    rig.peer(1).send(Frame::Ping(b"hush".to_vec().into()));
    rig.peer(1).send(Frame::Close(Some(CloseFrame { code: 1008, reason: "hush".to_owned() })));
    rig.settle();
    rig.handle.shutdown();
    rig.advance(SECOND);
    let lines = LINES.take();
    assert!(!lines.contains("hush"), "{lines}");
    for expected in [
        "url=\"wss://feed.example:8443/v1\"",
        "feed=\"prices\" event=\"success\"",
        "event=\"failure\" connection=1 reason=\"rejected\"",
        "event=\"disconnected\" connection=2 reason=\"closed\"",
        "event=\"status\" live=true",
        "event=\"stopped\" reason=\"shutdown\"",
    ] {
        assert!(lines.contains(expected), "{expected} is not in\n{lines}");
    }
}
