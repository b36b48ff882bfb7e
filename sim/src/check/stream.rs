//! Deliveries to the consumer, without looking into items: D1 to D3, S3, and the markers.

use tidegate_driver::core::{
    ConnectionId, Continuity, Delivery, Discontinuity, Notice, Overflow, Phase, Stats, StopReason,
};

use super::{Emission, Rules, Verdict, hold};
use crate::entry::Entry;

pub(super) struct Stream {
    buffer: u64,
    max_demand: u64,
    buffer_bytes: u64,
    emission: Option<Emission>,
    overflow: Overflow,
    items: u64,
    dropped: u64,
    continuity: Continuity,
    /// The last connection that turned Live.
    success: Option<ConnectionId>,
    reason: Option<StopReason>,
    ended: bool,
    abandoned: bool,
}

impl Stream {
    pub(super) fn new(rules: &Rules) -> Self {
        Self {
            buffer: rules.config.buffer() as u64,
            max_demand: rules.config.max_demand().into(),
            buffer_bytes: rules.config.buffer_bytes() as u64,
            emission: rules.emission,
            overflow: rules.config.overflow(),
            items: 0,
            dropped: 0,
            continuity: Continuity::numbered_by_peer(rules.config.overflow()),
            success: None,
            reason: None,
            ended: false,
            abandoned: false,
        }
    }

    pub(super) fn see(&mut self, entry: &Entry) -> Verdict {
        match entry {
            Entry::Consumed(consumed) => {
                hold!(!self.ended, "S3: {consumed:?} after the end of the stream");
                self.consumed(consumed)
            }
            Entry::Ended { reason } => self.end(reason.as_ref()),
            Entry::Notice(Notice::Success { id }) => {
                self.success = Some(*id);
                Ok(())
            }
            Entry::Notice(Notice::Stopped { reason }) => {
                self.reason = Some(reason.clone());
                Ok(())
            }
            Entry::Abandoned => {
                self.abandoned = true;
                Ok(())
            }
            Entry::Quiet { phase, stats, waits, .. } => {
                let wanted = *waits && stats.demand > 0 && stats.queued > 0;
                hold!(!wanted, "D1: {} items queued for a consumer that waits", stats.queued);
                let told = self.continuity.connection().filter(|_| self.continuity.is_live());
                let all = *phase == Phase::Live && *waits && stats.queued == 0;
                hold!(!all || told == self.success, "D2: {:?} is Live, and {told:?} is told", self.success);
                self.check(*phase, stats)
            }
            _ => Ok(()),
        }
    }

    fn consumed(&mut self, delivery: &Delivery<String>) -> Verdict {
        match self.continuity.check(delivery, |_| None) {
            Ok(_) => {}
            Err(broken @ Discontinuity::Dropped { .. }) => return Err(format!("D4: {broken}: {delivery:?}")),
            Err(broken) => return Err(format!("D2: {broken}: {delivery:?}")),
        }
        match delivery {
            Delivery::Item(_) => self.items += 1,
            Delivery::Dropped { count } => self.dropped += count,
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, reason: Option<&StopReason>) -> Verdict {
        hold!(!self.ended, "S3: the stream ended twice");
        self.ended = true;
        let expected = self.reason.as_ref().filter(|reason| **reason != StopReason::Shutdown);
        hold!(self.reason.is_some(), "S3: the stream ended before the feed");
        hold!(reason == expected, "S3: the stream ended with {reason:?}, the feed with {:?}", self.reason);
        Ok(())
    }

    fn check(&self, phase: Phase, stats: &Stats) -> Verdict {
        if let Some(Emission { items, weight }) = self.emission {
            // A policy that drops nothing takes a frame whole.
            let extra = if self.overflow.drops() { 1 } else { items };
            hold!(stats.queued < self.buffer + extra, "D3: {} items queued", stats.queued);
            let bytes = self.buffer_bytes + extra * weight;
            hold!(stats.queued_bytes < bytes, "D3: {} bytes queued", stats.queued_bytes);
        }
        let accounted = stats.delivered + stats.dropped + stats.queued;
        let lossless = self.overflow != Overflow::Disconnect;
        hold!(!lossless || accounted == stats.items, "D2: {accounted} of {} items", stats.items);
        let out = stats.delivered.checked_sub(self.items);
        hold!(out.is_some(), "D2: {} items consumed of {} delivered", self.items, stats.delivered);
        // What was on its way to a consumer that is gone is gone with it.
        let bounded = self.abandoned || out.is_some_and(|out| out <= self.max_demand);
        hold!(bounded, "D1: {out:?} items between machine and consumer");
        hold!(self.dropped <= stats.dropped, "D4: {} of {} drops told", self.dropped, stats.dropped);
        let taken = self.ended && phase == Phase::Stopped;
        hold!(!taken || stats.queued == 0, "S2: the stream ended before what is queued was taken");
        Ok(())
    }
}
