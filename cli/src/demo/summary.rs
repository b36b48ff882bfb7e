//! The demo's account of itself.

use std::fmt::Write as _;

use crate::audit::Verdict;
use crate::demo::Seen;
use crate::exit::Exit;
use crate::server::{Injected, Ledger, SessionRecord};
use crate::status::human;

/// Prints the account, and says how the demo ends.
pub(crate) fn print(ledger: &Ledger, seen: &Seen) -> Exit {
    let verdict = seen.audit.verdict();
    let mut text = String::new();
    let mut unrecovered = 0;
    write_faults(&mut text, ledger, seen, &mut unrecovered)
        .and_then(|()| write_items(&mut text, ledger, &verdict))
        .expect("writing to memory does not fail");
    println!("{text}");
    if !verdict.passed() {
        return Exit::failed(
            "the demo failed: an item was lost without an announcement, duplicated or reordered",
        );
    }
    if unrecovered > 0 {
        return Exit::failed(format!("the demo failed: {unrecovered} faults were not recovered from"));
    }
    Exit::Finished
}

fn write_faults(text: &mut String, ledger: &Ledger, seen: &Seen, unrecovered: &mut u32) -> std::fmt::Result {
    writeln!(text, "\n{:<44} {:>12}", "faults injected", "recovered in")?;
    for injected in &ledger.faults {
        let outcome = outcome(injected, seen);
        if outcome == Outcome::NotRecovered {
            *unrecovered += 1;
        }
        writeln!(text, "{:<44} {:>12}", injected.fault.to_string(), outcome.to_string())?;
    }
    writeln!(text, "{:<44} {:>12}", "in all", ledger.faults.len())
}

fn write_items(text: &mut String, ledger: &Ledger, verdict: &Verdict) -> std::fmt::Result {
    let rows = [
        ("connections that were live", verdict.connections),
        ("interruptions announced", verdict.interruptions),
        ("upgrades refused", ledger.refused),
        ("items the exchange made", ledger.generated),
        ("items sent", ledger.sessions.iter().map(SessionRecord::trades).sum()),
        ("items received", verdict.received),
        ("items lost in announced gaps", verdict.lost_in_gaps),
        ("items lost without an announcement", verdict.lost_unannounced),
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
