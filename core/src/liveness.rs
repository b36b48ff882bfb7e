//! Whether a connection is still alive: the idle, ping/pong and stale clocks (L1-L6).

use core::time::Duration;

use crate::config::LivenessConfig;
use crate::demand::Reading;
use crate::failure::{ConnectionFailure, Failure, LocalFailure};
use crate::time::{Deadline, Timestamp};

/// The result of a check of the clocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// Nothing is due.
    Alive,
    /// Send a ping with this payload.
    Ping([u8; 8]),
    /// The connection is dead.
    Dead(Failure),
}

/// The clocks of one connection. They store when something last happened, and deadlines are computed from that: a frame
/// resets no timer (L6).
#[derive(Debug)]
pub(crate) struct Liveness {
    config: LivenessConfig,
    last_heard: Timestamp,
    /// Number of the next ping, or of the one that is out.
    ping: u64,
    pings: Pings,
    emission: Emission,
}

/// State of the ping cycle.
#[derive(Debug)]
enum Pings {
    Off,
    Due(Timestamp),
    Awaiting { sent: Timestamp, since: Timestamp },
}

/// Time of the last item. No item is expected before a connection is Live.
#[derive(Debug)]
enum Emission {
    NotYetLive,
    Since(Timestamp),
}

impl Liveness {
    pub(crate) fn new(config: LivenessConfig, now: Timestamp) -> Self {
        let mut liveness =
            Self { config, last_heard: now, ping: 0, pings: Pings::Off, emission: Emission::NotYetLive };
        liveness.ping_after(now);
        liveness
    }

    /// Makes the next ping due one interval after `start`.
    fn ping_after(&mut self, start: Timestamp) {
        self.pings = match self.config.ping_interval() {
            Some(interval) => Pings::Due(start.saturating_add(interval)),
            None => Pings::Off,
        };
    }

    /// Makes a ping due now, unless one is out.
    pub(crate) fn probe(&mut self, now: Timestamp) {
        match self.pings {
            Pings::Off | Pings::Due(_) => self.pings = Pings::Due(now),
            Pings::Awaiting { .. } => {}
        }
    }

    /// Notes that a frame arrived (L1).
    pub(crate) fn heard(&mut self, now: Timestamp) {
        self.last_heard = now;
    }

    /// Notes that bytes of an unfinished frame arrived at `at`. A pong may wait behind that frame (L3).
    pub(crate) fn heard_part(&mut self, at: Timestamp) {
        self.last_heard = self.last_heard.max(at);
        if let Pings::Awaiting { since, .. } = &mut self.pings {
            *since = (*since).max(at);
        }
    }

    /// Notes that the connection turned Live. From now on items are expected (L4).
    pub(crate) fn live(&mut self, now: Timestamp) {
        self.emission = Emission::Since(now);
    }

    /// Notes that the handler emitted an item.
    pub(crate) fn emitted(&mut self, now: Timestamp) {
        if let Emission::Since(last) = &mut self.emission {
            *last = now;
        }
    }

    /// Notes that a pong arrived. Returns the round-trip time if it answers the ping in flight (L3).
    pub(crate) fn pong(&mut self, payload: &[u8], now: Timestamp) -> Option<Duration> {
        let Pings::Awaiting { sent, .. } = self.pings else { return None };
        if payload != self.ping.to_be_bytes() {
            return None;
        }
        self.ping = self.ping.wrapping_add(1);
        self.ping_after(sent);
        if let Pings::Due(at) = &mut self.pings {
            *at = (*at).max(now.next());
        }
        Some(now.saturating_since(sent))
    }

    /// Restarts the clocks from now, after a pause (L5).
    pub(crate) fn resume(&mut self, now: Timestamp) {
        self.last_heard = now;
        self.emitted(now);
        match &mut self.pings {
            Pings::Off | Pings::Due(_) => self.ping_after(now),
            Pings::Awaiting { since, .. } => *since = now,
        }
    }

    /// Returns the next deadline. While reading is paused, only the end of the pause counts (L5).
    pub(crate) fn deadline(&self, reading: Reading) -> Deadline {
        match reading {
            Reading::On => self.failure_deadline(reading).min(self.ping_deadline()),
            Reading::Paused { .. } => self.failure_deadline(reading),
        }
    }

    /// Returns the next deadline at which the connection fails.
    pub(crate) fn failure_deadline(&self, reading: Reading) -> Deadline {
        match reading {
            Reading::Paused { since } => Deadline::after(since, self.config.max_pause),
            Reading::On => self.idle_deadline().min(self.pong_deadline()).min(self.stale_deadline()),
        }
    }

    /// Checks the clocks. If several have run out, it does not matter which did first.
    pub(crate) fn tick(&mut self, reading: Reading, now: Timestamp) -> Health {
        if !self.deadline(reading).is_due(now) {
            return Health::Alive;
        }
        if let Reading::Paused { .. } = reading {
            return Health::Dead(Failure::Local(LocalFailure::Overflow));
        }
        if self.idle_deadline().is_due(now) {
            return Health::Dead(Failure::Connection(ConnectionFailure::IdleTimeout));
        }
        if self.stale_deadline().is_due(now) {
            return Health::Dead(Failure::Connection(ConnectionFailure::Stale));
        }
        match self.pings {
            Pings::Off => Health::Alive,
            Pings::Awaiting { .. } => Health::Dead(Failure::Connection(ConnectionFailure::PongTimeout)),
            Pings::Due(_) => {
                self.pings = Pings::Awaiting { sent: now, since: now };
                Health::Ping(self.ping.to_be_bytes())
            }
        }
    }

    fn idle_deadline(&self) -> Deadline {
        Deadline::after(self.last_heard, self.config.idle_timeout)
    }

    fn ping_deadline(&self) -> Deadline {
        match self.pings {
            Pings::Due(at) => Deadline::At(at),
            Pings::Off | Pings::Awaiting { .. } => Deadline::Never,
        }
    }

    fn pong_deadline(&self) -> Deadline {
        match self.pings {
            Pings::Awaiting { since, .. } => Deadline::At(since.saturating_add(self.config.pong_timeout())),
            Pings::Off | Pings::Due(_) => Deadline::Never,
        }
    }

    fn stale_deadline(&self) -> Deadline {
        match self.emission {
            Emission::NotYetLive => Deadline::Never,
            Emission::Since(last) => Deadline::after(last, self.config.stale_after),
        }
    }
}
