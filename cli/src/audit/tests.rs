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
    // An announcement that was not needed is not kept for later.
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
