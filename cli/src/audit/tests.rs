use tidegate::ConnectionId;

use super::*;

enum See {
    Live(u64),
    Cut(u64),
    Trades(&'static [u64]),
}
use See::{Cut, Live, Trades};

fn audit(seen: &[See]) -> Verdict {
    account(seen).verdict()
}

fn account(seen: &[See]) -> Audit {
    let mut audit = Audit::new(Overflow::Pause);
    for what in seen {
        match what {
            Live(number) => {
                let id = ConnectionId::new(*number);
                audit.see(&Delivery::Opened { id });
                audit.see(&Delivery::Live { id });
            }
            Cut(number) => {
                audit.see(&Delivery::Interrupted { id: ConnectionId::new(*number), failure: None });
            }
            Trades(numbers) => {
                let trade = |number: &u64| Delivery::Item(Heard::Trade(*number));
                numbers.iter().map(trade).for_each(|delivery| audit.see(&delivery));
            }
        }
    }
    audit
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
    assert_eq!((verdict.received, verdict.lost_in_gaps, verdict.lost_unannounced), (4, 3, 0));
    assert_eq!((verdict.connections, verdict.interruptions), (2, 1));
    assert!(verdict.passed());
}

#[test]
fn a_jump_without_a_marker_is_a_loss() {
    let verdict = trades(&[1, 2, 5, 6]);
    assert_eq!((verdict.lost_unannounced, verdict.lost_in_gaps), (2, 0));
    assert!(!verdict.passed());
}

#[test]
fn a_repeated_trade_is_a_duplicate() {
    let verdict = trades(&[1, 2, 2, 3, 1]);
    assert_eq!((verdict.received, verdict.duplicated, verdict.reordered), (3, 2, 0));
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
    let verdict = audit(&[Live(1), Live(2), Trades(&[1])]);
    assert_eq!((verdict.misplaced_markers, verdict.connections), (1, 2));
    assert!(!verdict.passed());
}

#[test]
fn what_was_sent_is_traced_to_the_last() {
    let audit = account(&[Live(1), Trades(&[3, 4, 7]), Cut(1), Live(2), Trades(&[12, 13])]);
    // 8 and 9 were lost in the announced gap, 10 and 11 never sent.
    let sent = audit.trace([1..10, 12..16].into_iter());
    assert_eq!(sent, Sent { received: 5, lost_in_gaps: 2, lost_unannounced: 4, under_way: 2 });
    // The consumer claims trades that nobody sent.
    assert_eq!(audit.trace([3..5, 12..14].into_iter()).received, audit.verdict().received - 1);
    let nothing = account(&[]).trace(std::iter::once(5..8));
    assert_eq!(nothing, Sent { under_way: 3, ..Sent::default() });
}
