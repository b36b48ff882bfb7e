//! One connection through the simulated network: frames on their way in both directions.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::Duration;

use tidegate_driver::core::{Frame, Timestamp};

use crate::fault::FaultKind;

/// Later than any run ends.
pub(crate) const NEVER: Timestamp = Timestamp::from_nanos(u64::MAX);

/// How much the buffers on the way to the server hold, in transmission time. While they are full, nothing can be written.
const BUFFERED: Duration = Duration::from_secs(2);

/// Identifies a connection among those of all feeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConnectionKey {
    pub(crate) feed: usize,
    pub(crate) id: u64,
}

/// An event on a connection: a frame, or its end.
#[derive(Clone, Debug)]
pub(crate) enum Unit {
    Frame(Frame),
    Reset,
    /// End of stream without a Close frame.
    Fin,
    /// End of stream after the closing handshake.
    End,
    /// A violation of the protocol.
    Invalid,
}

impl Unit {
    /// Length on the wire, with the header of a small frame.
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

/// One direction of a connection. Units stay in order.
#[derive(Default)]
pub(crate) struct Pipe {
    /// Each with its time of arrival.
    queue: VecDeque<(Timestamp, Unit)>,
    last: Timestamp,
    held_until: Timestamp,
    /// When everything so far has been transmitted, without the latency.
    carried: Timestamp,
}

impl Pipe {
    /// Transmits a unit at `bandwidth` bytes a second. Returns when it arrives.
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

    /// The next unit that has arrived.
    pub(crate) fn pop(&mut self, now: Timestamp) -> Option<Unit> {
        if !self.has_arrived(now) {
            return None;
        }
        self.queue.pop_front().map(|(_, unit)| unit)
    }

    pub(crate) fn has_arrived(&self, now: Timestamp) -> bool {
        self.queue.front().is_some_and(|(arrival, _)| *arrival <= now)
    }

    /// The frames that have arrived and are not taken.
    pub(crate) fn arrived(&self, now: Timestamp) -> Vec<Frame> {
        let arrived = self.queue.iter().take_while(|(arrival, _)| *arrival <= now);
        arrived
            .filter_map(|(_, unit)| if let Unit::Frame(frame) = unit { Some(frame.clone()) } else { None })
            .collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Lets nothing more arrive until then.
    pub(crate) fn hold(&mut self, now: Timestamp, until: Timestamp) {
        self.held_until = self.held_until.max(until);
        for (arrival, _) in self.queue.iter_mut().filter(|(arrival, _)| *arrival > now) {
            *arrival = (*arrival).max(until);
        }
    }
}

/// A place where the frames that a feed writes can be held up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Gate {
    /// Before they are written: the sink takes none.
    Write,
    /// Before they are flushed: the sink takes them, and keeps them.
    Flush,
}

/// An open connection.
#[derive(Default)]
pub(crate) struct SimConnection {
    pub(crate) id: u64,
    pub(crate) to_client: Pipe,
    pub(crate) to_server: Pipe,
    /// When the feed's runtime last looked at the socket.
    pub(crate) seen: Timestamp,
    /// Frames written and not flushed.
    pub(crate) unflushed: Vec<Frame>,
    pub(crate) reader: Option<Waker>,
    pub(crate) writer: Option<Waker>,
    /// Nothing can be written until then.
    pub(crate) blocked_until: Timestamp,
    /// Where a test holds up what is written.
    pub(crate) held: Option<Gate>,
    /// Bytes that a test has sent of unfinished frames.
    pub(crate) partial: u64,
    /// The reset has reached the feed's side.
    pub(crate) broken: bool,
    /// The feed has read a violation of the protocol.
    pub(crate) violated: bool,
    pub(crate) client_closed: bool,
    pub(crate) server_closed: bool,
    /// The server sends and reads nothing more.
    pub(crate) server_gone: bool,
    /// The server keeps TCP open after the closing handshake.
    pub(crate) keeps_open: bool,
    pub(crate) mute_until: Timestamp,
    pub(crate) slow_until: Timestamp,
    /// Bytes a second, until that time.
    pub(crate) throttle: Option<(u64, Timestamp)>,
    /// What is wrong with the connection from the start.
    pub(crate) quirk: Option<FaultKind>,
    pub(crate) tick: Option<Duration>,
    /// Increases with each change of `tick`; ticks of an earlier one are void.
    pub(crate) rhythm: u64,
}

impl SimConnection {
    /// Whether the server may still send data.
    pub(crate) const fn can_send(&self) -> bool {
        !self.server_closed && !self.server_gone
    }

    /// Lets nothing arrive on either side until then.
    pub(crate) fn hold(&mut self, now: Timestamp, until: Timestamp) {
        self.to_client.hold(now, until);
        self.to_server.hold(now, until);
    }

    /// The bandwidth now, in bytes a second.
    pub(crate) fn bandwidth(&self, now: Timestamp, network: Option<u64>) -> Option<u64> {
        let throttled = self.throttle.filter(|(_, until)| now < *until).map(|(bytes, _)| bytes);
        throttled.into_iter().chain(network).min()
    }

    /// When the sink takes frames again, if not now.
    pub(crate) fn writable_at(&self, now: Timestamp) -> Option<Timestamp> {
        let ahead = self.to_server.carried.saturating_since(now).saturating_sub(BUFFERED);
        let at = self.blocked_until.max(now.saturating_add(ahead));
        Some(at).filter(|at| *at > now)
    }
}
