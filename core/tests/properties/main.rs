//! Properties: whatever happens, in whatever order, the rules hold after every step.

mod model;
mod setup;

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use bytes::Bytes;
use model::{Broken, Call, Model, Output, View, data};
use proptest::prelude::*;
use proptest::test_runner::Config as Runs;
use setup::{FrameOp, Numbers, Op, Setup, Who, ops, setups};
use tidegate_core::{
    Action, ConnectionId, Deadline, Event, Failure, Feed, Frame, Phase, TRANSITIONS, Timestamp, Transition,
};

proptest! {
    #![proptest_config(Runs { cases: Runs::default().cases.max(1200), failure_persistence: None, ..Runs::default() })]

    /// P1-P3, C1, C2, C5, R2, R4, R7, B1, B2, B4, L2, H1, H2, D1-D4, O1, O3, S2, T1, T2.
    #[test]
    fn the_rules_hold_whatever_happens(setup in setups(), ops in ops()) {
        let mut run = Run::new(setup);
        let outcome = catch_unwind(AssertUnwindSafe(|| run.all(&ops)));
        let verdict = outcome.unwrap_or_else(|panic| {
            let words = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
            Err(format!("panic: {}", words.unwrap_or("without words")))
        });
        if let Err(broken) = verdict {
            return Err(TestCaseError::fail(format!("{broken}\n{}", run.log())));
        }
    }
}

/// A feed, its model, and everything that was done to it.
struct Run {
    setup: Setup,
    feed: Feed<Numbers>,
    model: Model,
    now: Timestamp,
    steps: Vec<Step>,
    last_ping: Bytes,
    sends: u64,
}

struct Step {
    call: Call,
    outputs: Vec<Output>,
    moved: Option<(Phase, Phase)>,
    /// Whether the machine must be the same without it (C2, P2).
    idle: bool,
}

impl Run {
    fn new(setup: Setup) -> Self {
        Self {
            feed: feed(&setup),
            model: Model::new(setup.clone()),
            setup,
            now: Timestamp::ZERO,
            steps: Vec::new(),
            last_ping: Bytes::new(),
            sends: 0,
        }
    }

    fn all(&mut self, ops: &[Op]) -> Result<(), Broken> {
        for op in ops {
            self.op(op)?;
        }
        self.call(Call::Request(1_000_000))?;
        self.take(u16::MAX)?;
        self.model.finish(&View::of(&self.feed))?;
        self.replay()
    }

    fn op(&mut self, op: &Op) -> Result<(), Broken> {
        match op {
            Op::Natural => self.natural(),
            Op::Start => self.event(Event::Start),
            Op::Connected(who) => self.event(Event::Connected { id: self.id(*who) }),
            Op::ConnectFailed(who, kind) => {
                self.event(Event::ConnectFailed { id: self.id(*who), failure: failure(*kind) })
            }
            Op::Frame(who, frame) => self.frame(*who, *frame),
            Op::Heard(who, ago) => {
                let at = self.now.as_nanos().saturating_sub(ago * 1_000_000);
                self.event(Event::Heard { id: self.id(*who), at: Timestamp::from_nanos(at) })
            }
            Op::ProtocolError(who) => {
                self.event(Event::ProtocolError { id: self.id(*who), code: 1002, detail: "x".to_owned() })
            }
            Op::Flushed(who) => self.event(Event::Flushed { id: self.id(*who) }),
            Op::Lost(who) => self.event(Event::Lost { id: self.id(*who), failure: broken() }),
            Op::Tick => self.event(Event::Tick),
            Op::TickAtDeadline(late) => self.tick_at_deadline(*late),
            Op::Advance(millis) => {
                self.advance(*millis);
                Ok(())
            }
            Op::Shutdown => self.event(Event::Shutdown),
            Op::Panicked => self.event(Event::HandlerPanicked),
            Op::Send { taken } => self.send(*taken),
            Op::Request(count) => self.call(Call::Request(*count)),
            Op::Take(count) => self.take((*count).into()),
        }
    }

