//! What is printed when all cases have run: what they needed, and how they went on each adapter.

use std::fmt::Write;

use crate::case::{Case, Way};

/// How a case went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    Failed,
    /// What it needs is not to be had.
    Skipped,
}

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// A line for each group.
    Groups,
    /// A line for each case.
    Cases,
}

/// The whole report; `None` for a case that has not run. Empty if none has.
pub(crate) fn render(cases: &[Case], outcomes: &[Option<Outcome>], detail: Detail) -> String {
    let runs: Vec<_> =
        cases.iter().zip(outcomes).map(|(case, outcome)| Run { case, outcome: *outcome }).collect();
    let mut report = needs(&runs);
    let adapters = unique(runs.iter().map(|run| run.case.adapter));
    // What was filtered out is no row, nor are groups without any case.
    let ran = runs.iter().filter(|run| run.outcome.is_some());
    let rows: Vec<_> = match detail {
        Detail::Groups => unique(ran.map(|run| (run.case.group, None))),
        Detail::Cases => unique(ran.map(|run| (run.case.group, Some(run.case.name)))),
    };
    if rows.is_empty() {
        return report;
    }
    let head = [String::new()].into_iter().chain(adapters.iter().map(|name| (*name).to_owned()));
    let mut table = vec![head.collect::<Vec<_>>()];
    for (group, name) in rows {
        let title = name.map_or_else(|| group.to_owned(), |name| format!("{group}::{name}"));
        let cells = adapters.iter().map(|adapter| {
            let of_cell = |run: &&Run<'_>| {
                run.case.adapter == *adapter
                    && run.case.group == group
                    && name.is_none_or(|name| run.case.name == name)
            };
            let cell: Vec<_> = runs.iter().filter(of_cell).collect();
            if name.is_some() { ways(&cell) } else { counts(&cell) }
        });
        table.push([title].into_iter().chain(cells).collect());
    }
    if detail == Detail::Cases {
        report += "spawned, then inline; -: there is no such case, .: it has not run\n";
    }
    report + &aligned(&table)
}

struct Run<'a> {
    case: &'a Case,
    outcome: Option<Outcome>,
}

/// A line for each need that was looked for.
fn needs(runs: &[Run<'_>]) -> String {
    let used = unique(runs.iter().flat_map(|run| run.case.needs).filter_map(|need| need.line()));
    let mut text = String::new();
    if !used.is_empty() {
        text += &format!("{}\n\n", used.join("\n"));
    }
    text
}

/// A case on one adapter: spawned, then inline.
fn ways(runs: &[&Run<'_>]) -> String {
    let word = |way| {
        let run = runs.iter().find(|run| run.case.way == way)?;
        Some(match run.outcome {
            Some(Outcome::Passed) => "ok",
            Some(Outcome::Failed) => "FAILED",
            Some(Outcome::Skipped) => "skipped",
            None => ".",
        })
    };
    match (word(Way::Spawned), word(Way::Inline), word(Way::Single)) {
        (Some("skipped"), Some("skipped"), None) => "skipped".to_owned(),
        (None, None, single) => single.unwrap_or("-").to_owned(),
        (spawned, inline, _) => format!("{} {}", spawned.unwrap_or("-"), inline.unwrap_or("-")),
    }
}

/// A group on one adapter.
fn counts(runs: &[&Run<'_>]) -> String {
    let kinds = [(Outcome::Passed, "ok"), (Outcome::Failed, "FAILED"), (Outcome::Skipped, "skipped")];
    let counts = kinds.into_iter().filter_map(|(kind, word)| {
        let count = runs.iter().filter(|run| run.outcome == Some(kind)).count();
        (count > 0).then(|| format!("{count} {word}"))
    });
    let counts: Vec<_> = counts.collect();
    if counts.is_empty() { "-".to_owned() } else { counts.join(", ") }
}

/// Each value once, in the order of its first appearance.
fn unique<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = Vec::new();
    for value in values {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen
}

/// All columns but the last as wide as their widest cell.
fn aligned(table: &[Vec<String>]) -> String {
    let columns = table.first().map_or(0, Vec::len);
    let width = |column: usize| table.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<_> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in table {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        writeln!(text, "{}", line.trim_end()).unwrap();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::needs::Need;

    static PEER: Need = Need::new("peer", || Err("not installed".to_owned()));
    static OTHER: Need = Need::new("other", || panic!("nobody looks for it"));

    fn case(adapter: &'static str, way: Way, group: &'static str, name: &'static str) -> Case {
        Case { adapter, way, group, name, needs: const { &[&PEER, &OTHER] }, body: || {} }
    }

    /// Two adapters, the second of which lacks a case.
    fn run() -> (Vec<Case>, Vec<Option<Outcome>>) {
        use Outcome::{Failed, Passed, Skipped};
        let runs = [
            (case("one", Way::Spawned, "closing", "both"), Some(Passed)),
            (case("one", Way::Inline, "closing", "both"), Some(Failed)),
            (case("one", Way::Spawned, "closing", "only"), Some(Passed)),
            (case("one", Way::Single, "opening", "world"), Some(Passed)),
            (case("one", Way::Single, "opening", "left_out"), None),
            (case("second", Way::Spawned, "closing", "both"), Some(Skipped)),
            (case("second", Way::Inline, "closing", "both"), Some(Skipped)),
            (case("second", Way::Spawned, "closing", "only"), None),
        ];
        runs.into_iter().unzip()
    }

    #[test]
    fn a_line_for_each_case() {
        PEER.find().unwrap_err();
        let (cases, outcomes) = run();
        let expected = "\
skipped: peer: not installed

spawned, then inline; -: there is no such case, .: it has not run
                one        second
closing::both   ok FAILED  skipped
closing::only   ok -       . -
opening::world  ok         -
";
        assert_eq!(render(&cases, &outcomes, Detail::Cases), expected);
    }

    #[test]
    fn a_line_for_each_group() {
        PEER.find().unwrap_err();
        let (cases, outcomes) = run();
        let expected = "\
skipped: peer: not installed

         one             second
closing  2 ok, 1 FAILED  2 skipped
opening  1 ok            -
";
        assert_eq!(render(&cases, &outcomes, Detail::Groups), expected);
    }

    #[test]
    fn nothing_of_nothing() {
        let (mut cases, outcomes) = run();
        cases.iter_mut().for_each(|case| case.needs = &[]);
        assert_eq!(render(&cases, &vec![None; outcomes.len()], Detail::Cases), "");
    }
}
