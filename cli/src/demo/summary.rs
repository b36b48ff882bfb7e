//! The demo's account of itself.

use std::fmt::Write as _;

use anstyle::Style;

use crate::audit::{Sent, Verdict};
use crate::demo::{Last, Seen};
use crate::exit::Exit;
use crate::server::{Injected, Ledger};
use crate::status::{BAD, GOOD, human};

/// The account, and how the demo ends.
pub(crate) fn account(ledger: &Ledger, seen: &Seen) -> (String, Exit) {
    let verdict = seen.audit.verdict();
    let sent = seen.audit.trace(ledger.sessions.iter().flat_map(|session| session.wrote.iter().cloned()));
    let outcomes: Vec<_> = ledger.faults.iter().map(|injected| outcome(injected, seen)).collect();
    let mut text = String::new();
    write_faults(&mut text, ledger, &outcomes)
        .and_then(|()| write_items(&mut text, ledger, &verdict, &sent))
        .expect("writing to memory does not fail");
    let unrecovered = outcomes.iter().filter(|outcome| **outcome == Outcome::NotRecovered).count();
    let exit = if !verdict.passed() || sent.lost_unannounced > 0 {
        Exit::failed("the demo failed: an item was lost without an announcement, duplicated or reordered")
    } else if unrecovered > 0 {
        Exit::failed(format!("the demo failed: {unrecovered} faults were not recovered from"))
    } else if sent.received != verdict.received || (seen.last == Last::Unsubscribed && sent.under_way > 0) {
        Exit::failed("the demo failed: what was received and lost does not add up to what was sent")
    } else {
        Exit::Finished
    };
    (text, exit)
}

fn write_faults(text: &mut String, ledger: &Ledger, outcomes: &[Outcome]) -> std::fmt::Result {
    writeln!(text, "\n{:<44} {:>12}", "faults injected", "recovered in")?;
    for (injected, outcome) in ledger.faults.iter().zip(outcomes) {
        let style = outcome.style();
        writeln!(text, "{:<44} {style}{:>12}{style:#}", injected.fault.to_string(), outcome.to_string())?;
    }
    writeln!(text, "{:<44} {:>12}", "in all", ledger.faults.len())
}

/// What stands further to the right adds up to the row above it.
fn write_items(text: &mut String, ledger: &Ledger, verdict: &Verdict, sent: &Sent) -> std::fmt::Result {
    let all = sent.received + sent.lost_in_gaps + sent.lost_unannounced + sent.under_way;
    let rows = [
        ("connections that were live", verdict.connections),
        ("interruptions announced", verdict.interruptions),
        ("upgrades refused", ledger.refused),
        ("items the exchange made", ledger.generated),
        ("  not sent, for want of a connection", ledger.generated.saturating_sub(all)),
        ("  sent", all),
        ("    received", verdict.received),
        ("    lost in announced gaps", sent.lost_in_gaps),
        ("    lost without an announcement", sent.lost_unannounced),
        ("    on their way when the demo ended", sent.under_way),
        ("items duplicated", verdict.duplicated),
        ("items reordered", verdict.reordered),
    ];
    writeln!(text)?;
    rows.iter().try_for_each(|(what, count)| writeln!(text, "{what:<44} {count:>12}"))
}

/// How the feed got over a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    RecoveredIn(std::time::Duration),
    /// It does not end a connection, or struck nobody.
    NotInterrupted,
    NotRecovered,
}

impl Outcome {
    const fn style(self) -> Style {
        match self {
            Self::RecoveredIn(_) => GOOD,
            Self::NotInterrupted => Style::new(),
            Self::NotRecovered => BAD,
        }
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::RecoveredIn(span) => f.write_str(&human(*span)),
            Self::NotInterrupted => f.write_str("no break"),
            Self::NotRecovered => f.write_str("NOT"),
        }
    }
}

fn outcome(injected: &Injected, seen: &Seen) -> Outcome {
    if injected.sessions == 0 || !injected.fault.kind().disconnects() {
        return Outcome::NotInterrupted;
    }
    seen.recoveries.after(injected.at).map_or(Outcome::NotRecovered, Outcome::RecoveredIn)
}