    fn natural(&mut self) -> Result<(), Broken> {
        let id = self.id(Who::Current);
        match self.feed.phase() {
            Phase::Idle => self.event(Event::Start),
            Phase::Connecting => self.event(Event::Connected { id }),
            Phase::Bootstrapping => self.event(Event::Flushed { id }),
            Phase::Live => self.take(2),
            Phase::Closing => self.event(Event::Lost { id, failure: broken() }),
            Phase::Waiting => self.tick_at_deadline(0),
            Phase::Stopped => Ok(()),
        }
    }

    /// The connection meant; one that never was if there is none.
    fn id(&self, who: Who) -> ConnectionId {
        let last = self.feed.stats().attempts;
        ConnectionId::new(match who {
            Who::Current => last,
            Who::Earlier => last.saturating_sub(1),
            Who::Later => last + 1,
        })
    }

    fn frame(&mut self, who: Who, frame: FrameOp) -> Result<(), Broken> {
        let frame = match frame {
            FrameOp::Data { script, rude } => {
                if !rude && !self.feed.wants_frames() {
                    return Ok(());
                }
                data(script)
            }
            FrameOp::Ping => Frame::Ping(Bytes::new()),
            FrameOp::Pong { answer: true } => Frame::Pong(self.last_ping.clone()),
            FrameOp::Pong { answer: false } => Frame::Pong(Bytes::from_static(b"unsolicited")),
            FrameOp::Close => Frame::Close(None),
        };
        self.event(Event::Frame { id: self.id(who), frame })
    }

    fn tick_at_deadline(&mut self, late: u64) -> Result<(), Broken> {
        if let Deadline::At(deadline) = self.feed.deadline() {
            self.now = self.now.max(deadline);
        }
        self.advance(late);
        self.event(Event::Tick)
    }

    fn advance(&mut self, millis: u64) {
        self.now = self.now.saturating_add(Duration::from_millis(millis));
    }

    /// The frame is taken at once, or only after the next event.
    fn send(&mut self, taken: bool) -> Result<(), Broken> {
        self.sends += 1;
        self.call(Call::Send(self.sends))?;
        if taken { self.call(Call::Drain) } else { Ok(()) }
    }

    fn take(&mut self, most: u16) -> Result<(), Broken> {
        for _ in 0..most {
            self.call(Call::Take(self.now))?;
            if self.steps.last().is_some_and(|step| step.outputs.is_empty()) {
                break;
            }
        }
        Ok(())
    }

    fn event(&mut self, event: Event) -> Result<(), Broken> {
        self.call(Call::Handle(event, self.now))
    }

    fn call(&mut self, call: Call) -> Result<(), Broken> {
        let before = View::of(&self.feed);
        self.steps.push(Step { call: call.clone(), outputs: Vec::new(), moved: None, idle: false });
        tell(&mut self.feed, &call);
        let outputs = take_outputs(&mut self.feed, &call);
        let after = View::of(&self.feed);
        for output in &outputs {
            if let Output::Action(Action::Send { frame: Frame::Ping(payload), .. }) = output {
                self.last_ping = payload.clone();
            }
        }
        let verdict = self.model.step(&call, &before, &outputs, &after);
        if let Some(step) = self.steps.last_mut() {
            step.outputs = outputs;
            step.moved = Some((before.phase, after.phase)).filter(|(from, to)| from != to);
            step.idle = is_idle(&call, &before, &after);
        }
        verdict
    }

    /// P3: the same log gives the same outputs. C2, P2: so it does without what changes nothing.
    fn replay(&self) -> Result<(), Broken> {
        let (mut twin, mut spared) = (feed(&self.setup), feed(&self.setup));
        for Step { call, outputs, idle, .. } in &self.steps {
            tell(&mut twin, call);
            if take_outputs(&mut twin, call) != *outputs {
                return Err(format!("P3: {call:?} does not give {outputs:?} again"));
            }
            if !idle {
                tell(&mut spared, call);
            }
            if take_outputs(&mut spared, call) != *outputs {
                return Err(format!("C2, P2: a stale event or an early Tick had consequences at {call:?}"));
            }
        }
        Ok(())
    }

