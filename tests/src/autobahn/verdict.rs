//! What the fuzzing server made of each case, and what is expected of it.

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use serde_json::Value;

/// A verdict; the later, the worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Behavior {
    /// As the specification has it.
    Ok,
    /// The specification leaves it open.
    Informational,
    /// Allowed, but what is wrong could be noticed earlier.
    NonStrict,
    /// The client does not offer the extension.
    Unimplemented,
    /// Wrong, or cut short.
    Failed,
}

impl Behavior {
    /// What the server calls it; everything else that it says is a failure.
    fn from_name(name: &str) -> Self {
        match name {
            "OK" => Self::Ok,
            "INFORMATIONAL" => Self::Informational,
            "NON-STRICT" => Self::NonStrict,
            "UNIMPLEMENTED" => Self::Unimplemented,
            _ => Self::Failed,
        }
    }
}

impl fmt::Display for Behavior {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "OK",
            Self::Informational => "INFORMATIONAL",
            Self::NonStrict => "NON-STRICT",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Failed => "failed",
        })
    }
}

/// How a case ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What came of the messages.
    pub messages: Behavior,
    /// How the connection ended.
    pub close: Behavior,
}

impl Outcome {
    const OK: Self = Self { messages: Behavior::Ok, close: Behavior::Ok };

    fn is_worse_than(self, other: Self) -> bool {
        self.messages > other.messages || self.close > other.close
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, close {}", self.messages, self.close)
    }
}

/// How each case of one client ended.
#[derive(Clone, Debug)]
pub struct Report(BTreeMap<String, Outcome>);

impl Report {
    pub(super) fn parse(index: &str, agent: &str) -> io::Result<Self> {
        let index: Value = serde_json::from_str(index)?;
        let Some(cases) = index[agent].as_object() else {
            return Err(io::Error::other(format!("the report does not know {agent}")));
        };
        let behavior = |value: &Value| Behavior::from_name(value.as_str().unwrap_or_default());
        let outcome = |case: &Value| Outcome {
            messages: behavior(&case["behavior"]),
            close: behavior(&case["behaviorClose"]),
        };
        Ok(Self(cases.iter().map(|(name, case)| (name.clone(), outcome(case))).collect()))
    }

    /// How many cases it has of each kind, as one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut counts = BTreeMap::<Behavior, usize>::new();
        for outcome in self.0.values() {
            *counts.entry(outcome.messages.max(outcome.close)).or_default() += 1;
        }
        let counts: Vec<_> = counts.iter().map(|(behavior, count)| format!("{count} {behavior}")).collect();
        format!("{} cases: {}", self.0.len(), counts.join(", "))
    }
}

/// How the cases may end that need not be OK.
///
/// One a line: a case (`6.4.3`) or a section (`12.*`), the worst verdict on the messages, and on the close. A line that
/// starts with `#` is a comment.
#[derive(Clone, Debug)]
pub struct Expectations(Vec<(String, Outcome)>);

impl Expectations {
    /// Reads them.
    ///
    /// # Panics
    /// If a line is not as it should be.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let expectation = |line: &str| {
            let words: Vec<_> = line.split_whitespace().collect();
            let [cases, messages, close] = words[..] else { panic!("not an expectation: {line}") };
            let outcome =
                Outcome { messages: Behavior::from_name(messages), close: Behavior::from_name(close) };
            (cases.to_owned(), outcome)
        };
        Self(lines.map(expectation).collect())
    }

    /// What is worse in `report` than expected, one line each; of `cases`, none may be missing.
    #[must_use]
    pub fn worse(&self, cases: &[String], report: &Report) -> Vec<String> {
        let line = |case: &String| {
            let expected = self.of(case);
            match report.0.get(case) {
                Some(outcome) if outcome.is_worse_than(expected) => {
                    Some(format!("{case}: {outcome}; expected: {expected}"))
                }
                Some(_) => None,
                None => Some(format!("{case}: not in the report")),
            }
        };
        cases.iter().filter_map(line).collect()
    }

    fn of(&self, case: &str) -> Outcome {
        let covers = |cases: &str| match cases.strip_suffix('*') {
            Some(section) => case.starts_with(section),
            None => case == cases,
        };
        self.0.iter().find(|(cases, _)| covers(cases)).map_or(Outcome::OK, |(_, outcome)| *outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worse(expected: &str, name: &str, behavior: &str, close: &str) -> Vec<String> {
        let index = serde_json::json!({ "us": { name: { "behavior": behavior, "behaviorClose": close } } });
        let report = Report::parse(&index.to_string(), "us").unwrap();
        Expectations::parse(expected).worse(&[name.to_owned()], &report)
    }

    #[test]
    fn what_is_not_listed_must_be_ok() {
        assert!(worse("", "1.1.1", "OK", "OK").is_empty());
        for bad in ["FAILED", "NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED", "UNCLEAN", "WRONG CODE", ""] {
            assert_eq!(worse("", "1.1.1", bad, "OK").len(), 1, "{bad}");
            assert_eq!(worse("", "1.1.1", "OK", bad).len(), 1, "{bad}");
        }
    }

    #[test]
    fn what_is_listed_may_be_that_bad_and_no_worse() {
        let expected = "# why\n\n6.4.3 NON-STRICT OK\n12.* UNIMPLEMENTED OK\n";
        assert!(worse(expected, "6.4.3", "OK", "OK").is_empty());
        assert!(worse(expected, "6.4.3", "NON-STRICT", "OK").is_empty());
        assert!(worse(expected, "12.1.1", "UNIMPLEMENTED", "OK").is_empty());
        assert_eq!(worse(expected, "6.4.3", "NON-STRICT", "FAILED").len(), 1);
        assert_eq!(worse(expected, "6.4.30", "NON-STRICT", "OK").len(), 1);
        assert_eq!(worse(expected, "1.2.1", "UNIMPLEMENTED", "OK").len(), 1);
        assert_eq!(
            worse(expected, "12.1.1", "FAILED", "OK"),
            ["12.1.1: failed, close OK; expected: UNIMPLEMENTED, close OK"]
        );
    }

    #[test]
    fn a_case_that_has_not_run() {
        let report = Report::parse(r#"{"us": {}}"#, "us").unwrap();
        let worse = Expectations::parse("").worse(&["1.1.1".to_owned()], &report);
        assert_eq!(worse, ["1.1.1: not in the report"]);
        assert!(Report::parse(r#"{"them": {}}"#, "us").is_err());
    }
}
