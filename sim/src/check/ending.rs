//! How a feed ends: H5, and that it does: S1, S3.

use tidegate_driver::core::{Notice, Phase, StopReason};

use super::{Verdict, hold};
use crate::entry::Entry;

#[derive(Default)]
pub(super) struct Ending {
    /// A policy of the user's own may panic unseen.
    own_policy: bool,
    panicked: bool,
    reason: Option<StopReason>,
    phase: Option<Phase>,
    /// The consumer has seen the end, or is gone.
    seen: bool,
}

impl Ending {
    pub(super) fn new(own_policy: bool) -> Self {
        Self { own_policy, ..Self::default() }
    }

    pub(super) fn see(&mut self, entry: &Entry) -> Verdict {
        match entry {
            Entry::Panicked => self.panicked = true,
            Entry::Notice(Notice::Stopped { reason }) => {
                let panic = *reason == StopReason::HandlerPanicked;
                hold!(!panic || self.panicked || self.own_policy, "H5: stopped by a panic that never was");
                hold!(panic || !self.panicked, "H5: {reason}, though a function had panicked");
                self.reason = Some(reason.clone());
            }
            Entry::Ended { .. } | Entry::Abandoned => self.seen = true,
            Entry::Quiet { phase, .. } => {
                self.phase = Some(*phase);
                hold!(!self.panicked || *phase == Phase::Stopped, "H5: {phase} after a panic");
            }
            Entry::Over => {
                let phase = self.phase.unwrap_or(Phase::Idle);
                hold!(phase == Phase::Stopped, "S1: {phase} long after the shutdown");
                hold!(self.seen, "S3: the stream has not ended, though the feed has: {:?}", self.reason);
            }
            _ => {}
        }
        Ok(())
    }
}
