//! Counts what became of the trades of a feed: received, lost, repeated, out of order.
//!
//! Pure: fed what the consumer saw, in the order in which it saw it. It knows nothing of sockets or servers.

use std::ops::Range;

use tidegate::{Continuity, Delivery, Discontinuity, Overflow};

/// The state of the account.
#[derive(Clone, Debug)]
pub(crate) struct Audit {
    continuity: Continuity,
    /// From the oldest trade received to the one after the newest.
    span: Option<Range<u64>>,
    /// What is missing of the span, oldest first.
    holes: Vec<Hole>,
    counts: Verdict,
}

/// An item of the demo's handler.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Heard {
    /// The number of a trade.
    Trade(u64),
    /// No trade is sent any more; those that were have arrived.
    Unsubscribed,
}

/// The account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Trades received, each number counted once.
    pub(crate) received: u64,
    /// Connections that turned live.
    pub(crate) connections: u64,
    /// Interruptions that were announced, those without loss included.
    pub(crate) interruptions: u64,
    /// Trades missing where markers announce it.
    pub(crate) lost_in_gaps: u64,
    /// Trades missing without an announcement.
    pub(crate) lost_unannounced: u64,
    /// Trades received again.
    pub(crate) duplicated: u64,
    /// Trades received after a newer one.
    pub(crate) reordered: u64,
    /// Markers that do not fit those before.
    pub(crate) misplaced_markers: u64,
}

/// The trades that were sent, counted by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) received: u64,
    pub(crate) lost_in_gaps: u64,
    pub(crate) lost_unannounced: u64,
    /// Newer than all that were received, or none was.
    pub(crate) under_way: u64,
}

impl Audit {
    /// Returns an account of trades that the server numbers, before the first.
    pub(crate) fn new(overflow: Overflow) -> Self {
        let continuity = Continuity::numbered_by_peer(overflow);
        Self { continuity, span: None, holes: Vec::new(), counts: Verdict::default() }
    }

    /// Takes the next delivery.
    pub(crate) fn see(&mut self, delivery: &Delivery<Heard>) {
        let checked = self.continuity.check(delivery, |heard| match heard {
            Heard::Trade(number) => Some(*number),
            Heard::Unsubscribed => None,
        });
        match delivery {
            Delivery::Item(Heard::Trade(number)) => self.trade(*number, checked),
            Delivery::Item(Heard::Unsubscribed) | Delivery::Opened { .. } => {}
            Delivery::Live { .. } => self.counts.connections += 1,
            Delivery::Interrupted { .. } => self.counts.interruptions += 1,
            Delivery::Dropped { .. } => {}
        }
        if let Err(Discontinuity::Marker | Discontinuity::Dropped { .. }) = checked {
            self.counts.misplaced_markers += 1;
        }
    }

    fn trade(&mut self, number: u64, checked: Result<u64, Discontinuity>) {
        let span = self.span.clone().unwrap_or(number..number);
        if let Err(Discontinuity::Repeated { .. }) = checked {
            self.late(number, &span);
        } else {
            let loss = if checked.is_ok() { Loss::Announced } else { Loss::Silent };
            self.hole(span.end..number, loss);
            self.counts.received += 1;
        }
        let newest = span.end.max(number.saturating_add(1));
        self.span = Some(span.start.min(number)..newest);
    }

    /// What came of it. May be asked at any time.
    pub(crate) fn verdict(&self) -> Verdict {
        let missing = |loss| {
            let of_that_loss = self.holes.iter().filter(|hole| hole.loss == loss);
            of_that_loss.map(|hole| hole.range.end - hole.range.start).sum()
        };
        Verdict {
            lost_in_gaps: missing(Loss::Announced),
            lost_unannounced: missing(Loss::Silent),
            ..self.counts
        }
    }

    /// Counts the trades in these ranges, each of which was sent once, by what became of them. As many were received as the
    /// [`verdict`](Self::verdict) says if every trade received was sent.
    pub(crate) fn trace(&self, sent: impl Iterator<Item = Range<u64>>) -> Sent {
        let span = self.span.clone().unwrap_or_default();
        let common = |one: &Range<u64>, other: &Range<u64>| {
            one.end.min(other.end).saturating_sub(one.start.max(other.start))
        };
        sent.fold(Sent::default(), |mut sum, range| {
            let missing = |losses: &[Loss]| -> u64 {
                let holes = self.holes.iter().filter(|hole| losses.contains(&hole.loss));
                holes.map(|hole| common(&hole.range, &range)).sum()
            };
            let announced = missing(&[Loss::Announced]);
            let silent = missing(&[Loss::Silent, Loss::BeforeTheFirst]) + common(&range, &(0..span.start));
            sum.lost_in_gaps += announced;
            sum.lost_unannounced += silent;
            sum.received +=
                common(&range, &span) - missing(&[Loss::Announced, Loss::Silent, Loss::BeforeTheFirst]);
            sum.under_way += common(&range, &(span.end..u64::MAX));
            sum
        })
    }

    /// A trade that is not newer than all before. One that fills a hole is late, and not lost any more.
    fn late(&mut self, number: u64, span: &Range<u64>) {
        if number < span.start {
            let range = number.saturating_add(1)..span.start;
            self.holes.insert(0, Hole { range, loss: Loss::BeforeTheFirst });
        } else if let Some(index) = self.holes.iter().position(|hole| hole.range.contains(&number)) {
            let Hole { range, loss } = self.holes.remove(index);
            let parts = [range.start..number, number.saturating_add(1)..range.end];
            let parts = parts.into_iter().filter(|part| !part.is_empty()).map(|range| Hole { range, loss });
            self.holes.splice(index..index, parts);
        } else {
            self.counts.duplicated += 1;
            return;
        }
        self.counts.received += 1;
        self.counts.reordered += 1;
    }

    fn hole(&mut self, range: Range<u64>, loss: Loss) {
        if !range.is_empty() {
            self.holes.push(Hole { range, loss });
        }
    }
}

impl Verdict {
    /// Whether the feed kept its promise. One that brought nothing did not.
    pub(crate) fn passed(&self) -> bool {
        self.received > 0
            && self.lost_unannounced == 0
            && self.duplicated == 0
            && self.reordered == 0
            && self.misplaced_markers == 0
    }
}

/// Numbers not received.
#[derive(Clone, Debug)]
struct Hole {
    range: Range<u64>,
    loss: Loss,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    Announced,
    Silent,
    /// Nobody was promised what came before the first trade: no loss.
    BeforeTheFirst,
}

#[cfg(test)]
mod tests;
