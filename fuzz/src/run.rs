//! A feed that is driven by calls, each judged by the rules.

use std::time::Duration;

use arbitrary::Arbitrary;
use bytes::Bytes;
use tidegate_core::{
    Action, CloseFrame, Config, ConnectionId, Deadline, Event, Failure, Feed, Frame, Phase, Timestamp,
};

use crate::rules::{Facts, Rules, View};
use crate::scripted::{Numbers, Script, Scripted};

/// Times stay below this, so that deadlines lie after them: 146 years.
const LAST: Timestamp = Timestamp::from_nanos(1 << 62);

/// What happens next. Connections are named relative to the current one, which only the run knows.
#[derive(Arbitrary, Clone, Debug)]
pub enum Call {
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
    /// The action is taken at once, or only after the next event.
    Send {
        taken: bool,
    },
    Request(u8),
    RequestAll,
    /// The consumer takes up to so many.
    Take(u8),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Who {
    Current,
    Earlier,
    Later,
    Other(u64),
}

#[derive(Arbitrary, Clone, Debug)]
pub enum Sort {
    /// Only while frames are wanted.
    Data(Script),
    /// Whether they are wanted or not.
    Rude(Script),
    Text(String),
    Ping,
    Answer,
    Pong([u8; 8]),
    Close(Option<u16>),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Why {
    Reset,
    Timeout,
    Rejected { status: u16, retry_after: Option<u64> },
}

impl From<Why> for Failure {
    fn from(why: Why) -> Self {
        match why {
            Why::Reset => Self::Io { detail: "reset".into() },
            Why::Timeout => Self::ConnectTimeout,
            Why::Rejected { status, retry_after } => {
                Self::rejected(status, retry_after.map(Duration::from_millis))
            }
        }
    }
}

/// A feed and the rules that it is held to.
pub struct Run {
    feed: Feed<Numbers>,
    rules: Rules,
    now: Timestamp,
    /// When the consumer last asked: the machine need not have taken note of it, but no event may come from before.
    asked: Timestamp,
    last_ping: Bytes,
    sends: u64,
}

impl Run {
    pub fn new(config: Config, facts: Facts, handler: Scripted, seed: u64) -> Self {
        Self {
            feed: Feed::new(config, handler.into(), seed),
            rules: Rules::new(facts),
            now: Timestamp::ZERO,
            asked: Timestamp::ZERO,
            last_ping: Bytes::new(),
            sends: 0,
        }
    }

    /// All calls, and then a consumer that takes everything.
    pub fn all<'a>(&mut self, calls: impl IntoIterator<Item = &'a Call>) {
        for call in calls {
            self.call(call);
        }
        self.request(1 << 40);
        self.take(u64::MAX);
        self.rules.finish(&View::of(&self.feed));
    }

    pub fn call(&mut self, call: &Call) {
        match call {
            Call::Natural => self.natural(),
            Call::Start => self.event(Event::Start),
            Call::Connected(who) => self.event(Event::Connected { id: self.id(*who) }),
            Call::ConnectFailed(who, why) => {
                self.event(Event::ConnectFailed { id: self.id(*who), failure: (*why).into() });
            }
            Call::Frame(who, sort) => self.frame(self.id(*who), sort),
            Call::Heard(who, ago) => {
                let at = Timestamp::from_nanos(self.now.as_nanos().saturating_sub((*ago).into()));
                self.event(Event::Heard { id: self.id(*who), at });
            }
            Call::ProtocolError(who, code) => {
                self.event(Event::ProtocolError { id: self.id(*who), code: *code, detail: "bad".into() });
            }
            Call::Flushed(who) => self.event(Event::Flushed { id: self.id(*who) }),
            Call::Lost(who, why) => self.event(Event::Lost { id: self.id(*who), failure: (*why).into() }),
            Call::Tick => self.event(Event::Tick),
            Call::TickAtDeadline(late) => self.tick_at_deadline(Duration::from_nanos((*late).into())),
            Call::TickTooEarly => self.tick_too_early(),
            Call::Advance(millis) => self.advance(Duration::from_millis((*millis).into())),
            Call::Leap(nanos) => self.advance(Duration::from_nanos(*nanos)),
            Call::Backwards(nanos) => {
                let earlier = Timestamp::from_nanos(self.now.as_nanos().saturating_sub((*nanos).into()));
                self.event_at(Event::Tick, earlier.max(self.asked));
            }
            Call::Shutdown => self.event(Event::Shutdown),
            Call::Panicked => self.event(Event::HandlerPanicked),
            Call::Send { taken } => self.send(*taken),
            Call::Request(count) => self.request((*count).into()),
            Call::RequestAll => self.request(u64::MAX),
            Call::Take(count) => self.take((*count).into()),
        }
    }

