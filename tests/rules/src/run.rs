//! A feed, driven by operations that a generator draws, and held to the rules at each step.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use tidegate_core::{
    CloseFrame, ConnectFailure, Connected, ConnectionId, Deadline, Event, Failure, Frame, Machine, Phase,
    Timestamp,
};

use crate::call::{Ask, Call, Output, View};
use crate::numbers::{Numbers, Script};
use crate::rule::{Verdict, hold};
use crate::rules::{Rules, Step};
use crate::setup::Setup;

/// Times stay below this, so that deadlines lie after them: 146 years.
const LAST: Timestamp = Timestamp::from_nanos(1 << 62);

/// What happens next. Connections are named relative to the current one, which only the run knows.
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "most are the event, or the call, of that name")]
pub enum Op {
    /// What a calm world would do in this phase.
    Natural,
    Start,
    Connected(Who),
    ConnectFailed(Who, Why),
    Frame(Who, Sort),
    /// Bytes arrived so many nanoseconds ago.
    Heard(Who, u32),
    ProtocolError(Who, u16),
    Flushed(Who),
    Lost(Who, Why),
    Tick,
    /// A tick so many nanoseconds after the deadline.
    TickAtDeadline(u32),
    /// A tick just before the deadline.
    TickTooEarly,
    /// Milliseconds.
    Advance(u8),
    /// Nanoseconds, of any number.
    Leap(u64),
    /// An event whose time lies so many nanoseconds back.
    Backwards(u32),
    Shutdown,
    Panicked,
    RuntimeStopped,
    /// The action is taken at once, or only after the next event.
    Send {
        taken: bool,
    },
    Ask(Ask),
    /// Passed to the handler.
    Command(Script),
    Request(u8),
    RequestAll,
    /// The consumer takes up to so many.
    Take(u8),
}

/// The connection that an event names.
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Who {
    Current,
    Earlier,
    Later,
    Other(u64),
}

/// Which frame it is.
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Sort {
    /// Only while frames are wanted.
    Data(Script),
    /// Whether they are wanted or not.
    Rude(Script),
    Text(String),
    Ping,
    /// To the last ping.
    Answer,
    Pong([u8; 8]),
    Close(Option<u16>),
}

/// Why an attempt failed, or a connection was lost.
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Why {
    Reset,
    Timeout,
    /// In milliseconds.
    Rejected {
        status: u16,
        retry_after: Option<u64>,
    },
}

impl From<Why> for Failure {
    fn from(why: Why) -> Self {
        match why {
            Why::Reset => Self::io("reset"),
            Why::Timeout => Self::Connect(ConnectFailure::Timeout),
            Why::Rejected { status, retry_after } => {
                Self::rejected(status, retry_after.map(Duration::from_millis))
            }
        }
    }
}

/// A feed, the rules that it is held to, and everything that was done to it.
pub struct Run {
    setup: Setup,
    feed: Machine<Numbers>,
    rules: Rules,
    now: Timestamp,
    /// The latest time that the machine was given.
    given: Timestamp,
    /// When the consumer last took something: the machine need not have taken note of it, but no event may come from before.
    asked: Timestamp,
    last_ping: Bytes,
    sends: u64,
    steps: Vec<Past>,
}

/// A step that was taken.
struct Past {
    call: Call,
    now: Timestamp,
    outputs: Vec<Output>,
    moved: (Phase, Phase),
    /// The machine must be the same without it (C2, P2).
    idle: bool,
}

