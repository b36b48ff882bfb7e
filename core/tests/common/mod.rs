//! What the suites share: a bench that hands events to a feed at explicit times, and a handler that does what the
//! messages say.
#![allow(dead_code, reason = "each suite uses its own part")]

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tidegate_core::{
    Action, CloseFrame, Config, ConfigBuilder, ConnectFailure, Connected, ConnectionId, Context, Deadline,
    Delivery, Event, Failure, Fault, Frame, FrameHandler, Machine, Message, Notice, PassThrough, Phase,
    RetryPolicy, TimerKey, Timestamp, Upgrade,
};

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) const fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

pub(crate) fn text(payload: &str) -> Frame {
    payload.into()
}

pub(crate) fn broken() -> Failure {
    Failure::io("connection reset")
}

pub(crate) fn refused() -> Failure {
    Failure::Connect(ConnectFailure::Tcp { detail: "connection refused".into() })
}

/// A configuration without surprises: retries for ever, 100 ms apart, and no pings.
pub(crate) fn patient() -> ConfigBuilder {
    Config::builder().retry(RetryPolicy::fixed(ms(100))).ping_interval(None)
}

/// What a feed asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Do(Action),
    Write(ConnectionId, Frame),
}

/// A feed and a clock. Each event is handed in at the bench's time and answers with the actions that followed, and the frames.
pub(crate) struct Bench<H: FrameHandler> {
    pub(crate) feed: Machine<H>,
    now: Timestamp,
}

impl Bench<PassThrough> {
    pub(crate) fn plain(config: ConfigBuilder) -> Self {
        Self::new(config, PassThrough)
    }
}

impl<H: FrameHandler> Bench<H> {
    pub(crate) fn new(config: ConfigBuilder, handler: H) -> Self {
        Self::seeded(config, handler, 7)
    }

    pub(crate) fn seeded(config: ConfigBuilder, handler: H, seed: u64) -> Self {
        let config = config.build().expect("the test's configuration is valid");
        Self { feed: Machine::new(config, handler, seed), now: Timestamp::ZERO }
    }

    /// Moves the clock.
    pub(crate) fn at(&mut self, millis: u64) -> &mut Self {
        self.at_time(at(millis))
    }

    pub(crate) fn at_time(&mut self, now: Timestamp) -> &mut Self {
        self.now = now;
        self
    }

    pub(crate) fn hand_in(&mut self, event: Event) -> Vec<Asked> {
        self.feed.handle(event, self.now);
        self.actions()
    }

    pub(crate) fn actions(&mut self) -> Vec<Asked> {
        let mut asked: Vec<_> = std::iter::from_fn(|| self.feed.poll_action()).map(Asked::Do).collect();
        while let Some(id) = self.feed.connection()
            && let Some(frame) = self.feed.poll_send(id)
        {
            asked.push(Asked::Write(id, frame));
        }
        asked
    }

    /// The current connection; one that never was if there is none, so that the event is stale.
    pub(crate) fn id(&self) -> ConnectionId {
        self.feed.connection().unwrap_or(ConnectionId::new(u64::MAX))
    }

    pub(crate) fn start(&mut self) -> Vec<Asked> {
        self.hand_in(Event::Start)
    }

    pub(crate) fn connected(&mut self) -> Vec<Asked> {
        self.hand_in(Event::Connected { id: self.id(), connected: Connected::default() })
    }

    pub(crate) fn connect_failed(&mut self, failure: Failure) -> Vec<Asked> {
        self.hand_in(Event::ConnectFailed { id: self.id(), failure })
    }

    pub(crate) fn frame(&mut self, frame: Frame) -> Vec<Asked> {
        self.hand_in(Event::Frame { id: self.id(), frame })
    }

    pub(crate) fn text(&mut self, payload: &str) -> Vec<Asked> {
        self.frame(text(payload))
    }

    pub(crate) fn heard(&mut self, at_millis: u64) -> Vec<Asked> {
        self.hand_in(Event::Heard { id: self.id(), at: at(at_millis) })
    }

