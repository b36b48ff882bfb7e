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
mod tests {
    use super::*;

    enum See {
        Live(u64),
        Cut(u64),
        Drop(u64),
        Trades(&'static [u64]),
    }
    use See::{Cut, Drop, Live, Trades};

    fn audit(seen: &[See]) -> Verdict {
        let mut audit = Audit::default();
        for what in seen {
            match what {
                Live(connection) => audit.live(*connection),
                Cut(connection) => audit.interrupted(*connection),
                Drop(count) => audit.dropped(*count),
                Trades(seqs) => seqs.iter().for_each(|seq| {
                    audit.trade(*seq);
                }),
            }
        }
        audit.verdict()
    }

    fn trades(seqs: &'static [u64]) -> Verdict {
        audit(&[Live(1), Trades(seqs)])
    }

    #[test]
    fn a_feed_without_faults_passes() {
        let verdict = trades(&[7, 8, 9, 10]);
        assert_eq!(verdict, Verdict { received: 4, connections: 1, ..Verdict::default() });
        assert!(verdict.passed());
    }

    #[test]
    fn a_feed_without_items_does_not() {
        assert!(!trades(&[]).passed());
    }

    #[test]
    fn an_announced_gap_is_counted_and_passes() {
        let verdict = audit(&[Live(1), Trades(&[1, 2]), Cut(1), Live(3), Trades(&[6, 7])]);
        assert_eq!((verdict.received, verdict.lost_in_gaps, verdict.gaps_announced), (4, 3, 1));
        assert_eq!((verdict.connections, verdict.interruptions, verdict.lost_unannounced), (2, 1, 0));
        assert!(verdict.passed());
    }

    #[test]
    fn an_interruption_without_loss_is_no_gap() {
        let verdict = audit(&[Live(1), Trades(&[1, 2]), Cut(1), Live(2), Trades(&[3])]);
        assert_eq!((verdict.interruptions, verdict.gaps_announced, verdict.lost_in_gaps), (1, 0, 0));
        assert!(verdict.passed());
    }

    #[test]
    fn a_jump_without_a_marker_is_a_loss() {
        let verdict = trades(&[1, 2, 5, 6]);
        assert_eq!((verdict.lost_unannounced, verdict.lost_in_gaps), (2, 0));
        assert!(!verdict.passed());
    }

    #[test]
    fn a_marker_excuses_one_jump_only() {
        let verdict = audit(&[Live(1), Trades(&[1]), Cut(1), Live(2), Trades(&[4, 5, 8])]);
        assert_eq!((verdict.lost_in_gaps, verdict.lost_unannounced), (2, 2));
        // Nor does one before the first trade excuse a jump after it.
        let verdict = audit(&[Live(1), Cut(1), Drop(9), Live(2), Trades(&[4, 7])]);
        assert_eq!((verdict.lost_in_gaps, verdict.lost_unannounced), (0, 2));
    }

    #[test]
    fn turning_live_excuses_nothing() {
        let verdict = audit(&[Trades(&[1]), Live(1), Trades(&[3])]);
        assert_eq!(verdict.lost_unannounced, 1);
    }

    #[test]
    fn drops_excuse_as_many_as_they_announce() {
        let verdict = audit(&[Live(1), Trades(&[1]), Drop(2), Drop(1), Trades(&[5, 6])]);
        assert_eq!((verdict.dropped, verdict.lost_in_gaps, verdict.lost_unannounced), (3, 3, 0));
        assert!(verdict.passed());
        let verdict = audit(&[Live(1), Trades(&[1]), Drop(2), Trades(&[5, 7])]);
        assert_eq!((verdict.lost_in_gaps, verdict.lost_unannounced), (2, 2));
        assert!(!verdict.passed());
        // What was announced and not needed, other messages say, is not kept for later.
        let verdict = audit(&[Live(1), Trades(&[1]), Drop(9), Trades(&[2, 4])]);
        assert_eq!((verdict.lost_in_gaps, verdict.lost_unannounced), (0, 1));
    }

