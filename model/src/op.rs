//! What can happen to a feed, and what comes of it.

use bytes::Bytes;
use tidegate_core::{ConnectFailure, Connected, ConnectionId, Event, Failure, Frame, Machine, Timestamp};
use tidegate_rules::{Ask, Call, Numbers, Output, Script};

use crate::view::at;
use crate::world::{Millis, RETRY_AFTER};

/// One thing that happens. Connections are named relative to the current one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "most are the event, or the call, of that name")]
pub enum Op {
    Start,
    Connected,
    Refused(Refusal),
    Data(Script),
    Ping,
    /// With this number; only one of them answers.
    Pong(u64),
    /// Bytes of a frame that is not whole.
    Heard,
    ProtocolError,
    PeerClose,
    Flushed,
    Lost,
    /// An event that the machine must ignore (C2).
    Stray(Who, &'static Self),
    /// Time moves half way to the deadline.
    Half,
    /// Time moves to the deadline.
    Due,
    /// Time moves past the deadline: the machine was asleep.
    Late,
    /// Due or early.
    Tick,
    Shutdown,
    Panicked,
    RuntimeStopped,
    /// The message with this number; the frame is not taken yet.
    Send(u8),
    /// What waits is taken.
    Drain,
    /// Passed to the handler.
    Command(Script),
    /// Of the application.
    Ask(Ask),
    /// So many items more.
    Request(u8),
    /// The next item, and the markers before it.
    Take,
    /// From here on nothing fails any more.
    Calm,
    /// From here on nothing comes any more: only time passes.
    Silence,
}

/// How an attempt fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Worth a retry.
    Tcp,
    /// Worth a retry, but not before a time (R5).
    Busy,
    /// Not worth one (R6).
    NotFound,
}

/// The connection that an event names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Who {
    /// Of the connection before the current one.
    Earlier,
    /// Of the current one, or of the last if there is none; it cannot happen in this phase.
    Current,
    /// Of one that has not been dialed.
    Later,
}

/// Kinds of events that the machine must ignore.
pub(crate) static STRAYS: [Op; 8] = [
    Op::Connected,
    Op::Refused(Refusal::NotFound),
    Op::Data(Script::emit(1)),
    Op::PeerClose,
    Op::Heard,
    Op::ProtocolError,
    Op::Flushed,
    Op::Lost,
];

/// Does it to the feed. What follows depends on the feed, the operation and the time alone, so that a list of
/// operations and times can be replayed (P3).
pub(crate) fn apply(feed: &mut Machine<Numbers>, op: Op, now: Millis) -> Vec<Output> {
    let call = op.call(feed.stats().attempts, at(now));
    call.map_or_else(Vec::new, |call| call.make(feed, at(now)))
}

impl Op {
    /// The call that it is, if it is one; `last` is the last connection's number.
    pub(crate) fn call(self, last: u64, at: Timestamp) -> Option<Call> {
        Some(match self {
            Self::Half | Self::Due | Self::Late | Self::Calm | Self::Silence => return None,
            Self::Send(number) => Call::Send(number.into()),
            Self::Request(count) => Call::Request(count.into()),
            Self::Command(script) => Call::Command(script),
            Self::Ask(ask) => Call::Ask(ask),
            Self::Take => Call::Take,
            Self::Drain => Call::Drain,
            Self::Stray(Who::Earlier, op) => return op.call(last.saturating_sub(1), at),
            Self::Stray(Who::Current, op) => return op.call(last, at),
            Self::Stray(Who::Later, op) => return op.call(last + 1, at),
            event => Call::Handle(event_of(event, ConnectionId::new(last), at)?),
        })
    }
}

fn event_of(op: Op, id: ConnectionId, at: Timestamp) -> Option<Event> {
    let frame = |frame| Event::Frame { id, frame };
    Some(match op {
        Op::Start => Event::Start,
        Op::Connected => Event::Connected { id, connected: Connected::default() },
        Op::Refused(refusal) => Event::ConnectFailed { id, failure: refused(refusal) },
        Op::Data(script) => frame(script.frame()),
        Op::Ping => frame(Frame::Ping(Bytes::new())),
        Op::Pong(number) => frame(Frame::Pong(Bytes::copy_from_slice(&number.to_be_bytes()))),
        Op::Heard => Event::Heard { id, at },
        Op::ProtocolError => Event::ProtocolError { id, code: 1002, detail: "reserved bit".into() },
        Op::PeerClose => frame(Frame::Close(None)),
        Op::Flushed => Event::Flushed { id },
        Op::Lost => Event::Lost { id, failure: Failure::io("reset") },
        Op::Tick => Event::Tick,
        Op::Shutdown => Event::Shutdown,
        Op::Panicked => Event::HandlerPanicked,
        Op::RuntimeStopped => Event::RuntimeStopped,
        _ => return None,
    })
}

fn refused(refusal: Refusal) -> Failure {
    match refusal {
        Refusal::Tcp => Failure::Connect(ConnectFailure::Tcp { detail: "refused".into() }),
        Refusal::Busy => Failure::rejected(503, Some(RETRY_AFTER)),
        Refusal::NotFound => Failure::rejected(404, None),
    }
}