    fn log(&self) -> String {
        let mut log = String::from("event log:\n");
        for Step { call, outputs, .. } in &self.steps {
            // A payload is not shown by its type, but here it is the script.
            _ = if let Call::Handle(Event::Frame { id, frame: Frame::Binary(script) }, now) = call {
                writeln!(log, "  Handle(Frame {id}: {:?}, {now:?})", &script[..])
            } else {
                writeln!(log, "  {call:?}")
            };
            for output in outputs {
                _ = writeln!(log, "      -> {output:?}");
            }
        }
        log
    }
}

fn feed(setup: &Setup) -> Feed<Numbers> {
    Feed::new(setup.config(), setup.handler.clone(), setup.seed)
}

fn tell(feed: &mut Feed<Numbers>, call: &Call) {
    match call {
        Call::Handle(event, now) => feed.handle(event.clone(), *now),
        Call::Request(count) => feed.request(*count),
        Call::Send(_) | Call::Take(_) | Call::Drain => {}
    }
}

/// What the call gives back, and the actions that follow; those of a send wait for the next call.
fn take_outputs(feed: &mut Feed<Numbers>, call: &Call) -> Vec<Output> {
    let mut outputs = Vec::new();
    match call {
        Call::Send(number) => {
            let id = feed.connection().map_or(0, ConnectionId::get);
            return vec![Output::Accepted(feed.send(format!("s {number} {id}")).is_ok())];
        }
        Call::Take(now) => outputs.extend(feed.poll_delivery(*now).map(Output::Delivery)),
        Call::Handle(..) | Call::Request(_) | Call::Drain => {}
    }
    outputs.extend(std::iter::from_fn(|| feed.poll_action()).map(Output::Action));
    outputs
}

fn is_idle(call: &Call, before: &View, after: &View) -> bool {
    let early = matches!(call, Call::Handle(Event::Tick, now) if before.deadline > Deadline::At(*now));
    early || after.stats.stale_events > before.stats.stale_events
}

fn broken() -> Failure {
    Failure::Io { detail: "reset".into() }
}

fn failure(kind: u8) -> Failure {
    match kind {
        0 => Failure::rejected(404, None),
        1 | 2 => Failure::rejected(503, Some(Duration::from_millis(30))),
        _ => Failure::Tcp { detail: "refused".into() },
    }
}

const CONNECTED: Op = Op::Connected(Who::Current);
const FLUSHED: Op = Op::Flushed(Who::Current);
const LOST: Op = Op::Lost(Who::Current);
const CLOSE: Op = Op::Frame(Who::Current, FrameOp::Close);
const REFUSED: Op = Op::ConnectFailed(Who::Current, 9);
const DUE: Op = Op::TickAtDeadline(0);

#[test]
fn every_transition_occurs() {
    let scripts: [(Option<u32>, &[Op]); 10] = [
        (None, &[Op::Shutdown]),
        (None, &[Op::Start, Op::Shutdown]),
        (None, &[Op::Start, REFUSED, Op::Shutdown]),
        (None, &[Op::Start, REFUSED, DUE, CONNECTED]),
        (None, &[Op::Start, CONNECTED, LOST]),
        (None, &[Op::Start, CONNECTED, CLOSE, LOST]),
        (Some(0), &[Op::Start, CONNECTED, LOST]),
        (None, &[Op::Start, CONNECTED, FLUSHED, LOST]),
        (Some(0), &[Op::Start, CONNECTED, FLUSHED, LOST]),
        (None, &[Op::Start, CONNECTED, FLUSHED, Op::Shutdown, DUE]),
    ];
    let mut moves = Vec::new();
    for (max_retries, ops) in scripts {
        let mut run = Run::new(Setup::plain(max_retries));
        run.all(ops).unwrap_or_else(|broken| panic!("{broken}\n{}", run.log()));
        moves.extend(run.steps.iter().filter_map(|step| step.moved));
    }
    for Transition { from, to, cause } in TRANSITIONS {
        assert!(moves.contains(&(*from, *to)), "{from} to {to} ({cause}) never occurs");
    }
}

#[test]
fn every_transition_is_listed_once() {
    for (index, row) in TRANSITIONS.iter().enumerate() {
        let again = TRANSITIONS[index + 1..].iter().any(|other| (other.from, other.to) == (row.from, row.to));
        assert!(!again, "{} to {}", row.from, row.to);
    }
}
