//! `bench/instructions.json`: how many instructions each scenario may take.

use std::io::ErrorKind;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::scenario::Figure;
use crate::Result;
use crate::table::{grouped, name};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.json");

/// How far a figure may be from its bound, as a fraction of the bound.
const TOLERANCE: f64 = 0.05;

const ACCEPT: &str = "cargo run -r -p tidegate-bench -- instructions --accept";

/// The committed bounds, a row for each scenario and size.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(transparent)]
pub(crate) struct Bounds {
    rows: Vec<Row>,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Row {
    scenario: String,
    size: usize,
    /// Instructions when they were last accepted.
    bound: f64,
}

/// How a figure compares with its bound, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Within,
    /// The bound could be lower.
    Below(String),
    Above(String),
}

impl Bounds {
    /// Reads the file. Without one there are no bounds.
    pub(crate) fn read() -> Result<Self> {
        match std::fs::read_to_string(Path::new(FILE)) {
            Ok(text) => serde_json::from_str(&text).map_err(|error| format!("{FILE}: {error}").into()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(format!("{FILE}: {error}").into()),
        }
    }

    pub(crate) fn write(&self) -> Result<()> {
        Ok(std::fs::write(FILE, serde_json::to_string_pretty(self)? + "\n")?)
    }

    pub(crate) fn of(&self, figure: &Figure) -> Option<f64> {
        let scenario = name(&figure.scenario);
        let row = self.rows.iter().find(|row| row.scenario == scenario && row.size == figure.size);
        row.map(|row| row.bound)
    }

    /// Makes the figures the bounds.
    pub(crate) fn accept(&mut self, figures: &[Figure]) {
        let rows = figures.iter().map(|figure| Row {
            scenario: name(&figure.scenario),
            size: figure.size,
            bound: figure.instructions.round(),
        });
        self.rows = rows.collect();
    }

    pub(crate) fn judge(&self, figure: &Figure) -> Verdict {
        let (title, now) = (figure.title(), grouped(figure.instructions));
        let Some(bound) = self.of(figure) else {
            return Verdict::Above(format!(
                "{title}: {now} instructions, and no bound in bench/instructions.json. To accept that: {ACCEPT}"
            ));
        };
        let (more, committed) = (figure.instructions / bound - 1.0, grouped(bound));
        let percent = 100.0 * more.abs();
        if more > TOLERANCE {
            Verdict::Above(format!(
                "{title}: {now} instructions, {percent:.1} % more than the {committed} that are committed. \
                 If that is intended: {ACCEPT}"
            ))
        } else if more < -TOLERANCE {
            Verdict::Below(format!(
                "{title}: {now} instructions, {percent:.1} % fewer than the {committed} that are committed. \
                 To make that the bound: {ACCEPT}"
            ))
        } else {
            Verdict::Within
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instructions::Scenario;

    fn inline(instructions: f64) -> Figure {
        Figure { scenario: Scenario::Inline, size: 64, instructions }
    }

    fn bounds(bound: f64) -> Bounds {
        Bounds { rows: vec![Row { scenario: "inline".to_owned(), size: 64, bound }] }
    }

    #[test]
    fn up_to_five_percent_either_way_is_within() {
        for now in [950.5, 1000.0, 1049.5] {
            assert_eq!(bounds(1000.0).judge(&inline(now)), Verdict::Within, "{now}");
        }
    }

    #[test]
    fn more_fails_and_says_what_to_do() {
        let Verdict::Above(text) = bounds(1000.0).judge(&inline(1051.0)) else { panic!("accepted") };
        for part in ["inline, 64 B", "1,051", "5.1 % more", "1,000", "instructions --accept"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn fewer_is_reported() {
        let Verdict::Below(text) = bounds(1000.0).judge(&inline(900.0)) else { panic!("not reported") };
        for part in ["inline, 64 B", "10.0 % fewer", "instructions --accept"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn what_has_no_bound_fails() {
        assert!(matches!(Bounds::default().judge(&inline(1.0)), Verdict::Above(_)));
        let other_size = Figure { size: 1024, ..inline(1000.0) };
        assert!(matches!(bounds(1000.0).judge(&other_size), Verdict::Above(_)));
    }

    #[test]
    fn what_is_accepted_is_the_bound() {
        let mut bounds = bounds(1000.0);
        let figures = [inline(899.6), Figure { size: 1024, ..inline(7.0) }];
        bounds.accept(&figures);
        assert_eq!(figures.map(|figure| bounds.of(&figure)), [Some(900.0), Some(7.0)]);
    }
}
