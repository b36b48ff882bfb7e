//! Frames on their way out (B1, O1, O3, L3).

use std::collections::VecDeque;
use std::time::Duration;

use tidegate_core::{ConnectionId, Frame, Phase};

use super::{NEXT, Rules, Socket, Step};
use crate::call::Call;
use crate::numbers::{Script, Then};
use crate::rule::{Verdict, hold};
use crate::setup::Setup;

/// What one connection has sent and been told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Outgoing {
    /// Accepted from the application and not yet taken, by their numbers (O1).
    pub(super) accepted: VecDeque<u64>,
    /// Sent and not flushed, but for pings and those of the bootstrap.
    messages: usize,
    pings: usize,
    pub(super) bootstrap_sent: u64,
    pub(super) bootstrap_unflushed: u64,
    /// The handler holds the connection back no longer.
    pub(super) ready: bool,
    /// The number of the ping that is out.
    pub(super) ping: Option<u64>,
    /// How long until the next ping, one that is out answered. `None` if none is due.
    pub(super) ping_in: Option<Duration>,
    /// Nanoseconds until the handler's timers are due. Negative if they are late.
    timers: [Option<i64>; 2],
}

impl Outgoing {
    /// After the upgrade.
    pub(super) fn new(setup: &Setup, id: ConnectionId) -> Self {
        let wakes = setup.handler.wakes.filter(|_| setup.handler.accepts(id));
        Self {
            ready: !setup.handler.declares,
            ping_in: setup.config.ping_interval(),
            timers: [wakes.map(|millis| until(Duration::from_millis(millis.into()))), None],
            ..Self::default()
        }
    }

    /// Time passes. Timers stand still while reading is paused.
    pub(super) fn advance(&mut self, by: Duration, paused: bool) {
        self.ping_in = self.ping_in.map(|left| left.saturating_sub(by));
        if !paused {
            let by = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
            self.timers = self.timers.map(|timer| timer.map(|left| left.saturating_sub(by)));
        }
    }

    /// How long until the first timer is due.
    pub(super) fn timer_in(&self) -> Option<Duration> {
        let left = self.timers.iter().flatten().min()?;
        Some(Duration::from_nanos(u64::try_from(*left).unwrap_or(0)))
    }

    /// How many timers are due.
    pub(super) fn due(&self) -> usize {
        self.timers.iter().flatten().filter(|left| **left <= 0).count()
    }

    /// So many timers have fired, the first ones first. Whether as many were due.
    pub(super) fn fire(&mut self, count: u64) -> bool {
        (0..count).all(|_| {
            let is_set = |key: &usize| self.timers[*key].is_some();
            let first = (0..2).filter(is_set).min_by_key(|key| self.timers[*key]);
            first.is_some_and(|key| self.timers[key].take().is_some_and(|left| left <= 0))
        })
    }

    /// The handler is called with a message or a command.
    pub(super) fn told(&mut self, script: Script) {
        self.ready |= script.then == Then::Ready;
        if let Some(after) = script.wakes() {
            self.timers[script.key()] = Some(until(after));
        }
        if script.then == Then::Cancel {
            self.timers[script.key()] = None;
        }
    }

    pub(super) fn pong(&mut self, payload: &[u8]) {
        if self.ping.is_some_and(|number| number.to_be_bytes() == payload) {
            self.ping = None;
            self.ping_in = self.ping_in.map(|left| left.max(NEXT));
        }
    }

    /// The application asks for a ping now.
    pub(super) fn probe(&mut self) {
        if self.ping.is_none() {
            self.ping_in = Some(Duration::ZERO);
        }
    }

    pub(super) fn flushed(&mut self) {
        (self.messages, self.pings, self.bootstrap_unflushed) = (0, 0, 0);
    }

    /// What counts against the bound (O3).
    fn pending(&self) -> usize {
        self.messages + self.pings + self.accepted.len()
    }
}

fn until(after: Duration) -> i64 {
    i64::try_from(after.max(NEXT).as_nanos()).unwrap_or(i64::MAX)
}

impl Rules {
    pub(super) fn send(&mut self, id: ConnectionId, frame: &Frame, step: &Step<'_>) -> Verdict {
        hold!(self.socket == Socket::Open(id), O1, "{frame:?} on {:?}", self.socket);
        let out = &mut self.outgoing;
        let all_sent = out.bootstrap_sent == step.setup.handler.bootstrap.into();
        let payload = match frame {
            Frame::Message(message) => String::from_utf8_lossy(message.payload()).into_owned(),
            Frame::Ping(payload) => {
                let due =
                    step.call.is_tick() && step.before.wants_frames && out.ping_in == Some(Duration::ZERO);
                hold!(
                    due && out.ping.is_none(),
                    L3,
                    "a ping, {:?} early, with {:?} out",
                    out.ping_in,
                    out.ping
                );
                let number = payload[..].try_into().map(u64::from_be_bytes).ok();
                hold!(number.is_some(), L3, "the ping {payload:?} has no number");
                hold!(all_sent, B1, "a ping before the bootstrap");
                out.ping = number;
                out.ping_in = step.setup.config.ping_interval();
                out.pings += 1;
                self.ages.answer = Duration::ZERO;
                return Ok(());
            }
            Frame::Close(_) => {
                self.socket = Socket::Closing(id);
                return Ok(());
            }
            Frame::Pong(_) => String::new(),
        };
        let words: Vec<&str> = payload.split(' ').collect();
        let [kind, number, connection] = words[..] else {
            hold!(false, O1, "nobody has sent {frame:?}");
            return Ok(());
        };
        hold!(connection == id.to_string(), O1, "{payload} was sent on {id}");
        if kind == "b" {
            hold!(number == out.bootstrap_sent.to_string(), B1, "{payload} out of order");
            out.bootstrap_sent += 1;
            out.bootstrap_unflushed += 1;
            return Ok(());
        }
        hold!(all_sent, B1, "{payload} before the bootstrap");
        if kind == "s" {
            let next = out.accepted.pop_front();
            hold!(
                next.is_some_and(|next| next.to_string() == number),
                O1,
                "{payload} where {next:?} is next"
            );
        }
        out.messages += 1;
        hold!(out.messages <= step.setup.config.send_buffer(), O3, "{} messages are out", out.messages);
        Ok(())
    }

    /// What a send of the application gave back.
    pub(super) fn sent(&mut self, accepted: bool, Step { setup, call, before, .. }: &Step<'_>) -> Verdict {
        let pending = self.outgoing.pending();
        let (live, room) = (before.phase == Phase::Live, pending < setup.config.send_buffer());
        hold!(!accepted || live, O1, "accepted while {}", before.phase);
        hold!(!live || accepted == room, O3, "accepted: {accepted}, with {pending} pending");
        if let (true, Call::Send(number)) = (accepted, call) {
            self.outgoing.accepted.push_back(*number);
        }
        Ok(())
    }

    pub(super) fn check_sending(&self, Step { after, .. }: &Step<'_>) -> Verdict {
        let pending = if after.is_linked() { self.outgoing.pending() as u64 } else { 0 };
        hold!(after.stats.sending == pending, O3, "{} counted of {pending} pending", after.stats.sending);
        Ok(())
    }
}
