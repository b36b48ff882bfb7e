//! What a fleet as a whole must do: after an outage it does not come back all at once (R3).

use std::time::Duration;

use tidegate_driver::core::{Jitter, Notice, Phase, Timestamp};

use super::{Delays, Rules, Verdict, hold};
use crate::entry::Entry;

/// Fewer feeds say nothing about how they are spread.
const FEWEST: usize = 20;
const TENTHS: usize = 10;

/// How the first attempts after an outage are spread over the first back-off window, if they have full jitter.
pub(crate) struct Fleet {
    /// The window, if anything is to be judged.
    window: Option<Duration>,
    /// How much later than another a feed may hear of the outage.
    slack: Duration,
    members: Vec<Member>,
    outage: Option<Timestamp>,
    tenths: [u32; TENTHS],
}

#[derive(Clone, Copy, Default)]
struct Member {
    live: bool,
    /// It was live at the outage, and has lost its connection since.
    hit: bool,
    /// Its first retry of a streak is to come.
    waits: bool,
}

impl Fleet {
    pub(crate) fn new(rules: &Rules, slack: Duration, feeds: usize) -> Self {
        let window = match rules.delays {
            Delays::Exponential { base, cap, jitter: Jitter::Full } => Some(base.min(cap)),
            _ => None,
        };
        let window = window.filter(|_| feeds >= FEWEST);
        Self { window, slack, members: vec![Member::default(); feeds], outage: None, tenths: [0; TENTHS] }
    }

    pub(crate) fn see(&mut self, now: Timestamp, feed: usize, entry: &Entry) -> Verdict {
        let Some(window) = self.window else { return Ok(()) };
        let member = &mut self.members[feed];
        match entry {
            Entry::Outage { .. } => {
                self.outage = Some(now);
                self.tenths = [0; TENTHS];
                *member = Member { hit: member.live, ..*member };
            }
            // After a jump, all feeds that wait dial at once.
            Entry::Jumped { .. } => self.outage = None,
            Entry::Notice(Notice::Retry { attempt, .. }) => {
                member.waits = member.hit && *attempt == 1;
                member.hit = false;
            }
            Entry::Connect { .. } if std::mem::take(&mut member.waits) => self.dials(now, window),
            Entry::Quiet { phase, .. } => member.live = *phase == Phase::Live,
            Entry::Over => return self.judge(),
            _ => {}
        }
        let over = |outage: Timestamp| now > outage.saturating_add(window + self.slack);
        if self.outage.is_some_and(over) { self.judge() } else { Ok(()) }
    }

    fn dials(&mut self, now: Timestamp, window: Duration) {
        let Some(outage) = self.outage else { return };
        let since = now.saturating_since(outage).as_nanos();
        let tenth = since * TENTHS as u128 / window.as_nanos().max(1);
        if let Some(count) = usize::try_from(tenth).ok().and_then(|tenth| self.tenths.get_mut(tenth)) {
            *count += 1;
        }
    }

    /// Seven standard deviations above the mean: by chance alone not once in a hundred million outages.
    fn judge(&mut self) -> Verdict {
        if self.outage.take().is_none() {
            return Ok(());
        }
        let feeds: u32 = self.tenths.iter().sum();
        if (feeds as usize) < FEWEST {
            return Ok(());
        }
        let busiest = self.tenths.iter().max().copied().unwrap_or(0);
        let share = f64::from(feeds) / TENTHS as f64;
        let most = share + 7.0 * (share * (1.0 - 1.0 / TENTHS as f64)).sqrt();
        let all_at_once = f64::from(busiest) > most;
        hold!(
            !all_at_once,
            "R3: {busiest} of {feeds} feeds dial within a tenth of the first back-off window"
        );
        Ok(())
    }
}
