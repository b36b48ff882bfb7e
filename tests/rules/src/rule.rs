//! The rules by name.

use std::fmt;

use tidegate_core::Discontinuity;

/// A rule of the design that can be broken, by its name there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "`docs/design.md` says what they are")]
pub enum Rule {
    P1,
    P2,
    P3,
    C1,
    C2,
    C3,
    C5,
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
    R7,
    B1,
    B2,
    B3,
    B4,
    L2,
    L3,
    L4,
    L5,
    H1,
    H2,
    H3,
    H4,
    H5,
    H6,
    D1,
    D2,
    D3,
    D4,
    O1,
    O3,
    S1,
    S2,
    S3,
    S5,
    T1,
    T2,
}

/// A rule that was broken, and how.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Broken {
    /// Which.
    pub rule: Rule,
    /// What was seen.
    pub detail: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.rule, self.detail)
    }
}

impl From<Discontinuity> for Broken {
    fn from(discontinuity: Discontinuity) -> Self {
        let rule = match discontinuity {
            Discontinuity::Dropped { .. } => Rule::D4,
            _ => Rule::D2,
        };
        Self { rule, detail: discontinuity.to_string() }
    }
}

/// Whether all rules hold.
pub type Verdict = Result<(), Broken>;

macro_rules! hold {
    ($cond:expr, $rule:ident, $($detail:tt)+) => {
        if !$cond {
            return Err($crate::Broken { rule: $crate::Rule::$rule, detail: format!($($detail)+) });
        }
    };
}
pub(crate) use hold;
