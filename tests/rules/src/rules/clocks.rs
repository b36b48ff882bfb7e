//! When things must happen (P1, C3, C5, R7, B3, L2-L5, H4).

use std::time::Duration;

use tidegate_core::{
    BootstrapFailure, ConnectFailure, ConnectionFailure, Deadline, Failure, LocalFailure, Phase,
};

use super::{Rules, Step};
use crate::call::View;
use crate::rule::{Broken, Rule, Verdict, hold};

/// How long ago things happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Ages {
    /// Since the phase began.
    pub(super) phase: Duration,
    /// Since the bootstrap began, pauses apart.
    pub(super) bootstrap: Duration,
    pub(super) heard: Duration,
    pub(super) emitted: Duration,
    pub(super) live: Duration,
    /// Since a ping that is out, or since something came or reading went on after it.
    pub(super) answer: Duration,
    /// When the pause of reading began, during one.
    pub(super) paused: Option<Duration>,
}

impl Ages {
    /// All that is older than `end` is the same.
    pub(super) fn advance(&mut self, by: Duration, end: Duration) {
        let Self { phase, bootstrap, heard, emitted, live, answer, paused } = self;
        let bootstrap = Some(bootstrap).filter(|_| paused.is_none());
        let all = [phase, heard, emitted, live].into_iter().chain(bootstrap).chain(paused.as_mut());
        all.for_each(|age| *age = age.saturating_add(by).min(end));
        // A ping may be out where none is sent at intervals.
        *answer = answer.saturating_add(by);
    }

    /// Reading goes on: the clocks start from now (L5).
    pub(super) fn resume(&mut self) {
        (self.heard, self.emitted, self.answer) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    }
}

/// At `span` after what is `age` old, or before that.
fn is_due_within(view: &View, span: Duration, age: Duration) -> bool {
    let Deadline::At(at) = view.deadline else { return false };
    u128::from(at.as_nanos()) + age.as_nanos() <= u128::from(view.now.as_nanos()) + span.as_nanos()
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

impl Rules {
    /// P1, and the deadline of each phase that has one of its own.
    pub(super) fn check_deadline(&self, Step { setup, after, .. }: &Step<'_>) -> Verdict {
        let config = &setup.config;
        let must = match after.phase {
            Phase::Idle | Phase::Stopped => false,
            Phase::Connecting | Phase::Closing | Phase::Waiting => true,
            Phase::Bootstrapping if after.wants_frames => true,
            Phase::Live if after.wants_frames => setup.watches(),
            Phase::Bootstrapping | Phase::Live => config.max_pause().is_some(),
        };
        hold!(!must || after.deadline != Deadline::Never, P1, "{} has no deadline", after.phase);
        let ages = self.ages;
        match after.phase {
            Phase::Idle | Phase::Stopped => {
                hold!(after.deadline == Deadline::Never, S2, "{} has a deadline", after.phase);
                Ok(())
            }
            Phase::Connecting => due(after, Some(config.connect_timeout()), ages.phase, Rule::C3),
            Phase::Closing => due(after, Some(config.close_timeout()), ages.phase, Rule::C5),
            Phase::Waiting => due(after, Some(self.wait), Duration::ZERO, Rule::R7),
            Phase::Bootstrapping if after.wants_frames => {
                due(after, Some(config.bootstrap_timeout()), ages.bootstrap, Rule::B3)
            }
            Phase::Bootstrapping | Phase::Live => Ok(()),
        }
    }

    /// L2-L5, H4: the deadline is that of the clock that runs out first, and none counts while reading is paused.
    pub(super) fn check_clocks(&self, Step { setup, after, .. }: &Step<'_>) -> Verdict {
        if !after.is_linked() {
            return Ok(());
        }
        let (ages, config) = (self.ages, &setup.config);
        if let Some(paused) = ages.paused {
            let began = after.now.as_nanos().saturating_sub(nanos(paused));
            let end = config.max_pause().map(|pause| began.saturating_add(nanos(pause)));
            let stands = match after.deadline {
                Deadline::At(at) => Some(at.as_nanos()) == end || end.is_some() && paused == setup.ages_end(),
                Deadline::Never => end.is_none(),
            };
            hold!(stands, L5, "paused for {paused:?}, and the deadline is {:?}", after.deadline);
            return Ok(());
        }
        due(after, self.outgoing.timer_in(), Duration::ZERO, Rule::H4)?;
        due(after, config.idle_timeout(), ages.heard, Rule::L2)?;
        let (span, age) = match self.outgoing.ping {
            Some(_) => (Some(config.pong_timeout()), ages.answer),
            None => (self.outgoing.ping_in, Duration::ZERO),
        };
        due(after, span, age, Rule::L3)?;
        let stale = config.stale_after().filter(|_| after.phase == Phase::Live);
        due(after, stale, ages.emitted, Rule::L4)
    }

    /// A clock that ends a connection must have run out, and may not while reading is paused (C3, B3, L2-L5).
    pub(super) fn check_cause(&self, failure: &Failure, step: &Step<'_>) -> Verdict {
        let Step { setup, before, call, .. } = step;
        let (ages, config) = (self.ages, &setup.config);
        let unanswered = self.outgoing.ping.map(|_| config.pong_timeout());
        let (span, age, rule) = match failure {
            Failure::Connection(ConnectionFailure::IdleTimeout) => {
                (config.idle_timeout(), ages.heard, Rule::L2)
            }
            Failure::Connection(ConnectionFailure::PongTimeout) => (unanswered, ages.answer, Rule::L3),
            Failure::Connection(ConnectionFailure::Stale) => (config.stale_after(), ages.emitted, Rule::L4),
            Failure::Bootstrap(BootstrapFailure::Timeout) => {
                (Some(config.bootstrap_timeout()), ages.bootstrap, Rule::B3)
            }
            // Others may name these as well.
            Failure::Connect(ConnectFailure::Timeout) if call.is_tick() => {
                (Some(config.connect_timeout()), ages.phase, Rule::C3)
            }
            Failure::Local(LocalFailure::Overflow) if call.is_tick() && before.is_paused() => {
                (config.max_pause(), ages.paused.unwrap_or_default(), Rule::L5)
            }
            _ => return Ok(()),
        };
        let ran_out = span.is_some_and(|span| age >= span);
        if !ran_out {
            return Err(Broken { rule, detail: format!("{failure} after {age:?} of {span:?}") });
        }
        let counts = !before.is_paused() || rule == Rule::L5;
        hold!(counts, L5, "{failure} while reading is paused");
        Ok(())
    }
}

fn due(view: &View, span: Option<Duration>, age: Duration, rule: Rule) -> Verdict {
    match span {
        Some(span) if !is_due_within(view, span, age) => {
            let detail = format!("{:?} at {:?}, {age:?} of {span:?}", view.deadline, view.now);
            Err(Broken { rule, detail })
        }
        _ => Ok(()),
    }
}
