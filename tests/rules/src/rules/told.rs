//! What the notices tell (T1, T2), and what they reveal of retries and clocks.

use std::time::Duration;

use tidegate_core::{
    BootstrapFailure, Classification, ConnectFailure, Event, Failure, LocalFailure, Notice, Phase, Severity,
    StopReason,
};

use super::{NEXT, Rules, Step};
use crate::call::Call;
use crate::rule::{Verdict, hold};
use crate::setup::Setup;

/// What has been told of the last connection (T2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Told {
    success: u32,
    failure: u32,
    ended: u32,
    /// The application ended it before it was Live: no failure is owed.
    pub(super) excused: bool,
    /// As the last status notice said.
    pub(super) status: bool,
    /// It ended with a failure that no retry mends.
    fatal: bool,
    /// What the server that refused it asked for (R5).
    retry_after: Option<Duration>,
}

impl Told {
    /// Of another connection nothing has been told.
    pub(super) fn of_next(self) -> Self {
        Self { status: self.status, ..Self::default() }
    }
}

impl Rules {
    pub(super) fn notice(&mut self, notice: &Notice, step: &Step<'_>) -> Verdict {
        match notice {
            Notice::Success { id }
            | Notice::Failure { id, .. }
            | Notice::Disconnected { id, .. }
            | Notice::Timeout { id, .. } => {
                hold!(id.get() == self.last_id, T2, "{notice:?}, and {} is the last", self.last_id);
            }
            _ => {}
        }
        match notice {
            Notice::Connecting { id } => {
                hold!(id.get() == step.after.stats.attempts, T2, "{notice:?} is not the last");
            }
            Notice::Success { id } => {
                self.told.success += 1;
                let owed = step.setup.handler.bootstrap.into();
                let sent = self.outgoing.bootstrap_sent;
                hold!(sent == owed, B2, "Live with {sent} bootstrap frames of {owed}");
                let owes = self.owes();
                hold!(owes == (false, false), B2, "Live, and flush and word are owed: {owes:?}");
                hold!(step.setup.handler.accepts(*id), B4, "success after a refusal");
                (self.ages.live, self.ages.emitted) = (Duration::ZERO, Duration::ZERO);
            }
            Notice::Failure { failure, .. } => {
                self.told.failure += 1;
                self.cause(failure, step)?;
            }
            Notice::Disconnected { failure: Some(failure), .. } => {
                hold!(!failure.is_timeout(), T2, "told as disconnected: {failure}");
                self.cause(failure, step)?;
                self.ended(step.setup);
            }
            Notice::Disconnected { failure: None, .. } => {
                let asked = matches!(
                    step.call,
                    Call::Handle(Event::Shutdown | Event::HandlerPanicked | Event::RuntimeStopped)
                );
                hold!(asked, T2, "disconnected without a failure");
                self.ended(step.setup);
            }
            Notice::Timeout { failure, .. } => {
                hold!(failure.is_timeout(), T2, "told as a timeout: {failure}");
                self.cause(failure, step)?;
                self.ended(step.setup);
            }
            Notice::Status { live } => {
                hold!(*live != self.told.status, T1, "status told twice");
                self.told.status = *live;
            }
            Notice::Paused { .. } => self.ages.paused = Some(Duration::ZERO),
            Notice::Resumed { paused_for, .. } => self.resumed(*paused_for, step.setup)?,
            Notice::Retry { attempt, delay } => self.retry(*attempt, *delay, step.setup)?,
            Notice::Stopped { reason } => self.stopped(reason, step)?,
            _ => {}
        }
        Ok(())
    }

    fn resumed(&mut self, paused_for: Duration, setup: &Setup) -> Verdict {
        let paused = self.ages.paused.take().unwrap_or_default();
        let known = paused < setup.ages_end();
        hold!(paused_for == paused || !known, L5, "paused for {paused:?}, told as {paused_for:?}");
        self.ages.resume();
        if self.outgoing.ping.is_none() {
            self.outgoing.ping_in = setup.config.ping_interval();
        }
        Ok(())
    }

