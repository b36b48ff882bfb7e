//! Deliveries to the consumer, without looking into items: D1 to D3, S3, and the markers.

use tidegate_driver::core::{Notice, Overflow, Phase, Stats, StopReason};

use super::{Emission, Rules, Verdict, hold};
use crate::entry::{Consumed, Entry};

pub(super) struct Stream {
    buffer: u64,
    max_demand: u64,
    buffer_bytes: u64,
    emission: Option<Emission>,
    overflow: Overflow,
    items: u64,
    dropped: u64,
    last_live: u64,
    last_mark: u64,
    /// The last connection that turned Live.
    success: u64,
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
            last_live: 0,
            last_mark: 0,
            success: 0,
            reason: None,
            ended: false,
            abandoned: false,
        }
    }

    pub(super) fn see(&mut self, entry: &Entry) -> Verdict {
        match entry {
            Entry::Consumed(consumed) => {
                hold!(!self.ended, "S3: {consumed:?} after the end of the stream");
                self.consumed(*consumed)
            }
            Entry::Ended { reason } => self.end(reason.as_ref()),
            Entry::Notice(Notice::Success { id }) => {
                self.success = id.get();
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
                let told =
                    *phase != Phase::Live || !*waits || stats.queued > 0 || self.last_live == self.success;
                hold!(told, "D2: {} is Live, and the consumer knows of {}", self.success, self.last_live);
                self.check(*phase, stats)
            }
            _ => Ok(()),
        }
    }

    fn consumed(&mut self, consumed: Consumed) -> Verdict {
        match consumed {
            Consumed::Item => self.items += 1,
            Consumed::Live { id } => {
                hold!(id > self.last_live && id >= self.last_mark, "D2: Live {id} out of order");
                self.last_live = id;
                self.last_mark = id;
            }
            Consumed::Interrupted { id } => {
                hold!(id >= self.last_mark, "D2: Interrupted {id} out of order");
                self.last_mark = id;
            }
            Consumed::Dropped { count } => {
                hold!(self.overflow.drops() && count > 0, "D4: {count} dropped under {:?}", self.overflow);
                self.dropped += count;
            }
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
