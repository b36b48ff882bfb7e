//! The Autobahn testsuite: its fuzzing server as a process, a client that echoes, and the verdicts.
//!
//! It is the real `wstest`, which needs Python 2.7: `autobahn/requirements.txt` has the versions.

mod echo;
mod process;
mod verdict;

pub use echo::run_all_cases;
pub use process::{Security, Wstest, find_wstest};
pub use verdict::{Behavior, Expectations, Outcome, Report};
