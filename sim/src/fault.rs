//! What goes wrong, and how often.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use fastrand::Rng;

/// When a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Instead of a connection.
    Attempt,
    /// With the upgrade.
    Opening,
    /// At any time after it.
    Open,
}

/// What a feed can do about it.
enum Severity {
    /// It recovers.
    Passing,
    /// It stops.
    Fatal,
}

/// One list for all that is known of each kind.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident $name:literal $stage:ident $severity:ident,)*) => {
        /// One kind of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum FaultKind {
            $($(#[$doc])* $kind,)*
        }

        impl FaultKind {
            /// All of them.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$kind),*];

            /// A short, stable name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }

            /// Whether it ends the feed, by the standard classification: such a run is over early.
            #[must_use]
            pub const fn is_fatal(self) -> bool {
                match self {
                    $(Self::$kind => matches!(Severity::$severity, Severity::Fatal),)*
                }
            }

            pub(crate) const fn stage(self) -> Stage {
                match self {
                    $(Self::$kind => Stage::$stage,)*
                }
            }
        }
    };
}

kinds! {
    /// The attempt: TCP connection refused.
    Refused "refused" Attempt Passing,
    /// The attempt: no answer to the SYN.
    SynLost "syn_lost" Attempt Passing,
    /// The attempt: the name cannot be looked up.
    Lookup "lookup" Attempt Passing,
    /// The attempt: the resolver of URL and headers fails.
    Resolver "resolver" Attempt Passing,
    /// The attempt: the resolver takes its time, and perhaps more than the connect deadline allows.
    ResolverSlow "resolver_slow" Attempt Passing,
    /// The attempt: TLS fails in a way that a retry may mend.
    Tls "tls" Attempt Passing,
    /// The attempt: no trusted authority has signed the certificate. Fatal.
    TlsUnknownIssuer "tls_unknown_issuer" Attempt Fatal,
    /// The attempt: the certificate is for another host. Fatal.
    TlsWrongHost "tls_wrong_host" Attempt Fatal,
    /// The attempt: the upgrade is never answered.
    UpgradeSilent "upgrade_silent" Attempt Passing,
    /// The attempt: answered with any status that a retry may mend, with or without `Retry-After`.
    Rejected "rejected" Attempt Passing,
    /// The attempt: answered with any status that none mends, with or without `Retry-After`. Fatal.
    RejectedForGood "rejected_for_good" Attempt Fatal,
    /// The attempt: answered with something that is not HTTP.
    Garbage "garbage" Attempt Passing,
    /// The connection is closed at once after the upgrade.
    AcceptThenClose "accept_then_close" Opening Passing,
    /// Half of the server's replies are lost.
    RepliesPartial "replies_partial" Opening Passing,
    /// All of the server's replies are lost.
    RepliesMissing "replies_missing" Opening Passing,
    /// The server's replies come twice.
    RepliesTwice "replies_twice" Opening Passing,
    /// The handler refuses the connection as soon as it is there.
    HandlerRefuses "handler_refuses" Opening Passing,
    /// Reset.
    Reset "reset" Open Passing,
    /// FIN without Close.
    Fin "fin" Open Passing,
    /// Nothing arrives any more, in either direction.
    HalfOpen "half_open" Open Passing,
    /// Nothing arrives any more from the server.
    HalfOpenInbound "half_open_inbound" Open Passing,
    /// Nothing arrives any more at the server.
    HalfOpenOutbound "half_open_outbound" Open Passing,
    /// Nothing moves for a while, then all of it.
    Stall "stall" Open Passing,
    /// Nothing can be written for a while.
    WriteStall "write_stall" Open Passing,
    /// The latency goes up for a while.
    Delay "delay" Open Passing,
    /// The connection carries a few bytes a second for a while.
    Throttle "throttle" Open Passing,
    /// The server answers pings but sends nothing of its own for a while.
    Mute "mute" Open Passing,
    /// The server closes, with some code.
    Close "close" Open Passing,
    /// The server closes and keeps TCP open.
    CloseKeepsOpen "close_keeps_open" Open Passing,
    /// A frame that breaks the protocol.
    Protocol "protocol" Open Passing,
    /// Hundreds of messages at once.
    Flood "flood" Open Passing,
    /// The clock jumps forward: a laptop that was suspended.
    ClockJump "clock_jump" Open Passing,
    /// The handler returns a fault for its next message.
    HandlerFault "handler_fault" Open Passing,
    /// The handler asks for another connection at its next message.
    HandlerReconnect "handler_reconnect" Open Passing,
    /// The handler finds fatal fault with its next message. Fatal.
    HandlerFatal "handler_fatal" Open Fatal,
    /// The next call of the handler, the resolver or the classification panics. Fatal.
    Panic "panic" Open Fatal,
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
        found.ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|kind| kind.as_str()).collect();
            format!("there is no fault {name:?}; there are {}", names.join(", "))
        })
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

    /// Everything goes wrong that a feed recovers from, each kind as often as any other: a third of the attempts fails,
    /// and an open connection has a fault every 20 s on average. What is [fatal](FaultKind::is_fatal) has to be asked
    /// for.
    #[must_use]
    pub fn all() -> Self {
        let none = Self { attempt_rate: 0.33, ..Self::none() };
        let kinds = FaultKind::ALL.into_iter().filter(|kind| !kind.is_fatal());
        kinds.fold(none, |faults, kind| faults.weight(kind, 1))
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

    /// What becomes of an attempt, or what a connection is like from the start, if not the ordinary.
    pub(crate) fn strike(&self, stage: Stage, rng: &mut Rng) -> Option<FaultKind> {
        if rng.f64() < self.attempt_rate { self.draw(stage, rng) } else { None }
    }

    /// The next fault on an open connection, and in how long.
    pub(crate) fn next(&self, rng: &mut Rng) -> Option<(FaultKind, Duration)> {
        let kind = self.draw(Stage::Open, rng)?;
        // Without memory: any instant is as likely as the next.
        let factor = -(1.0 - rng.f64()).ln();
        Some((kind, self.every.mul_f64(factor.clamp(0.0, 20.0))))
    }

    fn draw(&self, stage: Stage, rng: &mut Rng) -> Option<FaultKind> {
        let kinds = || FaultKind::ALL.into_iter().filter(|kind| kind.stage() == stage);
        let total: u32 = kinds().map(|kind| self.weights[kind as usize]).sum();
        if total == 0 {
            return None;
        }
        let mut left = rng.u32(0..total);
        kinds().find(|kind| {
            let weight = self.weights[*kind as usize];
            let hit = left < weight;
            left = left.saturating_sub(weight);
            hit
        })
    }
}
