//! One connection through the simulated network: frames on their way, in both directions.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::Duration;

use tidegate_driver::core::{Frame, Timestamp};

use crate::fault::FaultKind;

/// Never, as far as a run is concerned.
pub(crate) const NEVER: Timestamp = Timestamp::from_nanos(u64::MAX);

/// What the buffers on the way to the server hold, in time: with more to be carried nothing can be written.
const BUFFERED: Duration = Duration::from_secs(2);

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

impl Unit {
    /// On the wire, headers of a small frame included.
    fn bytes(&self) -> u64 {
        const HEADER: u64 = 6;
        HEADER
            + match self {
                Self::Frame(frame @ (Frame::Message(_) | Frame::Ping(_) | Frame::Pong(_))) => {
                    frame.len() as u64
                }
                Self::Frame(Frame::Close(_)) | Self::Reset | Self::Fin | Self::End | Self::Invalid => 0,
            }
    }
}

/// One direction: in order, each with its time of arrival.
#[derive(Default)]
pub(crate) struct Pipe {
    queue: VecDeque<(Timestamp, Unit)>,
    last: Timestamp,
    held_until: Timestamp,
    /// When all that was given to it so far has been carried, but for the latency.
    carried: Timestamp,
}

impl Pipe {
    /// Takes it now, to carry it at `bandwidth` bytes a second; when it will arrive.
    pub(crate) fn push(
        &mut self,
        now: Timestamp,
        latency: Duration,
        bandwidth: Option<u64>,
        unit: Unit,
    ) -> Timestamp {
        let span = bandwidth.map_or(Duration::ZERO, |bytes| {
            Duration::from_nanos(unit.bytes().saturating_mul(1_000_000_000) / bytes.max(1))
        });
        self.carried = self.carried.max(now).saturating_add(span);
        self.last = self.last.max(self.carried.saturating_add(latency));
        let arrival = self.last.max(self.held_until);
        self.queue.push_back((arrival, unit));
        arrival
    }

    /// The next thing that has arrived.
    pub(crate) fn pop(&mut self, now: Timestamp) -> Option<Unit> {
        if !self.has_arrived(now) {
            return None;
        }
        self.queue.pop_front().map(|(_, unit)| unit)
    }

    pub(crate) fn has_arrived(&self, now: Timestamp) -> bool {
        self.queue.front().is_some_and(|(arrival, _)| *arrival <= now)
    }

    /// Nothing more arrives until then; what has arrived is there.
    pub(crate) fn hold(&mut self, now: Timestamp, until: Timestamp) {
        self.held_until = self.held_until.max(until);
        for (arrival, _) in self.queue.iter_mut().filter(|(arrival, _)| *arrival > now) {
            *arrival = (*arrival).max(until);
        }
    }
}

/// Everything about one open connection.
pub(crate) struct Wire {
    pub(crate) id: u64,
    pub(crate) to_client: Pipe,
    pub(crate) to_server: Pipe,
    /// When the feed's runtime last looked at the socket.
    pub(crate) seen: Timestamp,
    /// Given to the sink, not flushed.
    pub(crate) unflushed: Vec<Frame>,
    pub(crate) reader: Option<Waker>,
    pub(crate) writer: Option<Waker>,
    /// Nothing can be written until then.
    pub(crate) blocked_until: Timestamp,
    /// The reset has reached the feed's side.
    pub(crate) broken: bool,
    /// The server has broken the protocol, and the feed knows.
    pub(crate) violated: bool,
    pub(crate) client_closed: bool,
    pub(crate) server_closed: bool,
    /// Nothing follows from the server.
    pub(crate) server_gone: bool,
    /// The server keeps TCP open after the closing handshake.
    pub(crate) keeps_open: bool,
    pub(crate) mute_until: Timestamp,
    pub(crate) slow_until: Timestamp,
    /// Bytes a second for a while.
    pub(crate) throttle: Option<(u64, Timestamp)>,
    pub(crate) quirk: Option<FaultKind>,
    pub(crate) tick: Option<Duration>,
    /// Ticks of an earlier rhythm are void.
    pub(crate) rhythm: u64,
}

impl Wire {
    pub(crate) fn new(id: u64) -> Self {
        Self {
            id,
            to_client: Pipe::default(),
            to_server: Pipe::default(),
            seen: Timestamp::ZERO,
            unflushed: Vec::new(),
            reader: None,
            writer: None,
            blocked_until: Timestamp::ZERO,
            broken: false,
            violated: false,
            client_closed: false,
            server_closed: false,
            server_gone: false,
            keeps_open: false,
            mute_until: Timestamp::ZERO,
            slow_until: Timestamp::ZERO,
            throttle: None,
            quirk: None,
            tick: None,
            rhythm: 0,
        }
    }

    /// Whether the server may still send data.
    pub(crate) const fn can_send(&self) -> bool {
        !self.server_closed && !self.server_gone
    }

    /// Nothing arrives on either side until then.
    pub(crate) fn hold(&mut self, now: Timestamp, until: Timestamp) {
        self.to_client.hold(now, until);
        self.to_server.hold(now, until);
    }

    /// Bytes a second now, if there is a limit.
    pub(crate) fn bandwidth(&self, now: Timestamp, network: Option<u64>) -> Option<u64> {
        match (self.throttle, network) {
            (Some((bytes, until)), Some(most)) if now < until => Some(bytes.min(most)),
            (Some((bytes, until)), None) if now < until => Some(bytes),
            (Some(_) | None, most) => most,
        }
    }

    /// When the sink takes something again, if not now.
    pub(crate) fn writable_at(&self, now: Timestamp) -> Option<Timestamp> {
        let ahead = self.to_server.carried.saturating_since(now).saturating_sub(BUFFERED);
        let at = self.blocked_until.max(now.saturating_add(ahead));
        Some(at).filter(|at| *at > now)
    }
}
