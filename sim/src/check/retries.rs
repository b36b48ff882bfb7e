//! How attempts follow each other: R2 to R7.

use std::time::Duration;

use tidegate_driver::core::{BootstrapFailure, Failure, Notice, Severity, StopReason, Timestamp};

use super::{Verdict, hold};
use crate::entry::Entry;
use crate::settings::Settings;

pub(super) struct Retries {
    settings: Settings,
    streak: u32,
    live_since: Timestamp,
    last: Option<Failure>,
    not_before: Timestamp,
}

impl Retries {
    pub(super) const fn new(settings: Settings) -> Self {
        Self { settings, streak: 0, live_since: Timestamp::ZERO, last: None, not_before: Timestamp::ZERO }
    }

    pub(super) fn see(&mut self, now: Timestamp, entry: &Entry) -> Verdict {
        match entry {
            Entry::Connect { id } => {
                hold!(now >= self.not_before, "R7: connect {id} before the delay is over");
                Ok(())
            }
            Entry::Notice(notice) => self.notice(now, notice),
            Entry::Opened { .. }
            | Entry::DialFailed { .. }
            | Entry::Gone { .. }
            | Entry::Sent { .. }
            | Entry::Flushed { .. }
            | Entry::Read { .. }
            | Entry::Broke { .. }
            | Entry::Ordered { .. }
            | Entry::Consumed(_)
            | Entry::Ended { .. }
            | Entry::Shutdown
            | Entry::Abandoned
            | Entry::Fault { .. }
            | Entry::Jumped { .. }
            | Entry::Healed { .. }
            | Entry::Quiet { .. } => Ok(()),
        }
    }

    fn notice(&mut self, now: Timestamp, notice: &Notice) -> Verdict {
        match notice {
            Notice::Success { .. } => self.live_since = now,
            Notice::Failure { failure, .. } => self.last = Some(failure.clone()),
            Notice::Timeout { failure, .. } => self.ended(now, Some(failure)),
            Notice::Disconnected { failure, .. } => self.ended(now, failure.as_ref()),
            Notice::Retry { attempt, delay } => self.retry(now, *attempt, *delay)?,
            Notice::Stopped { reason } => self.stopped(reason)?,
            Notice::Status { .. }
            | Notice::Pong { .. }
            | Notice::Dropped { .. }
            | Notice::Paused { .. }
            | Notice::Resumed { .. }
            | Notice::Connecting { .. } => {}
        }
        Ok(())
    }

    fn ended(&mut self, now: Timestamp, failure: Option<&Failure>) {
        self.last = failure.cloned();
        if now.saturating_since(self.live_since) >= self.settings.stable_after {
            self.streak = 0;
        }
    }

    fn retry(&mut self, now: Timestamp, attempt: u32, delay: Duration) -> Verdict {
        self.streak += 1;
        hold!(attempt == self.streak, "R4: retry {attempt} is the {}. of its streak", self.streak);
        hold!(
            self.settings.max_retries.is_none_or(|max| attempt <= max),
            "R2: retry {attempt} is one too many"
        );
        hold!(!self.last.as_ref().is_some_and(is_fatal), "R6: a retry after {:?}", self.last);
        let (least, most) = self.settings.backoff.range(attempt);
        let asked = match &self.last {
            Some(Failure::Rejected { status: 429 | 503, retry_after: Some(after) }) => {
                (*after).min(self.settings.max_retry_after)
            }
            Some(_) | None => Duration::ZERO,
        };
        hold!(delay >= asked, "R5: {delay:?} is less than the {asked:?} the server asked for");
        hold!(delay >= least && delay <= most.max(asked), "R3: retry {attempt} after {delay:?}");
        self.not_before = now.saturating_add(delay);
        Ok(())
    }

    fn stopped(&self, reason: &StopReason) -> Verdict {
        match reason {
            StopReason::RetriesExhausted { .. } => {
                let max = self.settings.max_retries;
                hold!(Some(self.streak) == max, "R2: stopped after {} retries of {max:?}", self.streak);
            }
            StopReason::Fatal { failure } => hold!(is_fatal(failure), "R6: stopped for good by {failure:?}"),
            StopReason::Shutdown | StopReason::HandlerPanicked => {}
        }
        Ok(())
    }
}

/// R6 as far as simulations reach.
fn is_fatal(failure: &Failure) -> bool {
    match failure {
        Failure::Rejected { status, .. } => (400..500).contains(status) && ![408, 425, 429].contains(status),
        Failure::Fault(fault) | Failure::Bootstrap(BootstrapFailure::Fault(fault)) => {
            fault.severity() == Severity::Fatal
        }
        Failure::Resolve { .. }
        | Failure::Lookup { .. }
        | Failure::Tcp { .. }
        | Failure::Proxy { .. }
        | Failure::Tls { .. }
        | Failure::Upgrade { .. }
        | Failure::ConnectTimeout
        | Failure::Bootstrap(_)
        | Failure::Closed(_)
        | Failure::Io { .. }
        | Failure::Protocol { .. }
        | Failure::IdleTimeout
        | Failure::PongTimeout
        | Failure::Stale
        | Failure::Reconnect
        | Failure::Overflow => false,
    }
}