    pub(crate) fn flushed(&mut self) -> Vec<Asked> {
        self.hand_in(Event::Flushed { id: self.id() })
    }

    pub(crate) fn lost(&mut self) -> Vec<Asked> {
        self.hand_in(Event::Lost { id: self.id(), failure: broken() })
    }

    pub(crate) fn tick(&mut self) -> Vec<Asked> {
        self.hand_in(Event::Tick)
    }

    pub(crate) fn shutdown(&mut self) -> Vec<Asked> {
        self.hand_in(Event::Shutdown)
    }

    /// Starts, or waits out the delay, and connects; for a handler without bootstrap frames the feed is Live then.
    pub(crate) fn connect(&mut self) -> Vec<Asked> {
        if self.feed.phase() == Phase::Idle {
            self.start();
        } else {
            self.expire();
        }
        self.connected()
    }

    /// Moves the clock to the deadline and says so.
    pub(crate) fn expire(&mut self) -> Vec<Asked> {
        let Deadline::At(deadline) = self.feed.deadline() else { panic!("there is no deadline") };
        self.at_time(deadline).tick()
    }

    pub(crate) fn request(&mut self, items: u64) -> &mut Self {
        self.feed.request(items);
        self
    }

    pub(crate) fn deliveries(&mut self) -> Vec<Delivery<H::Item>> {
        std::iter::from_fn(|| self.feed.poll_delivery(self.now)).collect()
    }

    #[track_caller]
    pub(crate) fn assert_phase(&self, phase: Phase) {
        assert_eq!(self.feed.phase(), phase);
    }

    #[track_caller]
    pub(crate) fn assert_deadline(&self, millis: u64) {
        assert_eq!(self.feed.deadline(), Deadline::At(at(millis)));
    }

    #[track_caller]
    pub(crate) fn assert_no_deadline(&self) {
        assert_eq!(self.feed.deadline(), Deadline::Never);
    }
}

/// What is asked for, in one word each; notices by their name.
pub(crate) fn names(asked: &[Asked]) -> Vec<&'static str> {
    asked
        .iter()
        .map(|asked| match asked {
            Asked::Do(Action::Connect { .. }) => "Connect",
            Asked::Do(Action::Abort { .. }) => "Abort",
            Asked::Do(Action::Notify(notice)) => notice.name(),
            Asked::Write(_, Frame::Close(_)) => "Close",
            Asked::Write(..) => "Send",
        })
        .collect()
}

pub(crate) fn notices(asked: &[Asked]) -> Vec<Notice> {
    let notice = |asked: &Asked| {
        if let Asked::Do(Action::Notify(notice)) = asked { Some(notice.clone()) } else { None }
    };
    asked.iter().filter_map(notice).collect()
}

/// The payloads of the data messages sent.
pub(crate) fn sent(asked: &[Asked]) -> Vec<String> {
    let payload = |asked: &Asked| match asked {
        Asked::Write(_, Frame::Message(message)) => {
            Some(String::from_utf8_lossy(message.payload()).into_owned())
        }
        Asked::Write(..) | Asked::Do(_) => None,
    };
    asked.iter().filter_map(payload).collect()
}

/// The ping sent, which must be the only one.
#[track_caller]
pub(crate) fn ping(asked: &[Asked]) -> Bytes {
    let mut pings = asked.iter().filter_map(|asked| {
        if let Asked::Write(_, Frame::Ping(payload)) = asked { Some(payload.clone()) } else { None }
    });
    let ping = pings.next().expect("a ping was sent");
    assert!(pings.next().is_none(), "one ping at a time");
    ping
}

/// The delay until the retry that follows.
#[track_caller]
pub(crate) fn delay(actions: &[Asked]) -> Duration {
    let delay = |notice| if let Notice::Retry { delay, .. } = notice { Some(delay) } else { None };
    notices(actions).into_iter().find_map(delay).expect("a retry follows")
}

pub(crate) fn close(id: u64, code: u16) -> Asked {
    Asked::Write(ConnectionId::new(id), Frame::Close(Some(CloseFrame::new(code))))
}

