//! Handlers around other handlers: what the inner one sees, and what a layer may change (H4).

mod common;

use std::convert::Infallible;
use std::time::Duration;

use common::{Bench, Puppet, at, id, item, live, opened, patient, sent};
use proptest::collection::vec;
use proptest::prelude::*;
use tidegate_core::{
    CommandHandler, Config, Connected, Context, Deadline, Event, Failure, Fault, Frame, FrameHandler,
    InnerTimer, Machine, Message, TimerKey, Timestamp, Upgrade,
};
use tidegate_rules::{Numbers, Script, Then};

/// A layer that does with some messages as it likes, and hides them from its inner handler.
struct Layer<H> {
    inner: H,
    /// Consumes messages that begin with this byte. None if there is none.
    takes: Option<u8>,
    /// A timer fires this long after each of them.
    after: Duration,
}

impl<H> Layer<H> {
    /// Does nothing.
    const fn idle(inner: H) -> Self {
        Self { inner, takes: None, after: Duration::ZERO }
    }
}

const OWN: TimerKey = TimerKey(0);

impl<H: FrameHandler> FrameHandler for Layer<H> {
    type Session = H::Session;
    type Item = H::Item;

    fn on_upgrade(&mut self, upgrade: &mut Upgrade<'_>) -> Result<H::Session, Fault> {
        self.inner.on_upgrade(&mut upgrade.lend())
    }

    fn on_message(
        &mut self,
        session: &mut H::Session,
        message: Message,
        cx: &mut Context<'_, H::Item>,
    ) -> Result<(), Fault> {
        if self.takes.is_some() && message.payload().first().copied() == self.takes {
            cx.set_timer_in(OWN, self.after);
            return Ok(());
        }
        self.inner.on_message(session, message, &mut cx.lend())
    }

    fn on_timer(
        &mut self,
        _: &mut H::Session,
        _: TimerKey,
        cx: &mut Context<'_, H::Item>,
    ) -> Result<(), Fault> {
        _ = cx.send(format!("layer {:?}", self.takes));
        Ok(())
    }

    fn on_inner_timer(
        &mut self,
        session: &mut H::Session,
        timer: InnerTimer,
        cx: &mut Context<'_, H::Item>,
    ) -> Result<(), Fault> {
        timer.fire(&mut self.inner, session, &mut cx.lend())
    }

    fn on_live(&mut self, session: &mut H::Session, cx: &mut Context<'_, Infallible>) -> Result<(), Fault> {
        self.inner.on_live(session, &mut cx.lend())
    }

    fn on_end(&mut self, session: H::Session, why: Option<&Failure>) {
        self.inner.on_end(session, why);
    }

    fn weight(item: &H::Item) -> usize {
        H::weight(item)
    }
}

impl<H: CommandHandler> CommandHandler for Layer<H> {
    type Command = H::Command;

    fn on_command(
        &mut self,
        session: Option<&mut H::Session>,
        command: H::Command,
        cx: &mut Context<'_, H::Item>,
    ) -> Result<(), Fault> {
        self.inner.on_command(session, command, &mut cx.lend())
    }
}

/// Something that happens to a feed.
#[derive(Clone, Debug)]
enum Op {
    Message(Script),
    /// One that a layer may take.
    Taken(u8),
    Command(Script),
    Connected,
    Flushed,
    Lost,
    Take,
    Request,
    Advance(u64),
    Tick,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let then = prop_oneof![
        4 => Just(Then::Nothing),
        2 => Just(Then::Reply),
        4 => Just(Then::Wake),
        2 => Just(Then::Cancel),
        4 => Just(Then::Ready),
        1 => Just(Then::Reconnect),
        1 => Just(Then::Fault),
    ];
    let script = (0..3_u8, 0..9_u16, then).prop_map(|(emit, weight, then)| Script { emit, weight, then });
    let op = prop_oneof![
        8 => script.clone().prop_map(Op::Message),
        4 => prop_oneof![Just(b'a'), Just(b'b')].prop_map(Op::Taken),
        2 => script.prop_map(Op::Command),
        3 => Just(Op::Connected),
        3 => Just(Op::Flushed),
        1 => Just(Op::Lost),
        4 => Just(Op::Take),
        2 => Just(Op::Request),
        6 => (1..20_u64).prop_map(Op::Advance),
        6 => Just(Op::Tick),
    ];
    vec(op, 0..120)
}

/// Everything that can be seen of a feed of `handler` to which `ops` happen.
fn seen<H>(handler: H, ops: &[Op]) -> Vec<String>
where
    H: CommandHandler<Item = tidegate_rules::Item, Command = Script>,
{
    let config = Config::builder().buffer(4).build().expect("it is valid");
    let mut feed = Machine::new(config, handler, 0);
    let mut now = Timestamp::ZERO;
    let mut seen = Vec::new();
    feed.handle(Event::Start, now);
    for op in ops {
        let id = id(feed.stats().attempts);
        match op {
            Op::Message(script) if feed.wants_frames() => {
                feed.handle(Event::Frame { id, frame: script.frame() }, now);
            }
            Op::Taken(byte) if feed.wants_frames() => {
                feed.handle(Event::Frame { id, frame: vec![*byte].into() }, now);
            }
            Op::Message(_) | Op::Taken(_) => {}
            Op::Command(script) => seen.push(format!("{:?}", feed.command(*script, now))),
            Op::Connected => feed.handle(Event::Connected { id, connected: Connected::default() }, now),
            Op::Flushed => feed.handle(Event::Flushed { id }, now),
            Op::Lost => feed.handle(Event::Lost { id, failure: Failure::io("lost") }, now),
            Op::Take => seen.push(format!("{:?}", feed.poll_delivery(now))),
            Op::Request => feed.request(3),
            Op::Advance(millis) => now = now.saturating_add(Duration::from_millis(*millis)),
            Op::Tick => {
                if let Deadline::At(at) = feed.deadline() {
                    now = now.max(at);
                }
                // In whole milliseconds, so that no two layers are due at the same instant.
                now = Timestamp::from_millis(now.as_millis() + 1);
                feed.handle(Event::Tick, now);
            }
        }
        seen.extend(std::iter::from_fn(|| feed.poll_action()).map(|action| format!("{action:?}")));
        seen.extend(std::iter::from_fn(|| feed.poll_send(id)).map(|frame| match frame {
            Frame::Message(message) => format!("{:?}", message.payload()),
            other @ (Frame::Ping(_) | Frame::Pong(_) | Frame::Close(_)) => format!("{other:?}"),
        }));
        seen.push(format!("{} {:?}", feed.phase(), feed.stats()));
    }
    seen
}

