//! One connection through the simulated network: frames on their way, in both directions.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::Duration;

use tidegate_driver::core::{Frame, Timestamp};

use crate::fault::FaultKind;

/// Never, as far as a run is concerned.
pub(crate) const NEVER: Timestamp = Timestamp::from_nanos(u64::MAX);

/// What travels.
#[derive(Clone, Debug)]
pub(crate) enum Unit {
    Frame(Frame),
    Reset,
    /// End of stream without a Close frame.
    Fin,
    /// End of stream after the closing handshake.
    End,
    /// Something that breaks the protocol.
    Invalid,
}

/// One direction: in order, each with its time of arrival.
#[derive(Default)]
pub(crate) struct Pipe {
    queue: VecDeque<(Timestamp, Unit)>,
    last: Timestamp,
    held_until: Timestamp,
}

impl Pipe {
    /// When it will arrive.
    pub(crate) fn push(&mut self, arrival: Timestamp, unit: Unit) -> Timestamp {
        self.last = self.last.max(arrival);
        self.queue.push_back((self.last, unit));
        self.last.max(self.held_until)
    }

    /// The next thing that has arrived.
    pub(crate) fn pop(&mut self, now: Timestamp) -> Option<Unit> {
        let (arrival, _) = self.queue.front()?;
        if (*arrival).max(self.held_until) > now {
            return None;
        }
        self.queue.pop_front().map(|(_, unit)| unit)
    }

    pub(crate) fn hold(&mut self, until: Timestamp) {
        self.held_until = self.held_until.max(until);
    }
}

/// Everything about one open connection.
pub(crate) struct Wire {
    pub(crate) to_client: Pipe,
    pub(crate) to_server: Pipe,
    /// Given to the sink, not flushed.
    pub(crate) unflushed: Vec<Frame>,
    pub(crate) reader: Option<Waker>,
    pub(crate) writer: Option<Waker>,
    /// Nothing can be written until then.
    pub(crate) blocked_until: Timestamp,
    /// The reset has reached the feed's side.
    pub(crate) broken: bool,
    pub(crate) client_closed: bool,
    pub(crate) server_closed: bool,
    /// Nothing follows from the server.
    pub(crate) server_gone: bool,
    /// The server keeps TCP open after the closing handshake.
    pub(crate) keeps_open: bool,
    pub(crate) mute_until: Timestamp,
    pub(crate) slow_until: Timestamp,
    pub(crate) quirk: Option<FaultKind>,
    pub(crate) tick: Option<Duration>,
    /// Ticks of an earlier rhythm are void.
    pub(crate) rhythm: u64,
}

impl Wire {
    pub(crate) fn new(quirk: Option<FaultKind>) -> Self {
        Self {
            to_client: Pipe::default(),
            to_server: Pipe::default(),
            unflushed: Vec::new(),
            reader: None,
            writer: None,
            blocked_until: Timestamp::ZERO,
            broken: false,
            client_closed: false,
            server_closed: false,
            server_gone: false,
            keeps_open: false,
            mute_until: Timestamp::ZERO,
            slow_until: Timestamp::ZERO,
            quirk,
            tick: None,
            rhythm: 0,
        }
    }

    /// Whether the server may still send data.
    pub(crate) const fn can_send(&self) -> bool {
        !self.server_closed && !self.server_gone
    }
}
