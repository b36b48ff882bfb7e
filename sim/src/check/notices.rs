//! Notices: T1, T2.

use tidegate_driver::core::{Failure, Notice, Phase, StopReason};

use super::{Verdict, hold};
use crate::entry::Entry;

/// Notices about the current connection or attempt.
#[derive(Debug, Default)]
pub(super) struct NoticeRules {
    id: u64,
    success: u32,
    failure: u32,
    ended: u32,
    status: bool,
    /// The application has asked for the end: no failure is owed.
    excused: bool,
}

impl NoticeRules {
    pub(super) fn see(&mut self, entry: &Entry) -> Verdict {
        match entry {
            Entry::Shutdown | Entry::Abandoned => self.excused = true,
            Entry::Notice(notice) => return self.notice(notice),
            Entry::Quiet { phase, .. } => {
                let live = *phase == Phase::Live;
                hold!(self.status == live, "T1: status is {} while {phase}", self.status);
                if live {
                    hold!((self.success, self.ended) == (1, 0), "T2: live after {self:?}");
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn notice(&mut self, notice: &Notice) -> Verdict {
        match notice {
            Notice::Connecting { id } => {
                self.check_over()?;
                let Self { status, excused, .. } = *self;
                *self = Self { id: id.get(), status, excused, ..Self::default() };
            }
            Notice::Success { id } => {
                self.is_current(id.get())?;
                self.success += 1;
                hold!((self.success, self.failure, self.ended) == (1, 0, 0), "T2: success, after {self:?}");
            }
            Notice::Failure { id, .. } => {
                self.is_current(id.get())?;
                self.failure += 1;
                hold!((self.success, self.failure) == (0, 1), "T2: failure, after {self:?}");
            }
            Notice::Disconnected { id, failure } => {
                let timeout = failure.as_ref().is_some_and(Failure::is_timeout);
                hold!(!timeout, "T2: a timeout of {id} reported as disconnected");
                self.end(id.get())?;
            }
            Notice::Timeout { id, failure } => {
                hold!(failure.is_timeout(), "T2: {failure} of {id} reported as a timeout");
                self.end(id.get())?;
            }
            Notice::Status { live } => {
                hold!(*live != self.status, "T1: status {live} reported twice");
                self.status = *live;
            }
            Notice::Stopped { reason } => {
                self.excused |= *reason == StopReason::HandlerPanicked;
                self.check_over()?;
            }
            _ => {}
        }
        Ok(())
    }

    fn is_current(&self, id: u64) -> Verdict {
        hold!(id == self.id, "T2: a notice of {id} during {}", self.id);
        Ok(())
    }

    fn end(&mut self, id: u64) -> Verdict {
        self.is_current(id)?;
        self.ended += 1;
        hold!((self.success, self.ended) == (1, 1), "T2: the end of {id}, after {self:?}");
        Ok(())
    }

    /// What came before is settled.
    fn check_over(&self) -> Verdict {
        let settled = match (self.success, self.failure, self.ended) {
            (1, 0, 1) | (0, 1, 0) => true,
            (0, 0, 0) => self.excused || self.id == 0,
            _ => false,
        };
        hold!(settled, "T2: over after {self:?}");
        Ok(())
    }
}
