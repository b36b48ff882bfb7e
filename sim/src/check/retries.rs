//! How attempts follow each other: R2 to R7.

use std::time::Duration;

use tidegate_driver::core::{
    BootstrapFailure, Class, Classification, Config, ConnectFailure, Failure, LocalFailure, Notice,
    ProxyProblem, Severity, StopReason, Timestamp, TlsProblem,
};

use super::{Delays, Rules, Verdict, hold};
use crate::entry::Entry;

pub(super) struct Retries {
    config: Config,
    delays: Delays,
    streak: u32,
    live_since: Timestamp,
    last: Option<Failure>,
    /// The status with which the attempt before was refused.
    refused_before: Option<u16>,
    /// When the next attempt may come, if there is to be one.
    not_before: Option<Timestamp>,
}

impl Retries {
    pub(super) fn new(rules: &Rules) -> Self {
        Self {
            config: rules.config.clone(),
            delays: rules.delays,
            streak: 0,
            live_since: Timestamp::ZERO,
            last: None,
            refused_before: None,
            not_before: Some(Timestamp::ZERO),
        }
    }

    pub(super) fn see(&mut self, now: Timestamp, entry: &Entry) -> Verdict {
        match entry {
            Entry::Connect { id } => {
                let not_before = self.not_before.take();
                hold!(
                    not_before.is_some(),
                    "R6, R7: connect {id}, though no retry was due after {:?}",
                    self.last
                );
                hold!(not_before <= Some(now), "R7: connect {id} before the delay is over");
                Ok(())
            }
            Entry::Notice(notice) => self.notice(now, notice),
            _ => Ok(()),
        }
    }

    fn notice(&mut self, now: Timestamp, notice: &Notice) -> Verdict {
        match notice {
            Notice::Success { .. } => self.live_since = now,
            Notice::Failure { failure, .. } => self.failed(Some(failure)),
            Notice::Timeout { failure, .. } => self.ended(now, Some(failure)),
            Notice::Disconnected { failure, .. } => self.ended(now, failure.as_ref()),
            Notice::Retry { attempt, delay } => self.retry(now, *attempt, *delay)?,
            Notice::Stopped { reason } => self.stopped(reason)?,
            _ => {}
        }
        Ok(())
    }

    fn ended(&mut self, now: Timestamp, failure: Option<&Failure>) {
        self.failed(failure);
        if now.saturating_since(self.live_since) >= self.config.stable_after() {
            self.streak = 0;
        }
    }

    fn failed(&mut self, failure: Option<&Failure>) {
        self.refused_before = self.last.as_ref().and_then(Failure::status);
        self.last = failure.cloned();
    }

    fn retry(&mut self, now: Timestamp, attempt: u32, delay: Duration) -> Verdict {
        self.streak += 1;
        hold!(attempt == self.streak, "R4: retry {attempt} is the {}. of its streak", self.streak);
        hold!(self.limit().is_none_or(|max| attempt <= max), "R2: retry {attempt} is one too many");
        if let Some(last) = self.last.clone() {
            hold!(!self.is_fatal(&last), "R6: a retry after {last:?}");
        }
        let (least, most) = self.delays.range(attempt, |delay| match &self.last {
            Some(failure) => self.config.retry().adjusted(failure, delay),
            None => delay,
        });
        let asked = match &self.last {
            Some(Failure::Connect(ConnectFailure::Rejected {
                status: 429 | 503,
                retry_after: Some(after),
                ..
            })) => (*after).min(self.config.max_retry_after()),
            Some(_) | None => Duration::ZERO,
        };
        hold!(delay >= asked, "R5: {delay:?} is less than the {asked:?} the server asked for");
        hold!(delay >= least && delay <= most.max(asked), "R3: retry {attempt} after {delay:?}");
        self.not_before = Some(now.saturating_add(delay));
        Ok(())
    }

    fn stopped(&mut self, reason: &StopReason) -> Verdict {
        match reason {
            StopReason::RetriesExhausted { last } => {
                let max = self.limit();
                let all = Some(self.streak) == max || matches!(self.delays, Delays::UpTo(_));
                hold!(all, "R2: stopped after {} retries of {max:?}", self.streak);
                hold!(
                    Some(last) == self.last.as_ref(),
                    "R2: the last failure was {:?}: {reason:?}",
                    self.last
                );
                hold!(!self.is_fatal(last), "R6: out of retries, in place of stopped by {last:?}");
            }
            StopReason::Fatal { failure } => {
                hold!(Some(failure) == self.last.as_ref(), "R6: {:?} was last: {reason:?}", self.last);
                hold!(self.is_fatal(failure), "R6: stopped by {failure:?}");
            }
            _ => {}
        }
        Ok(())
    }

    /// How many retries a streak has, if that is not a custom policy's own affair.
    fn limit(&self) -> Option<u32> {
        match self.delays {
            Delays::Fixed(_) | Delays::Exponential { .. } => self.config.retry().retries(),
            Delays::UpTo(_) => None,
        }
    }

    fn is_fatal(&self, failure: &Failure) -> bool {
        match self.config.classification() {
            Classification::Standard => is_fatal(failure),
            own => own.judge(failure, self.refused_before) == Class::Fatal,
        }
    }
}

/// R6, as the standard classification has it.
fn is_fatal(failure: &Failure) -> bool {
    match failure {
        Failure::Connect(ConnectFailure::Request { .. } | ConnectFailure::Redirected { .. }) => true,
        Failure::Connect(ConnectFailure::Rejected { status, .. }) => {
            matches!(status, 400..=499 | 501) && ![408, 425, 429].contains(status)
        }
        Failure::Local(LocalFailure::Fault(fault)) | Failure::Bootstrap(BootstrapFailure::Fault(fault)) => {
            fault.severity() == Severity::Fatal
        }
        Failure::Connect(ConnectFailure::Tls { problem, .. }) => !matches!(
            problem,
            TlsProblem::Expired
                | TlsProblem::Revoked
                | TlsProblem::NoCommonProtocol
                | TlsProblem::Protocol
                | TlsProblem::Other
        ),
        Failure::Connect(ConnectFailure::Proxy { problem, .. }) => matches!(
            problem,
            ProxyProblem::Misconfigured | ProxyProblem::Credentials | ProxyProblem::Forbidden
        ),
        _ => false,
    }
}