impl Run {
    /// A fresh feed.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        Self {
            feed: setup.feed(),
            rules: Rules::new(&setup),
            setup,
            now: Timestamp::ZERO,
            given: Timestamp::ZERO,
            asked: Timestamp::ZERO,
            last_ping: Bytes::new(),
            sends: 0,
            steps: Vec::new(),
        }
    }

    /// All operations, and then a consumer that takes everything.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn all<'a>(&mut self, ops: impl IntoIterator<Item = &'a Op>) -> Verdict {
        ops.into_iter().try_for_each(|op| self.op(op))?;
        self.call(Call::Request(1 << 40))?;
        self.take(u64::MAX)
    }

    /// The phases that the feed went between.
    pub fn moves(&self) -> impl Iterator<Item = (Phase, Phase)> {
        self.steps.iter().map(|past| past.moved).filter(|(from, to)| from != to)
    }

    /// P3: the same log gives the same outputs. C2, P2: so it does without what changes nothing.
    ///
    /// # Errors
    /// If it does not.
    pub fn replay(&self) -> Verdict {
        let (mut twin, mut spared) = (self.setup.feed(), self.setup.feed());
        for Past { call, now, outputs, idle, .. } in &self.steps {
            hold!(call.make(&mut twin, *now) == *outputs, P3, "{call:?} does not give {outputs:?} again");
            let without = if *idle { &Call::Drain } else { call };
            let same = without.make(&mut spared, *now) == *outputs;
            hold!(same, C2, "a stale event or an early Tick had consequences at {call:?}");
        }
        Ok(())
    }

    /// What was done, and what came of it.
    #[must_use]
    pub fn log(&self) -> String {
        let mut log = format!("{:?}\nevent log:\n", self.setup);
        for Past { call, now, outputs, .. } in &self.steps {
            // A payload is not shown by its type, but here it is the script.
            _ = if let Call::Handle(Event::Frame { id, frame: Frame::Message(message) }) = call {
                writeln!(log, "  {now:?} frame {id}: {:?}", Script::read(message.payload()))
            } else {
                writeln!(log, "  {now:?} {call:?}")
            };
            for output in outputs {
                _ = writeln!(log, "      -> {output:?}");
            }
        }
        log
    }

    fn op(&mut self, op: &Op) -> Verdict {
        match op {
            Op::Natural => self.natural(),
            Op::Start => self.event(Event::Start),
            Op::Connected(who) => {
                self.event(Event::Connected { id: self.id(*who), connected: Connected::default() })
            }
            Op::ConnectFailed(who, why) => {
                self.event(Event::ConnectFailed { id: self.id(*who), failure: (*why).into() })
            }
            Op::Frame(who, sort) => self.frame(self.id(*who), sort),
            Op::Heard(who, ago) => {
                let at = Timestamp::from_nanos(self.now.as_nanos().saturating_sub((*ago).into()));
                self.event(Event::Heard { id: self.id(*who), at })
            }
            Op::ProtocolError(who, code) => {
                self.event(Event::ProtocolError { id: self.id(*who), code: *code, detail: "bad".into() })
            }
            Op::Flushed(who) => self.event(Event::Flushed { id: self.id(*who) }),
            Op::Lost(who, why) => self.event(Event::Lost { id: self.id(*who), failure: (*why).into() }),
            Op::Tick => self.event(Event::Tick),
            Op::TickAtDeadline(late) => self.tick_at_deadline(Duration::from_nanos((*late).into())),
            Op::TickTooEarly => self.tick_too_early(),
            Op::Advance(millis) => self.advance(Duration::from_millis((*millis).into())),
            Op::Leap(nanos) => self.advance(Duration::from_nanos(*nanos)),
            Op::Backwards(nanos) => {
                let earlier = Timestamp::from_nanos(self.now.as_nanos().saturating_sub((*nanos).into()));
                self.call_at(Call::Handle(Event::Tick), earlier.max(self.asked))
            }
            Op::Shutdown => self.event(Event::Shutdown),
            Op::Panicked => self.event(Event::HandlerPanicked),
            Op::RuntimeStopped => self.event(Event::RuntimeStopped),
            Op::Send { taken } => self.send(*taken),
            Op::Ask(ask) => self.call(Call::Ask(*ask)),
            Op::Command(script) => self.call(Call::Command(*script)),
            Op::Request(count) => self.call(Call::Request((*count).into())),
            Op::RequestAll => self.call(Call::Request(u64::MAX)),
            Op::Take(count) => self.take((*count).into()),
        }
    }

    fn natural(&mut self) -> Verdict {
        let id = self.id(Who::Current);
        match self.feed.phase() {
            Phase::Idle => self.event(Event::Start),
            Phase::Connecting => self.event(Event::Connected { id, connected: Connected::default() }),
            Phase::Bootstrapping => self.event(Event::Flushed { id }),
            Phase::Live => self.take(2),
            Phase::Closing => self.event(Event::Lost { id, failure: Why::Reset.into() }),
            Phase::Waiting => self.tick_at_deadline(Duration::ZERO),
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
            Who::Other(id) => id,
        })
    }

    fn frame(&mut self, id: ConnectionId, sort: &Sort) -> Verdict {
        let frame = match sort {
            Sort::Data(_) | Sort::Text(_) if !self.feed.wants_frames() => return Ok(()),
            Sort::Data(script) | Sort::Rude(script) => script.frame(),
            Sort::Text(text) => text.as_str().into(),
            Sort::Ping => Frame::Ping(Bytes::new()),
            Sort::Answer => Frame::Pong(self.last_ping.clone()),
            Sort::Pong(payload) => Frame::Pong(Bytes::copy_from_slice(payload)),
            Sort::Close(code) => Frame::Close(code.map(CloseFrame::new)),
        };
        self.event(Event::Frame { id, frame })
    }

    fn tick_at_deadline(&mut self, late: Duration) -> Verdict {
        if let Deadline::At(deadline) = self.feed.deadline() {
            self.now = self.now.max(deadline).min(LAST);
        }
        self.advance(late)?;
        self.event(Event::Tick)
    }

    fn tick_too_early(&mut self) -> Verdict {
        if let Deadline::At(deadline) = self.feed.deadline() {
            let before = Timestamp::from_nanos(deadline.as_nanos().saturating_sub(1));
            self.now = self.now.max(before).min(LAST);
        }
        self.event(Event::Tick)
    }

    fn advance(&mut self, span: Duration) -> Verdict {
        self.now = self.now.saturating_add(span).min(LAST);
        Ok(())
    }

    fn send(&mut self, taken: bool) -> Verdict {
        self.sends += 1;
        self.call(Call::Send(self.sends))?;
        if taken { self.call(Call::Drain) } else { Ok(()) }
    }

    fn take(&mut self, most: u64) -> Verdict {
        for _ in 0..most {
            self.asked = self.now;
            self.call(Call::Take)?;
            if self.steps.last().is_some_and(|past| past.outputs.is_empty()) {
                break;
            }
        }
        Ok(())
    }

    fn event(&mut self, event: Event) -> Verdict {
        self.call(Call::Handle(event))
    }

    /// Calls that take no time are made at the time that the machine was last given.
    fn call(&mut self, call: Call) -> Verdict {
        let timed = matches!(call, Call::Handle(_) | Call::Ask(_) | Call::Command(_) | Call::Take);
        self.call_at(call, if timed { self.now } else { self.given })
    }

    fn call_at(&mut self, call: Call, now: Timestamp) -> Verdict {
        // Time that runs backwards counts as standing still.
        let seen = self.given.max(now);
        self.rules.advance(seen.saturating_since(self.given), &self.setup);
        self.given = seen;
        let before = View::of(&self.feed, seen);
        // Noted before it is made: it may panic.
        let moved = (before.phase, before.phase);
        self.steps.push(Past { call: call.clone(), now, outputs: Vec::new(), moved, idle: false });
        let outputs = call.make(&mut self.feed, now);
        for output in &outputs {
            if let Output::Send(_, Frame::Ping(payload)) = output {
                self.last_ping = payload.clone();
            }
        }
        let after = View::of(&self.feed, seen);
        let step =
            Step { setup: &self.setup, call: &call, before: &before, outputs: &outputs, after: &after };
        let (verdict, idle) = (self.rules.step(&step), step.is_idle());
        if let Some(past) = self.steps.last_mut() {
            *past = Past { call, now, outputs, moved: (before.phase, after.phase), idle };
        }
        verdict
    }
}