    #[test]
    fn a_repeated_trade_is_a_duplicate() {
        let verdict = trades(&[1, 2, 2, 3, 1]);
        assert_eq!((verdict.received, verdict.duplicated, verdict.reordered), (3, 2, 0));
        assert!(!verdict.passed());
    }

    #[test]
    fn a_repeat_across_an_interruption_is_one_too() {
        let verdict = audit(&[Live(1), Trades(&[1, 2, 3]), Cut(1), Live(2), Trades(&[3, 4])]);
        assert_eq!((verdict.received, verdict.duplicated), (4, 1));
        assert!(!verdict.passed());
    }

    #[test]
    fn a_late_trade_is_reordered_and_not_lost() {
        let verdict = trades(&[1, 4, 3, 5]);
        assert_eq!((verdict.received, verdict.reordered, verdict.lost_unannounced), (4, 1, 1));
        assert!(!verdict.passed());
        let verdict = trades(&[1, 3, 2, 2]);
        assert_eq!((verdict.reordered, verdict.duplicated, verdict.lost_unannounced), (1, 1, 0));
    }

    #[test]
    fn one_older_than_the_first_is_reordered_and_once_only() {
        let verdict = trades(&[10, 5, 7, 5, 11]);
        assert_eq!((verdict.received, verdict.reordered, verdict.duplicated), (4, 2, 1));
        assert_eq!((verdict.lost_in_gaps, verdict.lost_unannounced), (0, 0));
    }

    #[test]
    fn a_late_trade_out_of_an_announced_gap_is_reordered() {
        let verdict = audit(&[Live(1), Trades(&[1]), Cut(1), Live(2), Trades(&[5, 3])]);
        assert_eq!((verdict.lost_in_gaps, verdict.reordered), (2, 1));
        assert!(!verdict.passed());
    }

    #[test]
    fn markers_must_make_sense() {
        for (seen, why) in [
            (&[Live(1), Live(2), Trades(&[1])][..], "two live at once"),
            (&[Live(2), Cut(2), Live(2), Trades(&[1])], "a number used again"),
            (&[Live(1), Cut(2), Trades(&[1])], "the end of another"),
            (&[Live(1), Cut(1), Cut(1), Trades(&[1])], "the same end twice"),
            (&[Live(1), Cut(1), Cut(5), Live(4), Trades(&[1])], "live after a later one's end"),
        ] {
            let verdict = audit(seen);
            assert_eq!(verdict.misplaced_markers, 1, "{why}");
            assert!(!verdict.passed(), "{why}");
        }
        let verdict = audit(&[Live(1), Trades(&[1]), Cut(1), Cut(2), Live(5), Trades(&[2])]);
        assert!(verdict.passed(), "one that never turned live may end");
    }

    #[test]
    fn what_was_sent_is_traced_to_the_last() {
        let mut audit = Audit::default();
        audit.live(1);
        let _ = [3, 4, 7].map(|seq| audit.trade(seq));
        audit.interrupted(1);
        let _ = [12, 13].map(|seq| audit.trade(seq));
        // 8 and 9 were lost in the announced gap, 10 and 11 never sent.
        let sent = audit.trace([1..10, 12..16].into_iter());
        assert_eq!(sent, Sent { received: 5, lost_in_gaps: 2, lost_unannounced: 4, under_way: 2 });
        // The consumer claims trades that nobody sent.
        assert_eq!(audit.trace([3..5, 12..14].into_iter()).received, audit.verdict().received - 1);
        let nothing = Audit::default().trace(std::iter::once(5..8));
        assert_eq!(nothing, Sent { under_way: 3, ..Sent::default() });
    }

    #[test]
    fn each_trade_gets_its_finding() {
        let mut audit = Audit::default();
        assert_eq!(audit.trade(1), Finding::InOrder);
        assert_eq!(audit.trade(3), Finding::SilentGap { lost: 1 });
        assert_eq!(audit.trade(2), Finding::Reordered);
        assert_eq!(audit.trade(3), Finding::Duplicate);
        audit.interrupted(1);
        assert_eq!(audit.trade(9), Finding::AnnouncedGap { lost: 5 });
        assert_eq!(audit.trade(u64::MAX), Finding::SilentGap { lost: u64::MAX - 10 });
    }
}
