//! One call of the machine's interface, what comes of it, and what can be seen of a feed.

use tidegate_core::{
    Action, ConnectionId, Deadline, Delivery, Event, Frame, Machine, Phase, Stats, StopReason, Timestamp,
};

use crate::numbers::{Item, Numbers, Script};

/// One call of the machine's interface.
#[derive(Clone, Debug)]
pub enum Call {
    /// An event.
    Handle(Event),
    /// The application sends the message with this number; the frame is not taken yet.
    Send(u64),
    /// The application asks for something about the connection.
    Ask(Ask),
    /// The application passes the handler a command.
    Command(Script),
    /// The consumer wants so many items more.
    Request(u64),
    /// The consumer takes the next item, and the markers before it.
    Take,
    /// The actions and frames that wait are taken.
    Drain,
}

/// What an application may ask for.
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is `Machine`'s method of that name")]
pub enum Ask {
    Reconnect,
    RetryNow,
    Probe,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the types say it")]
pub enum Output {
    Action(Action),
    /// A frame to write.
    Send(ConnectionId, Frame),
    Delivery(Delivery<Item>),
    /// Whether a message was accepted.
    Accepted(bool),
    /// Whether a command was passed on.
    Commanded(bool),
}

impl Call {
    /// Makes the call; what it gives back, and the actions that follow. Those of a send wait for the next call.
    pub fn make(&self, feed: &mut Machine<Numbers>, now: Timestamp) -> Vec<Output> {
        let mut outputs = Vec::new();
        match self {
            Self::Handle(event) => feed.handle(event.clone(), now),
            Self::Request(count) => feed.request(*count),
            Self::Send(number) => {
                let id = feed.connection().map_or(0, ConnectionId::get);
                return vec![Output::Accepted(feed.send(format!("s {number} {id}")).is_ok())];
            }
            Self::Ask(Ask::Reconnect) => feed.reconnect(now),
            Self::Ask(Ask::RetryNow) => feed.retry_now(now),
            Self::Ask(Ask::Probe) => feed.probe(now),
            Self::Command(script) => outputs.push(Output::Commanded(feed.command(*script, now).is_ok())),
            Self::Take => {
                while let Some(delivery) = feed.poll_delivery(now) {
                    let marker = delivery.is_marker();
                    outputs.push(Output::Delivery(delivery));
                    if !marker {
                        break;
                    }
                }
            }
            Self::Drain => {}
        }
        outputs.extend(std::iter::from_fn(|| feed.poll_action()).map(Output::Action));
        while let Some(id) = feed.connection()
            && let Some(frame) = feed.poll_send(id)
        {
            outputs.push(Output::Send(id, frame));
        }
        outputs
    }

    pub(crate) const fn is_tick(&self) -> bool {
        matches!(self, Self::Handle(Event::Tick))
    }
}

/// What can be seen of a feed from outside.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "each is `Machine`'s getter of that name")]
pub struct View {
    /// When it was looked at.
    pub now: Timestamp,
    pub phase: Phase,
    pub connection: Option<ConnectionId>,
    pub deadline: Deadline,
    pub wants_frames: bool,
    pub stopped: Option<StopReason>,
    pub stats: Stats,
    /// [`Numbers::session`].
    pub session: Option<(ConnectionId, bool)>,
}

impl View {
    /// Looks at a feed.
    #[must_use]
    pub fn of(feed: &Machine<Numbers>, now: Timestamp) -> Self {
        Self {
            now,
            phase: feed.phase(),
            connection: feed.connection(),
            deadline: feed.deadline(),
            wants_frames: feed.wants_frames(),
            stopped: feed.stopped().cloned(),
            stats: feed.stats(),
            // After a panic its word counts for nothing.
            session: feed.handler().session.filter(|_| feed.stopped() != Some(&StopReason::HandlerPanicked)),
        }
    }

    /// Whether a connection is open and not closing.
    #[must_use]
    pub const fn is_linked(&self) -> bool {
        matches!(self.phase, Phase::Bootstrapping | Phase::Live)
    }

    /// Whether reading from it is paused (D4).
    #[must_use]
    pub const fn is_paused(&self) -> bool {
        self.is_linked() && !self.wants_frames
    }
}

/// Whether an event names another connection than the current one, or cannot happen in its phase (C2).
#[must_use]
pub fn is_stray(event: &Event, view: &View) -> bool {
    let (id, dials) = match event {
        Event::Connected { id, .. } | Event::ConnectFailed { id, .. } => (id, true),
        Event::Frame { id, .. }
        | Event::Heard { id, .. }
        | Event::ProtocolError { id, .. }
        | Event::Flushed { id }
        | Event::Lost { id, .. } => (id, false),
        _ => return false,
    };
    view.connection != Some(*id) || dials != (view.phase == Phase::Connecting)
}