    fn retry(&mut self, attempt: u32, delay: Duration, setup: &Setup) -> Verdict {
        self.streak += 1;
        hold!(attempt == self.streak, R4, "retry {attempt} is the {}. of its streak", self.streak);
        hold!(
            setup.config.retry().retries().is_none_or(|max| attempt <= max),
            R2,
            "retry {attempt} is one too many"
        );
        hold!(!self.told.fatal, R6, "a retry after what none mends");
        let (shortest, longest) = setup.delay(attempt);
        let asked = self.told.retry_after.unwrap_or_default().min(setup.config.max_retry_after());
        hold!(delay >= asked, R5, "{delay:?}, and the server asks for {asked:?}");
        hold!(delay >= shortest, R3, "{delay:?} is less than {shortest:?}");
        let capped = self.told.retry_after.is_none() || delay <= longest.max(asked);
        hold!(capped, R5, "{delay:?} is more than {longest:?} and {asked:?}");
        hold!(delay <= longest.max(asked), R3, "{delay:?} is more than {longest:?}");
        self.wait = delay.max(NEXT);
        Ok(())
    }

    fn stopped(&self, reason: &StopReason, step: &Step<'_>) -> Verdict {
        match reason {
            StopReason::RetriesExhausted { last } => {
                hold!(
                    Some(self.streak) == step.setup.config.retry().retries(),
                    R2,
                    "stopped after {} retries",
                    self.streak
                );
                hold!(!is_fatal(last, step.setup), R6, "{last} is fatal");
            }
            StopReason::Fatal { failure } => {
                hold!(is_fatal(failure, step.setup), R6, "{failure} is not fatal")
            }
            StopReason::Shutdown => hold!(self.shut, S1, "stopped, and nobody asked for it"),
            StopReason::HandlerPanicked => {
                let panicked = matches!(step.call, Call::Handle(Event::HandlerPanicked));
                hold!(panicked, H5, "stopped, and nothing has panicked");
            }
            StopReason::RuntimeStopped => {
                let gone = matches!(step.call, Call::Handle(Event::RuntimeStopped));
                hold!(gone, S3, "stopped, and the runtime is there");
            }
            _ => {}
        }
        Ok(())
    }

    fn cause(&mut self, failure: &Failure, step: &Step<'_>) -> Verdict {
        self.told.fatal = is_fatal(failure, step.setup);
        if let Failure::Connect(ConnectFailure::Rejected { status: 429 | 503, retry_after, .. }) = failure {
            self.told.retry_after = *retry_after;
        }
        self.check_cause(failure, step)
    }

    /// A Live connection has ended (R4).
    fn ended(&mut self, setup: &Setup) {
        self.told.ended += 1;
        if self.ages.live >= setup.config.stable_after() {
            self.streak = 0;
        }
    }

    pub(super) fn check_told(&self, Step { after, .. }: &Step<'_>) -> Verdict {
        let Told { success, failure, ended, excused, status, .. } = self.told;
        hold!(status == (after.phase == Phase::Live), T1, "status is {status} while {}", after.phase);
        let fine = match after.phase {
            Phase::Live => (success, failure, ended) == (1, 0, 0),
            Phase::Connecting | Phase::Bootstrapping => (success, failure, ended) == (0, 0, 0),
            Phase::Idle => true,
            Phase::Closing | Phase::Waiting | Phase::Stopped if success == 1 => (failure, ended) == (0, 1),
            Phase::Closing | Phase::Waiting | Phase::Stopped => {
                let excused = excused || after.stats.attempts == 0;
                (success, ended) == (0, 0) && (failure == 1 || failure == 0 && excused)
            }
        };
        hold!(fine, T2, "{} of {}: {:?}", after.phase, self.last_id, self.told);
        Ok(())
    }
}

/// R6, for the failures that handlers and transports of these packages know.
fn is_fatal(failure: &Failure, setup: &Setup) -> bool {
    match failure {
        Failure::Connect(ConnectFailure::Rejected { status, .. }) => match setup.config.classification() {
            Classification::AnyHttpError => *status >= 400,
            _ => matches!(status, 400..=407 | 409..=424 | 426..=428 | 430..=499 | 501),
        },
        Failure::Local(LocalFailure::Fault(fault)) | Failure::Bootstrap(BootstrapFailure::Fault(fault)) => {
            fault.severity() == Severity::Fatal
        }
        _ => false,
    }
}