fn numbers(declares: bool) -> Numbers {
    Numbers { bootstrap: 1, declares, wakes: Some(7), ..Numbers::default() }
}

proptest! {
    #[test]
    fn a_layer_that_does_nothing_changes_nothing(ops in ops(), declares in any::<bool>()) {
        let alone = seen(numbers(declares), &ops);
        prop_assert_eq!(&seen(Layer::idle(numbers(declares)), &ops), &alone);
        let mapped = numbers(declares).map(|item| item);
        // It weighs items anew.
        let unweighed = |seen: Vec<String>| -> Vec<String> {
            seen.iter().map(|line| line.split(", queued_bytes").next().unwrap_or_default().to_owned()).collect()
        };
        prop_assert_eq!(unweighed(seen(mapped, &ops)), unweighed(alone));
    }

    #[test]
    fn layers_that_take_different_messages_commute(ops in ops(), declares in any::<bool>()) {
        fn a<H>(inner: H) -> Layer<H> {
            Layer { inner, takes: Some(b'a'), after: Duration::from_micros(3100) }
        }
        fn b<H>(inner: H) -> Layer<H> {
            Layer { inner, takes: Some(b'b'), after: Duration::from_micros(3200) }
        }
        prop_assert_eq!(seen(a(b(numbers(declares))), &ops), seen(b(a(numbers(declares))), &ops));
    }
}

#[test]
fn h4_an_inner_handler_has_timers_of_its_own() {
    let layer = Layer { inner: Puppet::default(), takes: Some(b'!'), after: Duration::from_millis(10) };
    let mut bench = Bench::new(patient(), layer.map(|item| item + "!"));
    bench.connect();
    bench.request(9).flushed();
    bench.text("timer1:5 timer2:20");
    bench.text("!");
    bench.assert_deadline(5);
    bench.at(5).tick();
    assert_eq!(bench.deliveries(), [opened(1), live(1), item("timer1!")]);
    assert_eq!(sent(&bench.at(10).tick()), ["layer Some(33)"]);
    bench.at(20).tick();
    assert_eq!(bench.deliveries(), [item("timer2!")]);
    bench.assert_no_deadline();
}

/// Lends its context, and forgets the inner handler's timers.
struct Forgetful(Puppet);

impl FrameHandler for Forgetful {
    type Session = <Puppet as FrameHandler>::Session;
    type Item = String;

    fn on_upgrade(&mut self, upgrade: &mut Upgrade<'_>) -> Result<Self::Session, Fault> {
        self.0.on_upgrade(&mut upgrade.lend())
    }

    fn on_message(
        &mut self,
        session: &mut Self::Session,
        message: Message,
        cx: &mut Context<'_, String>,
    ) -> Result<(), Fault> {
        self.0.on_message(session, message, &mut cx.lend())
    }
}

#[test]
fn h4_a_layer_that_forgets_its_inner_handlers_timers_ends_the_feed() {
    let handler = Forgetful(Puppet { timer_at_upgrade: Some(at(5)), ..Puppet::default() });
    let mut bench = Bench::new(patient(), handler);
    bench.connect();
    bench.at(5).tick();
    bench.lost();
    let reason = bench.feed.stopped().map(ToString::to_string).unwrap_or_default();
    assert!(reason.contains("implement on_inner_timer"), "{reason}");
}

#[test]
fn b2_each_handler_that_waits_declares_itself_ready() {
    struct Waits(Puppet);
    impl FrameHandler for Waits {
        type Session = <Puppet as FrameHandler>::Session;
        type Item = String;

        fn on_upgrade(&mut self, upgrade: &mut Upgrade<'_>) -> Result<Self::Session, Fault> {
            upgrade.wait_for_ready();
            self.0.on_upgrade(&mut upgrade.lend())
        }

        fn on_message(
            &mut self,
            session: &mut Self::Session,
            message: Message,
            cx: &mut Context<'_, String>,
        ) -> Result<(), Fault> {
            if message.as_text() == Some("outer") {
                cx.ready();
                return Ok(());
            }
            self.0.on_message(session, message, &mut cx.lend())
        }
    }
    for (first, second) in [("outer", "ready"), ("ready", "outer")] {
        let mut bench = Bench::new(patient(), Waits(Puppet::default().declares()));
        bench.connect();
        bench.flushed();
        bench.text(first);
        bench.text(first);
        bench.assert_phase(tidegate_core::Phase::Bootstrapping);
        bench.text(second);
        bench.assert_phase(tidegate_core::Phase::Live);
    }
}
