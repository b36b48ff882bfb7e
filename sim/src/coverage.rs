//! Which event of the core came in which phase, as far as it can be told for certain from outside.

#![allow(clippy::wildcard_enum_match_arm, reason = "it watches: most of what it sees concerns others")]

use std::fmt;

use tidegate_driver::core::{
    BootstrapFailure, ConnectFailure, ConnectionFailure, Failure, Frame, Notice, Phase,
};

use crate::entry::Entry;

/// The core's [`Event`](tidegate_driver::core::Event)s, frames by their kind. `Heard` is not among them: simulated frames arrive
/// whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is the core's event, or frame, of that name")]
#[non_exhaustive]
pub enum EventKind {
    Start,
    Connected,
    ConnectFailed,
    Data,
    Ping,
    Pong,
    Close,
    ProtocolError,
    Flushed,
    Lost,
    Tick,
    Shutdown,
    HandlerPanicked,
}

impl EventKind {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Start,
        Self::Connected,
        Self::ConnectFailed,
        Self::Data,
        Self::Ping,
        Self::Pong,
        Self::Close,
        Self::ProtocolError,
        Self::Flushed,
        Self::Lost,
        Self::Tick,
        Self::Shutdown,
        Self::HandlerPanicked,
    ];

    /// A short, stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Connected => "connected",
            Self::ConnectFailed => "connect_failed",
            Self::Data => "data",
            Self::Ping => "ping",
            Self::Pong => "pong",
            Self::Close => "close",
            Self::ProtocolError => "protocol_error",
            Self::Flushed => "flushed",
            Self::Lost => "lost",
            Self::Tick => "tick",
            Self::Shutdown => "shutdown",
            Self::HandlerPanicked => "handler_panicked",
        }
    }

    /// Whether a driver that does as it should ever hands it in during `phase`. A stopped machine it tells nothing.
    #[must_use]
    pub const fn is_possible_in(self, phase: Phase) -> bool {
        match phase {
            Phase::Idle => matches!(self, Self::Start | Self::Shutdown),
            Phase::Connecting => matches!(
                self,
                Self::Connected | Self::ConnectFailed | Self::Tick | Self::Shutdown | Self::HandlerPanicked
            ),
            Phase::Bootstrapping | Phase::Live | Phase::Closing => {
                !matches!(self, Self::Start | Self::Connected | Self::ConnectFailed)
            }
            Phase::Waiting => matches!(self, Self::Tick | Self::Shutdown),
            Phase::Stopped => false,
        }
    }
}

/// How often each event came in each phase. Shown as a table: a figure, `NEVER` for what could have come, `-` for what
/// cannot.
///
/// The phase is a conclusion from what is seen outside; where several events came so close that it is none, only the
/// first is counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    counts: [[u64; EventKind::ALL.len()]; Phase::ALL.len()],
}

impl Coverage {
    /// How often it came.
    #[must_use]
    pub fn count(&self, phase: Phase, event: EventKind) -> u64 {
        self.counts[phase as usize][event as usize]
    }

    /// Adds another run's.
    pub fn add(&mut self, other: &Self) {
        for (mine, others) in self.counts.iter_mut().flatten().zip(other.counts.iter().flatten()) {
            *mine += others;
        }
    }

    /// The pairs that could have come and did not.
    #[must_use]
    pub fn missing(&self) -> Vec<(Phase, EventKind)> {
        let pairs =
            Phase::ALL.into_iter().flat_map(|phase| EventKind::ALL.into_iter().map(move |e| (phase, e)));
        pairs.filter(|(phase, e)| e.is_possible_in(*phase) && self.count(*phase, *e) == 0).collect()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<17}", "")?;
        for phase in Phase::ALL {
            write!(f, "{:>14}", phase.as_str())?;
        }
        for event in EventKind::ALL {
            write!(f, "\n{:<17}", event.as_str())?;
            for phase in Phase::ALL {
                match self.count(phase, event) {
                    0 if event.is_possible_in(phase) => write!(f, "{:>14}", "NEVER")?,
                    0 => write!(f, "{:>14}", "-")?,
                    count => write!(f, "{count:>14}")?,
                }
            }
        }
        Ok(())
    }
}