pub(crate) fn opened<T>(id: u64) -> Delivery<T> {
    Delivery::Opened { id: ConnectionId::new(id) }
}

pub(crate) fn live<T>(id: u64) -> Delivery<T> {
    Delivery::Live { id: ConnectionId::new(id) }
}

pub(crate) fn item(name: &str) -> Delivery<String> {
    Delivery::Item(name.into())
}

pub(crate) fn interrupted<T>(id: u64, failure: Failure) -> Delivery<T> {
    Delivery::Interrupted { id: ConnectionId::new(id), failure: Some(failure) }
}

/// A handler that does what each text message says, word by word: `item:x` emits x, `send:x` sends it, `timer1:5` sets
/// timer 1 to 5 ms, `timer2:5` another, `cancel1` cancels the first, `count` emits how many messages the session has seen, and there are `ready`, `reconnect`,
/// `fault`, `fatal` and `panic`. When a timer is due it emits `timer1` or `timer2`.
#[derive(Clone, Default)]
pub(crate) struct Puppet {
    /// The bootstrap frames.
    pub(crate) bootstrap: Vec<Message>,
    pub(crate) declares: bool,
    /// What `on_upgrade` answers.
    pub(crate) refuses: Option<Fault>,
    pub(crate) timer_at_upgrade: Option<Timestamp>,
    /// Each session has one.
    pub(crate) alive: Rc<()>,
}

impl Puppet {
    pub(crate) fn bootstraps(frames: &[&str]) -> Self {
        Self { bootstrap: frames.iter().map(|&frame| frame.into()).collect(), ..Self::default() }
    }

    pub(crate) fn declares(self) -> Self {
        Self { declares: true, ..self }
    }
}

impl FrameHandler for Puppet {
    /// How many messages it has seen.
    type Session = (usize, Rc<()>);
    type Item = String;

    fn on_upgrade(&mut self, upgrade: &mut Upgrade<'_>) -> Result<Self::Session, Fault> {
        for frame in &self.bootstrap {
            upgrade.send(frame.clone());
        }
        if let Some(at) = self.timer_at_upgrade {
            upgrade.set_timer(TimerKey(1), at);
        }
        if self.declares {
            upgrade.wait_for_ready();
        }
        if let Some(fault) = &self.refuses {
            return Err(fault.clone());
        }
        Ok((0, Rc::clone(&self.alive)))
    }

    fn on_message(
        &mut self,
        (seen, _): &mut Self::Session,
        message: Message,
        cx: &mut Context<'_, String>,
    ) -> Result<(), Fault> {
        *seen += 1;
        for word in message.as_text().unwrap_or_default().split_whitespace() {
            match word.split_once(':').unwrap_or((word, "")) {
                ("item", name) => cx.emit(name.into()),
                ("send", payload) => cx.send(payload).unwrap_or_else(|error| cx.emit(error.to_string())),
                ("timer1", millis) => cx.set_timer(TimerKey(1), at(millis.parse().expect("milliseconds"))),
                ("timer2", millis) => cx.set_timer(TimerKey(2), at(millis.parse().expect("milliseconds"))),
                ("cancel1", _) => cx.cancel_timer(TimerKey(1)),
                ("count", _) => cx.emit(seen.to_string()),
                ("ready", _) => cx.ready(),
                ("reconnect", _) => cx.reconnect(),
                ("fault", _) => return Err(Fault::retryable("fault")),
                ("fatal", _) => return Err(Fault::fatal("fatal")),
                ("panic", _) => panic!("the puppet was told to"),
                (other, _) => panic!("the puppet does not know {other}"),
            }
        }
        Ok(())
    }

    fn on_timer(
        &mut self,
        _: &mut Self::Session,
        TimerKey(key): TimerKey,
        cx: &mut Context<'_, String>,
    ) -> Result<(), Fault> {
        cx.emit(format!("timer{key}"));
        Ok(())
    }

    /// A hundred times the item's length, so that it is more than an item's own size.
    fn weight(item: &String) -> usize {
        100 * item.len()
    }
}

pub(crate) const fn id(number: u64) -> ConnectionId {
    ConnectionId::new(number)
}
