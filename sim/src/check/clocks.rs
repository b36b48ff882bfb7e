//! What must have happened by now: P1, C3, C5, B3, L1 to L5, R7, S1, and recovery once the faults are over.

use std::time::Duration;

use tidegate_driver::core::{
    BootstrapFailure, ConnectFailure, ConnectionFailure, Failure, Frame, LocalFailure, Notice, Overflow,
    Phase, Stats, Timestamp,
};

use super::{Rules, Verdict, hold};
use crate::entry::{Awaited, Entry};

/// A verdict comes so much later than its deadline, because the driver looks at the socket once more (L2).
const SECOND_LOOK: Duration = Duration::from_millis(1);

pub(super) struct Clocks {
    rules: Rules,
    phase: Phase,
    phase_since: Timestamp,
    /// When the bootstrap clock began, moved on by all pauses since.
    bootstrap_since: Timestamp,
    heard: Timestamp,
    /// What has arrived and not been read, since when.
    unread: Option<Timestamp>,
    ping: Option<Timestamp>,
    paused: Option<Timestamp>,
    read_while_paused: bool,
    emitted: Timestamp,
    items: u64,
    retry_at: Timestamp,
    shutdown: Option<Timestamp>,
    live_by: Option<Timestamp>,
    /// The last jump of the clock: nobody could look in between.
    jump: (Timestamp, Timestamp),
}

impl Clocks {
    pub(super) const fn new(rules: Rules) -> Self {
        Self {
            rules,
            phase: Phase::Idle,
            phase_since: Timestamp::ZERO,
            bootstrap_since: Timestamp::ZERO,
            heard: Timestamp::ZERO,
            unread: None,
            ping: None,
            paused: None,
            read_while_paused: false,
            emitted: Timestamp::ZERO,
            items: 0,
            retry_at: Timestamp::ZERO,
            shutdown: None,
            live_by: None,
            jump: (Timestamp::ZERO, Timestamp::ZERO),
        }
    }

    pub(super) fn see(&mut self, now: Timestamp, entry: &Entry) -> Verdict {
        match entry {
            Entry::Opened { .. } => {
                self.bootstrap_since = now;
                self.heard = now;
                self.ping = None;
                self.paused = None;
                self.read_while_paused = false;
            }
            Entry::Arrived { .. } => {
                let (from, to) = self.jump;
                self.unread.get_or_insert(if now == to { from } else { now });
            }
            Entry::Read { frame, .. } => {
                self.heard = now;
                self.unread = None;
                self.read_while_paused |= self.paused.is_some_and(|since| since < now);
                if matches!(frame, Frame::Pong(_)) {
                    self.ping = None;
                }
            }
            Entry::Gone { .. } => self.unread = None,
            Entry::Sent { frame: Frame::Ping(_), .. } => self.ping = Some(now),
            Entry::Notice(notice) => return self.notice(now, notice),
            Entry::Shutdown | Entry::Abandoned => {
                self.shutdown.get_or_insert(now);
            }
            Entry::Jumped { to } => {
                // One jump right after another is one.
                let from = if self.jump.1 == now { self.jump.0 } else { now };
                self.jump = (from, *to);
            }
            Entry::Healed { bound } => self.live_by = Some(now.saturating_add(*bound)),
            Entry::Quiet { phase, stats, alarm, waits_for, waits: _ } => {
                self.quiet(now, *phase, stats, *alarm)?;
                return self.recovered(now, *phase, *waits_for);
            }
            _ => {}
        }
        Ok(())
    }

    fn notice(&mut self, now: Timestamp, notice: &Notice) -> Verdict {
        if let Some(failure) = notice.failure() {
            self.on_time(now, failure)?;
        }
        match notice {
            Notice::Success { .. } => self.emitted = now,
            Notice::Paused { .. } => self.paused = Some(now),
            Notice::Resumed { paused_for, .. } => {
                self.bootstrap_since = self.bootstrap_since.saturating_add(*paused_for);
                self.paused = None;
                self.read_while_paused = false;
                self.heard = now;
                self.emitted = now;
                self.ping = self.ping.map(|_| now);
            }
            Notice::Retry { delay, .. } => self.retry_at = now.saturating_add(*delay),
            _ => {}
        }
        Ok(())
    }

    /// L2, C3, B3: not before its time, and not after it.
    fn on_time(&self, now: Timestamp, failure: &Failure) -> Verdict {
        let config = &self.rules.config;
        if *failure == Failure::Local(LocalFailure::Overflow) && config.overflow() != Overflow::Disconnect {
            let spent = self.paused.zip(config.max_pause());
            let due = spent.is_some_and(|(since, most)| now >= since.saturating_add(most));
            hold!(due, "D4, L5: {failure}, though reading may be paused");
        }
        let due = match failure {
            Failure::Connection(ConnectionFailure::IdleTimeout) => {
                config.idle_timeout().map(|idle| self.heard.saturating_add(idle))
            }
            Failure::Connection(ConnectionFailure::PongTimeout) => {
                // Its deadline is not known here: a ping may have waited to be sent.
                let before = now.saturating_since(Timestamp::ZERO).saturating_sub(SECOND_LOOK);
                return self.looked(Timestamp::ZERO.saturating_add(before), failure);
            }
            Failure::Connect(ConnectFailure::Timeout) => {
                Some(self.phase_since.saturating_add(config.connect_timeout()))
            }
            Failure::Bootstrap(BootstrapFailure::Timeout) => {
                return self.bootstrap_on_time(now);
            }
            _ => None,
        };
        let Some(due) = due else { return Ok(()) };
        hold!(now >= due, "L2, C3: {failure} {:?} early", due.saturating_since(now));
        let seen = self.seen(due);
        self.looked(seen, failure)?;
        let late = now.saturating_since(seen);
        hold!(!self.rules.prompt || late <= SECOND_LOOK, "L2, C3: {failure} {late:?} late");
        Ok(())
    }

