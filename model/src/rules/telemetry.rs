//! What the notices tell (T1, T2), and what they reveal of retries and clocks.

use tidegate_core::{BootstrapFailure, Failure, Notice, Phase, Severity, StopReason};

use crate::op::Op;
use crate::rules::{Broken, Rule, Rules, Step};
use crate::world::{DELAY, Millis, STABLE, World};

/// What has been told of the last connection (T2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Told {
    success: u8,
    failure: u8,
    ended: u8,
    /// The application ended it before it was Live: no failure is owed.
    excused: bool,
    /// As the last status notice said.
    live: bool,
}

impl Told {
    pub(super) fn check(&mut self, Step { op, before, after, .. }: &Step<'_>, broken: &mut Broken) {
        self.excused |= matches!(op, Op::Shutdown | Op::Panicked) && before.connection.is_some();
        broken.unless(self.live == (after.phase == Phase::Live), Rule::T1);
        let fine = match after.phase {
            Phase::Live => (self.success, self.failure, self.ended) == (1, 0, 0),
            Phase::Connecting | Phase::Bootstrapping => (self.success, self.failure, self.ended) == (0, 0, 0),
            Phase::Idle => true,
            Phase::Closing | Phase::Waiting | Phase::Stopped if self.success == 1 => {
                (self.failure, self.ended) == (0, 1)
            }
            Phase::Closing | Phase::Waiting | Phase::Stopped => {
                let never_dialled = after.stats.attempts == 0;
                let told = self.failure == 1 || self.failure == 0 && (self.excused || never_dialled);
                self.ended == 0 && told
            }
        };
        broken.unless(fine, Rule::T2);
    }
}

impl Rules {
    pub(super) fn notice(&mut self, notice: &Notice, step: &Step<'_>) {
        let world = step.world;
        let (Notice::Success { id }
        | Notice::Failure { id, .. }
        | Notice::Disconnected { id, .. }
        | Notice::Timeout { id, .. }
        | Notice::Connecting { id }) = notice
        else {
            return self.notice_of_feed(notice, world);
        };
        let last = id.get() == step.after.stats.attempts;
        self.broken.unless(last, Rule::T2);
        match notice {
            Notice::Success { .. } => {
                self.told.success += 1;
                let all_out = self.outgoing.bootstrap_sent == world.bootstrap;
                self.broken.unless(all_out && self.owes() == (false, false), Rule::B2);
                self.ages.live = 0;
                self.ages.emitted = 0;
            }
            Notice::Failure { failure, .. } => {
                self.told.failure += 1;
                self.check_cause(failure, step);
            }
            Notice::Disconnected { failure, .. } => {
                self.broken.unless(!failure.as_ref().is_some_and(Failure::is_timeout), Rule::T2);
                self.broken
                    .unless(failure.is_some() || matches!(step.op, Op::Shutdown | Op::Panicked), Rule::T2);
                if let Some(failure) = failure {
                    self.check_cause(failure, step);
                }
                self.ended();
            }
            Notice::Timeout { failure, .. } => {
                self.broken.unless(failure.is_timeout(), Rule::T2);
                self.check_cause(failure, step);
                self.ended();
            }
            Notice::Connecting { .. }
            | Notice::Status { .. }
            | Notice::Pong { .. }
            | Notice::Dropped { .. }
            | Notice::Paused { .. }
            | Notice::Resumed { .. }
            | Notice::Retry { .. }
            | Notice::Stopped { .. } => {}
        }
    }

    fn notice_of_feed(&mut self, notice: &Notice, world: &World) {
        match notice {
            Notice::Status { live } => {
                self.broken.unless(*live != self.told.live, Rule::T1);
                self.told.live = *live;
            }
            Notice::Paused { .. } => self.ages.paused = 0,
            Notice::Resumed { paused_for, .. } => {
                let paused = paused_for.as_millis() as Millis;
                self.broken.unless(paused.min(super::Ages::MAX) == self.ages.paused, Rule::L5);
                self.ages.heard = 0;
                self.ages.emitted = 0;
                self.ages.ping = 0;
                self.ages.bootstrap = 0;
            }
            Notice::Retry { attempt, delay } => {
                self.streak += 1;
                self.broken.unless(*attempt == self.streak, Rule::R4);
                self.broken.unless(self.streak <= world.max_retries, Rule::R2);
                self.wait = delay.as_millis() as Millis;
                self.broken.unless(self.wait >= DELAY, Rule::R2);
            }
            Notice::Stopped { reason } => match reason {
                StopReason::RetriesExhausted { last } => {
                    self.broken.unless(self.streak == world.max_retries, Rule::R2);
                    self.broken.unless(!is_fatal(last), Rule::R6);
                }
                StopReason::Fatal { failure } => self.broken.unless(is_fatal(failure), Rule::R6),
                StopReason::Shutdown => self.broken.unless(self.shut, Rule::S1),
                StopReason::HandlerPanicked => {}
            },
            Notice::Success { .. }
            | Notice::Failure { .. }
            | Notice::Disconnected { .. }
            | Notice::Timeout { .. }
            | Notice::Pong { .. }
            | Notice::Dropped { .. }
            | Notice::Connecting { .. } => {}
        }
    }

    fn ended(&mut self) {
        self.told.ended += 1;
        if self.ages.live >= STABLE {
            self.streak = 0;
        }
    }

    /// A clock that ends a connection must have run out, and may not while reading is held back (L2-L5).
    fn check_cause(&mut self, failure: &Failure, Step { world, before, op, .. }: &Step<'_>) {
        let (ages, clocks) = (self.ages, world.clocks);
        let ran = |span: Option<Millis>, age: Millis| span.is_some_and(|span| age >= span);
        let holds = |is: bool, ran: bool| !is || ran;
        let pong_timeout = clocks.ping.map(|(_, timeout)| timeout);
        let unanswered = self.outgoing.ping.is_some() && ran(pong_timeout, ages.ping);
        let overdue = *failure == Failure::Overflow && *op == Op::Tick;
        self.broken.unless(holds(*failure == Failure::IdleTimeout, ran(clocks.idle, ages.heard)), Rule::L2);
        self.broken.unless(holds(*failure == Failure::PongTimeout, unanswered), Rule::L3);
        self.broken.unless(holds(*failure == Failure::Stale, ran(clocks.stale, ages.emitted)), Rule::L4);
        self.broken.unless(holds(overdue, ran(clocks.max_pause, ages.paused)), Rule::L5);
        let clock = failure.is_timeout() || matches!(failure, Failure::Bootstrap(BootstrapFailure::Timeout));
        self.broken.unless(!(clock && before.is_held_back()), Rule::L5);
    }
}

/// R6, for the failures that the worlds know.
fn is_fatal(failure: &Failure) -> bool {
    if let Failure::Fault(fault) | Failure::Bootstrap(BootstrapFailure::Fault(fault)) = failure {
        return fault.severity() == Severity::Fatal;
    }
    matches!(failure, Failure::Rejected { status: 404, .. })
}
