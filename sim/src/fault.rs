//! What goes wrong, and how often.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use fastrand::Rng;

/// One kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultKind {
    /// The attempt: TCP connection refused.
    Refused,
    /// The attempt: no answer to the SYN.
    SynLost,
    /// The attempt: the name cannot be looked up.
    Lookup,
    /// The attempt: the resolver of URL and headers fails (C4).
    Resolver,
    /// The attempt: TLS fails in a way that a retry may mend.
    Tls,
    /// The attempt: the upgrade is never answered.
    UpgradeSilent,
    /// The attempt: answered with a status that a retry may mend, with or without `Retry-After`.
    Rejected,
    /// The attempt: answered with something that is not HTTP.
    Garbage,
    /// The connection is closed at once after the upgrade.
    AcceptThenClose,
    /// Half of the server's replies are lost.
    RepliesPartial,
    /// All of the server's replies are lost.
    RepliesMissing,
    /// The server's replies come twice.
    RepliesTwice,
    /// Reset.
    Reset,
    /// FIN without Close.
    Fin,
    /// Nothing arrives any more, in either direction.
    HalfOpen,
    /// Nothing arrives any more from the server.
    HalfOpenInbound,
    /// Nothing arrives any more at the server.
    HalfOpenOutbound,
    /// Nothing moves for a while, then all of it.
    Stall,
    /// Nothing can be written for a while.
    WriteStall,
    /// The latency goes up for a while.
    Delay,
    /// The server answers pings but sends nothing of its own for a while.
    Mute,
    /// The server closes, with some code.
    Close,
    /// The server closes and keeps TCP open (C5).
    CloseKeepsOpen,
    /// A frame that breaks the protocol.
    Protocol,
    /// Hundreds of messages at once.
    Flood,
    /// The clock jumps forward: a laptop that was suspended.
    ClockJump,
}

impl FaultKind {
    /// All of them.
    pub const ALL: [Self; 26] = [
        Self::Refused,
        Self::SynLost,
        Self::Lookup,
        Self::Resolver,
        Self::Tls,
        Self::UpgradeSilent,
        Self::Rejected,
        Self::Garbage,
        Self::AcceptThenClose,
        Self::RepliesPartial,
        Self::RepliesMissing,
        Self::RepliesTwice,
        Self::Reset,
        Self::Fin,
        Self::HalfOpen,
        Self::HalfOpenInbound,
        Self::HalfOpenOutbound,
        Self::Stall,
        Self::WriteStall,
        Self::Delay,
        Self::Mute,
        Self::Close,
        Self::CloseKeepsOpen,
        Self::Protocol,
        Self::Flood,
        Self::ClockJump,
    ];

    const FIRST_ON_OPEN: usize = Self::AcceptThenClose as usize;
    const FIRST_LATER: usize = Self::Reset as usize;

    /// A short, stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::SynLost => "syn_lost",
            Self::Lookup => "lookup",
            Self::Resolver => "resolver",
            Self::Tls => "tls",
            Self::UpgradeSilent => "upgrade_silent",
            Self::Rejected => "rejected",
            Self::Garbage => "garbage",
            Self::AcceptThenClose => "accept_then_close",
            Self::RepliesPartial => "replies_partial",
            Self::RepliesMissing => "replies_missing",
            Self::RepliesTwice => "replies_twice",
            Self::Reset => "reset",
            Self::Fin => "fin",
            Self::HalfOpen => "half_open",
            Self::HalfOpenInbound => "half_open_inbound",
            Self::HalfOpenOutbound => "half_open_outbound",
            Self::Stall => "stall",
            Self::WriteStall => "write_stall",
            Self::Delay => "delay",
            Self::Mute => "mute",
            Self::Close => "close",
            Self::CloseKeepsOpen => "close_keeps_open",
            Self::Protocol => "protocol",
            Self::Flood => "flood",
            Self::ClockJump => "clock_jump",
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for FaultKind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == name);
        found.ok_or_else(|| format!("there is no fault {name:?}"))
    }
}

/// How often things go wrong. Without any, nothing does.
#[derive(Clone, Debug, PartialEq)]
pub struct Faults {
    weights: [u32; FaultKind::ALL.len()],
    /// What part of the attempts fails, and of the connections is bad from the start.
    attempt_rate: f64,
    /// The mean time between faults on an open connection.
    every: Duration,
}

impl Faults {
    /// Nothing goes wrong.
    #[must_use]
    pub const fn none() -> Self {
        Self { weights: [0; FaultKind::ALL.len()], attempt_rate: 0.0, every: Duration::from_secs(20) }
    }

    /// Everything goes wrong, each kind as often as any other: a third of the attempts fails, and an open connection
    /// has a fault every 20 s on average.
    #[must_use]
    pub const fn all() -> Self {
        Self { weights: [1; FaultKind::ALL.len()], attempt_rate: 0.33, every: Duration::from_secs(20) }
    }

    /// How often `kind` comes, compared with the other kinds of its time; 0 for never.
    #[must_use]
    pub const fn weight(mut self, kind: FaultKind, weight: u32) -> Self {
        self.weights[kind as usize] = weight;
        self
    }

    /// What part of the attempts fails, from 0 to 1; as many of the connections are bad from the start.
    #[must_use]
    pub const fn attempt_rate(mut self, rate: f64) -> Self {
        self.attempt_rate = rate;
        self
    }

    /// The mean time between faults on an open connection.
    #[must_use]
    pub const fn every(mut self, mean: Duration) -> Self {
        self.every = mean;
        self
    }

    /// What becomes of an attempt, if not the ordinary.
    pub(crate) fn of_attempt(&self, rng: &mut Rng) -> Option<FaultKind> {
        if rng.f64() < self.attempt_rate { self.draw(0, FaultKind::FIRST_ON_OPEN, rng) } else { None }
    }

    /// What a connection is like from the start, if not ordinary.
    pub(crate) fn of_opening(&self, rng: &mut Rng) -> Option<FaultKind> {
        if rng.f64() >= self.attempt_rate {
            return None;
        }
        self.draw(FaultKind::FIRST_ON_OPEN, FaultKind::FIRST_LATER, rng)
    }

    /// The next fault on an open connection, and in how long.
    pub(crate) fn next(&self, rng: &mut Rng) -> Option<(FaultKind, Duration)> {
        let kind = self.draw(FaultKind::FIRST_LATER, FaultKind::ALL.len(), rng)?;
        // Without memory: any instant is as likely as the next.
        let factor = -(1.0 - rng.f64()).ln();
        Some((kind, self.every.mul_f64(factor.clamp(0.0, 20.0))))
    }

    fn draw(&self, from: usize, to: usize, rng: &mut Rng) -> Option<FaultKind> {
        let total: u32 = self.weights[from..to].iter().sum();
        if total == 0 {
            return None;
        }
        let mut left = rng.u32(0..total);
        for index in from..to {
            if left < self.weights[index] {
                return Some(FaultKind::ALL[index]);
            }
            left -= self.weights[index];
        }
        None
    }
}
