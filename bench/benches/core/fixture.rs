//! Feeds in every phase.

use std::time::Duration;

use bytes::Bytes;
use tidegate::core::{
    CloseFrame, Config, ConfigBuilder, ConnectFailure, Connected, ConnectionId, Deadline, Event, Failure,
    Fault, Feed, Frame, FrameHandler, Message, PassThrough, Phase, Timestamp, WithBootstrap,
};

type Subscribe = fn(ConnectionId) -> Result<[Message; 1], Fault>;

/// A feed that sends one frame before it is Live, and gives its consumer every message as it came.
pub(crate) type TestFeed = Feed<WithBootstrap<PassThrough, Subscribe>>;

/// A feed, and its time.
pub(crate) struct Fixture {
    pub(crate) feed: TestFeed,
    pub(crate) now: Timestamp,
}

impl Fixture {
    pub(crate) fn new(config: ConfigBuilder) -> Self {
        let subscribe: Subscribe = |_| Ok([Message::Text(Bytes::from_static(b"subscribe"))]);
        let config = config.build().expect("the configurations of the benchmarks obey the rules");
        let feed = Feed::new(config, PassThrough.with_bootstrap(subscribe), 1);
        Self { feed, now: Timestamp::from_millis(1) }
    }

    /// A feed in `phase`, with pings every 30 s. What it keeps between events has its memory by then.
    pub(crate) fn in_phase(phase: Phase) -> Self {
        let pings =
            Config::builder().ping_interval(Duration::from_secs(30)).pong_timeout(Duration::from_secs(5));
        let mut fixture = Self::new(pings);
        fixture.bring_to(phase);
        assert_eq!(fixture.feed.phase(), phase);
        fixture
    }

    pub(crate) fn bring_to(&mut self, phase: Phase) {
        match phase {
            Phase::Idle => {}
            Phase::Connecting => self.tell(Event::Start),
            Phase::Bootstrapping => {
                self.bring_to(Phase::Connecting);
                self.tell(Event::Connected { id: self.id(), connected: Connected::default() });
                self.feed.request(1);
                self.tell(self.frame(text()));
                self.deliver();
            }
            Phase::Live => {
                self.bring_to(Phase::Bootstrapping);
                self.tell(Event::Flushed { id: self.id() });
                self.deliver();
            }
            Phase::Closing => {
                self.bring_to(Phase::Live);
                self.tell(self.frame(close()));
            }
            Phase::Waiting => {
                self.bring_to(Phase::Connecting);
                self.tell(Event::ConnectFailed { id: self.id(), failure: refused() });
            }
            Phase::Stopped => self.tell(Event::Shutdown),
        }
    }

    /// What is measured of an event: the machine takes it in, and gives out what is to be done.
    #[inline]
    pub(crate) fn tell(&mut self, event: Event) {
        self.feed.handle(event, self.now);
        while let Some(action) = self.feed.poll_action() {
            divan::black_box_drop(action);
        }
    }

    /// Gives the consumer what it asked for.
    #[inline]
    pub(crate) fn deliver(&mut self) {
        while let Some(delivery) = self.feed.poll_delivery(self.now) {
            divan::black_box_drop(delivery);
        }
    }

    pub(crate) fn id(&self) -> ConnectionId {
        self.feed.connection().expect("asked for only where there is a connection")
    }

    pub(crate) fn frame(&self, frame: Frame) -> Event {
        Event::Frame { id: self.id(), frame }
    }

    /// Moves the time on to the deadline.
    pub(crate) fn become_due(&mut self) {
        match self.feed.deadline() {
            Deadline::At(at) => self.now = at,
            Deadline::Never => panic!("no deadline in {}", self.feed.phase()),
        }
    }

    /// Has a ping sent, and gives its answer.
    pub(crate) fn pong(&mut self) -> Frame {
        self.become_due();
        self.feed.handle(Event::Tick, self.now);
        match self.feed.poll_send() {
            Some((_, Frame::Ping(payload))) => {
                self.tell(Event::Flushed { id: self.id() });
                Frame::Pong(payload)
            }
            other => panic!("no ping: {other:?}"),
        }
    }
}

/// A message of 64 B.
pub(crate) fn text() -> Frame {
    Frame::Message(Message::Text(Bytes::from_static(&[b'x'; 64])))
}

pub(crate) fn close() -> Frame {
    Frame::Close(Some(CloseFrame::new(CloseFrame::NORMAL)))
}

pub(crate) fn refused() -> Failure {
    Failure::Connect(ConnectFailure::Tcp { detail: "connection refused".to_owned() })
}
