//! Checks a numbered feed against its promise: between two markers nothing is lost, doubled or out of order.
//!
//! Pure: fed what the consumer saw, in the order in which it saw it. It knows nothing of sockets or servers.

use std::ops::Range;

/// What one trade was, seen against all before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// The first, or the one right after the newest.
    InOrder,
    /// Trades are missing before it, and all of that was announced.
    AnnouncedGap {
        /// How many.
        lost: u64,
    },
    /// Trades are missing before it, and not all of that was announced. A violation.
    SilentGap {
        /// How many without an announcement.
        lost: u64,
    },
    /// It had been received already. A violation.
    Duplicate,
    /// It is older than the newest, and had not been received. A violation.
    Reordered,
}

/// The state of the check.
#[derive(Clone, Debug, Default)]
pub(crate) struct Audit {
    /// From the oldest trade received to the one after the newest.
    span: Option<Range<u64>>,
    /// What is missing of the span, oldest first.
    holes: Vec<Hole>,
    /// An interruption stands between the newest trade and the next.
    interrupted: bool,
    /// So many drops do.
    dropped: u64,
    live: Option<u64>,
    last_live: Option<u64>,
    last_interrupted: Option<u64>,
    counts: Verdict,
}

/// The result of the check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Trades received, each number counted once.
    pub(crate) received: u64,
    /// Connections that turned live.
    pub(crate) connections: u64,
    /// Interruptions that were announced, those without loss included.
    pub(crate) interruptions: u64,
    /// Trades announced as dropped, by a consumer's own choice of overflow policy.
    pub(crate) dropped: u64,
    /// Announced gaps in which trades were in fact missing.
    pub(crate) gaps_announced: u64,
    /// Trades missing in them.
    pub(crate) lost_in_gaps: u64,
    /// Trades missing without an announcement.
    pub(crate) lost_unannounced: u64,
    /// Trades received again.
    pub(crate) duplicated: u64,
    /// Trades received after a newer one.
    pub(crate) reordered: u64,
    /// Announcements that contradict those before: two connections live at once, a connection's number that
    /// does not grow, the end of another connection than the live one, or the same end twice.
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
    /// The connection of that number turned live.
    pub(crate) fn live(&mut self, connection: u64) {
        let grows = self.last_live.max(self.last_interrupted).is_none_or(|last| connection > last);
        self.counts.misplaced_markers += u64::from(self.live.is_some() || !grows);
        self.counts.connections += 1;
        self.live = Some(connection);
        self.last_live = self.last_live.max(Some(connection));
    }

    /// The trade of that number came.
    pub(crate) fn trade(&mut self, seq: u64) -> Finding {
        let Some(span) = self.span.clone() else {
            self.forward(seq..seq);
            self.counts.received += 1;
            self.span = Some(seq..seq.saturating_add(1));
            return Finding::InOrder;
        };
        let finding = if seq >= span.end { self.forward(span.end..seq) } else { self.backward(seq, &span) };
        match finding {
            Finding::Duplicate => self.counts.duplicated += 1,
            Finding::Reordered => {
                self.counts.received += 1;
                self.counts.reordered += 1;
            }
            Finding::InOrder | Finding::AnnouncedGap { .. } | Finding::SilentGap { .. } => {
                self.counts.received += 1;
            }
        }
        let newest = span.end.max(seq.saturating_add(1));
        self.span = Some(span.start.min(seq)..newest);
        finding
    }

    /// The end of that connection was announced.
    pub(crate) fn interrupted(&mut self, connection: u64) {
        // One that never turned live may be announced too: it may have brought items before it was lost.
        let other = self.live.is_some_and(|live| live != connection);
        let again = self.last_interrupted.is_some_and(|last| connection <= last);
        self.counts.misplaced_markers += u64::from(other || again);
        self.counts.interruptions += 1;
        self.live = None;
        self.last_interrupted = self.last_interrupted.max(Some(connection));
        self.interrupted = true;
    }

    /// So many items were announced as dropped here.
    pub(crate) fn dropped(&mut self, count: u64) {
        self.counts.dropped += count;
        self.dropped = self.dropped.saturating_add(count);
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

    /// A trade newer than all before, behind `gap`: every excuse there is ends with it.
    fn forward(&mut self, gap: Range<u64>) -> Finding {
        let lost = gap.end - gap.start;
        let excused = if self.interrupted { lost } else { lost.min(self.dropped) };
        self.interrupted = false;
        self.dropped = 0;
        let split = gap.start + excused;
        self.hole(gap.start..split, Loss::Announced);
        self.hole(split..gap.end, Loss::Silent);
        self.counts.gaps_announced += u64::from(excused > 0);
        match (lost, lost - excused) {
            (0, _) => Finding::InOrder,
            (_, 0) => Finding::AnnouncedGap { lost },
            (_, silent) => Finding::SilentGap { lost: silent },
        }
    }

    /// A trade that is not newer than all before. One that fills a hole is late, and not lost any more.
    fn backward(&mut self, seq: u64, span: &Range<u64>) -> Finding {
        if seq < span.start {
            let before = Hole { range: seq.saturating_add(1)..span.start, loss: Loss::BeforeTheFirst };
            self.holes.insert(0, before);
            return Finding::Reordered;
        }
        let Some(index) = self.holes.iter().position(|hole| hole.range.contains(&seq)) else {
            return Finding::Duplicate;
        };
        let Hole { range, loss } = self.holes.remove(index);
        let parts = [range.start..seq, seq.saturating_add(1)..range.end];
        let parts = parts.into_iter().filter(|part| !part.is_empty()).map(|range| Hole { range, loss });
        self.holes.splice(index..index, parts);
        Finding::Reordered
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
