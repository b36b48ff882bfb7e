//! Draws the state machine from its transition table: as mermaid for the README, or with the argument `text` as the
//! lines in the crate's documentation. `tests/diagram.rs` checks both against this output.

use std::fmt::Write as _;

use tidegate_core::{Phase, TRANSITIONS, Transition};

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("text") => print!("{}", listing()),
        _ => print!("{}", mermaid()),
    }
}

/// Returns a fenced mermaid block.
pub(crate) fn mermaid() -> String {
    let mut out = String::from("```mermaid\nstateDiagram-v2\n");
    _ = writeln!(out, "    [*] --> {}", Phase::Idle);
    for Transition { from, to, cause } in TRANSITIONS {
        _ = writeln!(out, "    {from} --> {to}: {cause}");
    }
    _ = writeln!(out, "    {} --> [*]", Phase::Stopped);
    out.push_str("```\n");
    out
}

/// Returns one line per transition.
pub(crate) fn listing() -> String {
    TRANSITIONS.iter().fold(String::new(), |mut out, Transition { from, to, cause }| {
        _ = writeln!(out, "{from} --{cause}--> {to}");
        out
    })
}