    fn natural(&mut self) {
        let id = self.id(Who::Current);
        match self.feed.phase() {
            Phase::Idle => self.event(Event::Start),
            Phase::Connecting => self.event(Event::Connected { id }),
            Phase::Bootstrapping => self.event(Event::Flushed { id }),
            Phase::Live => self.take(2),
            Phase::Closing => self.event(Event::Lost { id, failure: Why::Reset.into() }),
            Phase::Waiting => self.tick_at_deadline(Duration::ZERO),
            Phase::Stopped => {}
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

    fn frame(&mut self, id: ConnectionId, sort: &Sort) {
        let wanted = self.feed.wants_frames();
        let frame = match sort {
            Sort::Data(_) | Sort::Text(_) if !wanted => return,
            Sort::Data(script) | Sort::Rude(script) => Frame::Binary(script.encode()),
            Sort::Text(text) => Frame::Text(Bytes::copy_from_slice(text.as_bytes())),
            Sort::Ping => Frame::Ping(Bytes::new()),
            Sort::Answer => Frame::Pong(self.last_ping.clone()),
            Sort::Pong(payload) => Frame::Pong(Bytes::copy_from_slice(payload)),
            Sort::Close(code) => Frame::Close(code.map(CloseFrame::new)),
        };
        self.event(Event::Frame { id, frame });
    }

    fn tick_at_deadline(&mut self, late: Duration) {
        if let Deadline::At(deadline) = self.feed.deadline() {
            self.now = self.now.max(deadline).min(LAST);
        }
        self.advance(late);
        self.event(Event::Tick);
    }

    fn tick_too_early(&mut self) {
        if let Deadline::At(deadline) = self.feed.deadline() {
            let before = Timestamp::from_nanos(deadline.as_nanos().saturating_sub(1));
            self.now = self.now.max(before).min(LAST);
        }
        self.event(Event::Tick);
    }

    fn advance(&mut self, span: Duration) {
        self.now = self.now.saturating_add(span).min(LAST);
    }

    fn send(&mut self, taken: bool) {
        self.sends += 1;
        let before = View::of(&self.feed);
        let id = self.feed.connection().map_or(0, ConnectionId::get);
        let accepted = self.feed.send(format!("s {} {id}", self.sends)).is_ok();
        self.rules.sent(self.sends, accepted, &before);
        if taken {
            self.judge(&before, None);
        }
    }

    fn request(&mut self, count: u64) {
        let before = View::of(&self.feed);
        self.feed.request(count);
        self.rules.requested(count);
        self.judge(&before, None);
    }

    fn take(&mut self, most: u64) {
        for _ in 0..most {
            let before = View::of(&self.feed);
            let delivery = self.feed.poll_delivery(self.now);
            self.rules.time(self.now);
            self.asked = self.now;
            if let Some(delivery) = &delivery {
                self.rules.delivery(delivery);
            }
            self.judge(&before, None);
            if delivery.is_none() {
                break;
            }
        }
    }

    fn event(&mut self, event: Event) {
        self.event_at(event, self.now);
    }

    fn event_at(&mut self, event: Event, now: Timestamp) {
        let before = View::of(&self.feed);
        self.rules.time(now);
        self.feed.handle(event.clone(), now);
        self.judge(&before, Some(&event));
    }

    /// Takes the actions, and holds the rules against them and what can be seen now.
    fn judge(&mut self, before: &View, event: Option<&Event>) {
        let actions: Vec<Action> = std::iter::from_fn(|| self.feed.poll_action()).collect();
        for action in &actions {
            if let Action::Send { frame: Frame::Ping(payload), .. } = action {
                self.last_ping = payload.clone();
            }
        }
        self.rules.step(event, before, &actions, &View::of(&self.feed));
    }
}