/// One feed's phase, concluded from what is seen of it.
pub(crate) struct Mirror {
    phase: Phase,
    /// No event since then can have changed it.
    certain: bool,
    /// The last event was counted.
    counted: bool,
    /// A closing handshake has been seen to be under way.
    closing: bool,
    /// The connection has ended.
    broke: bool,
}

impl Mirror {
    pub(crate) const fn new() -> Self {
        Self { phase: Phase::Idle, certain: true, counted: false, closing: false, broke: false }
    }

    pub(crate) fn see(&mut self, entry: &Entry, coverage: &mut Coverage) {
        match entry {
            Entry::Connect { .. } => self.dials(coverage),
            Entry::Opened { .. } => {
                self.event(EventKind::Connected, coverage);
                self.is(Phase::Bootstrapping);
                self.broke = false;
            }
            Entry::DialFailed { .. } => self.event(EventKind::ConnectFailed, coverage),
            Entry::Read { frame, .. } => self.read(frame, coverage),
            // The first that is due; the machine sends none of its own accord but then.
            Entry::Sent { frame: Frame::Ping(_), .. } => self.event(EventKind::Tick, coverage),
            Entry::Flushed { .. } => self.event(EventKind::Flushed, coverage),
            Entry::Broke { failure: Failure::Connection(ConnectionFailure::Protocol { .. }), .. } => {
                self.event(EventKind::ProtocolError, coverage);
            }
            Entry::Broke { .. } => {
                self.broke = true;
                self.event(EventKind::Lost, coverage);
            }
            Entry::Notice(notice) => self.notice(notice, coverage),
            Entry::Shutdown | Entry::Abandoned => {
                self.event(EventKind::Shutdown, coverage);
            }
            Entry::Panicked => {
                self.certain |= self.counted;
                self.event(EventKind::HandlerPanicked, coverage);
            }
            Entry::Quiet { phase, .. } => {
                self.closing = *phase == Phase::Closing;
                self.is(*phase);
            }
            _ => {}
        }
    }

    fn is(&mut self, phase: Phase) {
        self.phase = phase;
        self.certain = true;
        self.counted = false;
    }

    fn event(&mut self, event: EventKind, coverage: &mut Coverage) {
        self.counted = self.certain && event.is_possible_in(self.phase);
        if self.counted {
            coverage.counts[self.phase as usize][event as usize] += 1;
        }
        self.certain = false;
    }

    fn dials(&mut self, coverage: &mut Coverage) {
        match self.phase {
            Phase::Idle => self.event(EventKind::Start, coverage),
            Phase::Waiting => self.event(EventKind::Tick, coverage),
            _ => {}
        }
        self.is(Phase::Connecting);
    }

    fn read(&mut self, frame: &Frame, coverage: &mut Coverage) {
        let event = match frame {
            Frame::Message(_) => EventKind::Data,
            Frame::Ping(_) => EventKind::Ping,
            Frame::Pong(_) => EventKind::Pong,
            Frame::Close(_) => EventKind::Close,
        };
        let certain = self.certain;
        self.event(event, coverage);
        // Neither moves the machine.
        self.certain = certain && matches!(event, EventKind::Ping | EventKind::Pong);
    }

    fn notice(&mut self, notice: &Notice, coverage: &mut Coverage) {
        match notice {
            Notice::Connecting { .. } => self.dials(coverage),
            Notice::Success { .. } => self.is(Phase::Live),
            Notice::Failure { failure, .. } => {
                if is_of_tick(failure) {
                    self.event(EventKind::Tick, coverage);
                }
                self.is(Phase::Closing);
            }
            Notice::Timeout { .. } => {
                self.event(EventKind::Tick, coverage);
                self.is(Phase::Closing);
            }
            Notice::Disconnected { .. } => {
                self.is(Phase::Closing);
            }
            Notice::Retry { .. } => self.ends_closing(Phase::Waiting, coverage),
            Notice::Stopped { .. } => self.ends_closing(Phase::Stopped, coverage),
            _ => {}
        }
    }

    /// A closing that ends without the connection's end was ended by its deadline.
    fn ends_closing(&mut self, then: Phase, coverage: &mut Coverage) {
        if std::mem::take(&mut self.closing) && !self.broke {
            self.event(EventKind::Tick, coverage);
        }
        self.is(then);
    }
}

fn is_of_tick(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::Connect(ConnectFailure::Timeout) | Failure::Bootstrap(BootstrapFailure::Timeout)
    ) || failure.is_timeout()
}