    /// L2: what had arrived when the deadline was seen has been read.
    fn looked(&self, seen: Timestamp, failure: &Failure) -> Verdict {
        let all_read = self.unread.is_none_or(|since| since >= seen);
        hold!(all_read, "L2: {failure}, though something had arrived");
        Ok(())
    }

    /// B3: the clock goes on where it stood before a pause.
    fn bootstrap_on_time(&self, now: Timestamp) -> Verdict {
        let timeout = self.rules.config.bootstrap_timeout();
        let due = self.bootstrap_since.saturating_add(timeout);
        let early = due.saturating_since(now);
        hold!(early.is_zero(), "B3: {early:?} early");
        let late = now.saturating_since(self.seen(due));
        hold!(!self.rules.prompt || late <= SECOND_LOOK, "B3: {late:?} late");
        Ok(())
    }

    /// When that which is due then can be seen: after a jump that goes over it.
    fn seen(&self, due: Timestamp) -> Timestamp {
        let (from, to) = self.jump;
        if due > from && due < to { to } else { due }
    }

    fn quiet(&mut self, now: Timestamp, phase: Phase, stats: &Stats, alarm: Option<Timestamp>) -> Verdict {
        if phase != self.phase {
            self.phase = phase;
            self.phase_since = now;
        }
        if stats.items != self.items {
            self.items = stats.items;
            self.emitted = now;
        }
        // What is read once the connection is closing goes nowhere.
        let linked = matches!(phase, Phase::Bootstrapping | Phase::Live);
        let read = linked && self.read_while_paused && self.paused.is_some();
        hold!(!read, "D4: read while reading is paused");
        // A stream that nobody polls sets no alarm after one has rung.
        if self.rules.prompt {
            self.has_deadline(phase, alarm)?;
            self.not_overdue(now, phase)?;
        }
        Ok(())
    }

    /// P1.
    fn has_deadline(&self, phase: Phase, alarm: Option<Timestamp>) -> Verdict {
        let config = &self.rules.config;
        let paused = self.paused.is_some();
        let must = match phase {
            Phase::Idle | Phase::Stopped => false,
            Phase::Connecting | Phase::Closing | Phase::Waiting => true,
            Phase::Bootstrapping if !paused => true,
            Phase::Live if !paused => self.rules.detects_silence() || config.stale_after().is_some(),
            Phase::Bootstrapping | Phase::Live => config.max_pause().is_some(),
        };
        hold!(!must || alarm.is_some(), "P1: nothing ends {phase}");
        Ok(())
    }

    fn not_overdue(&self, now: Timestamp, phase: Phase) -> Verdict {
        let config = &self.rules.config;
        let over = |rule: &str, since: Timestamp, span: Option<Duration>| -> Verdict {
            let Some(span) = span else { return Ok(()) };
            let due = since.saturating_add(span);
            hold!(now < due, "{rule}: {phase} {:?} longer than allowed", now.saturating_since(due));
            Ok(())
        };
        let looked = |rule: &str, since: Timestamp, span: Option<Duration>| -> Verdict {
            let Some(span) = span else { return Ok(()) };
            let due = self.seen(since.saturating_add(span)).saturating_add(SECOND_LOOK);
            hold!(now < due, "{rule}: {phase} {:?} longer than allowed", now.saturating_since(due));
            Ok(())
        };
        match phase {
            Phase::Connecting => looked("C3", self.phase_since, Some(config.connect_timeout()))?,
            Phase::Closing => over("C5", self.phase_since, Some(config.close_timeout()))?,
            // A delay of nothing still takes a moment.
            Phase::Waiting => hold!(now <= self.retry_at, "R7: waiting longer than the delay"),
            Phase::Bootstrapping | Phase::Live => match self.paused {
                Some(since) => looked("L5", since, config.max_pause())?,
                None => {
                    looked("L2", self.heard, config.idle_timeout())?;
                    if let Some(sent) = self.ping {
                        looked("L3", sent, Some(config.pong_timeout()))?;
                    }
                    if phase == Phase::Live {
                        looked("L4", self.emitted, config.stale_after())?;
                    } else {
                        looked("B3", self.bootstrap_since, Some(config.bootstrap_timeout()))?;
                    }
                }
            },
            Phase::Idle | Phase::Stopped => {}
        }
        if let Some(since) = self.shutdown.filter(|_| phase != Phase::Stopped) {
            over("S1", since, Some(config.close_timeout()))?;
        }
        Ok(())
    }

    fn recovered(&self, now: Timestamp, phase: Phase, waits_for: Awaited) -> Verdict {
        let late = self.live_by.is_some_and(|by| now > by) && self.shutdown.is_none() && self.rules.prompt;
        hold!(
            !late || phase == Phase::Live,
            "recovery: {phase}, though the faults are long over; the feed waits for {waits_for}"
        );
        Ok(())
    }
}
