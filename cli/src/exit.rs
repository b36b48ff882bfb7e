//! How the command ends: exit codes, and one line that says why and what to do.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::process::ExitCode;

use tidegate::StopReason;

use crate::advice::{in_options, on_stop};

/// The end of a command.
pub(crate) enum Exit {
    /// 0: finished.
    Finished,
    /// 1: stopped.
    Failed(String),
    /// 2: wrong usage.
    Usage(String),
}

impl Exit {
    pub(crate) fn failed(why: impl Into<String>) -> Self {
        Self::Failed(why.into())
    }

    pub(crate) fn usage(why: impl Display) -> Self {
        Self::Usage(why.to_string())
    }

    pub(crate) fn stopped(reason: &StopReason) -> Self {
        match reason {
            StopReason::Shutdown => Self::Finished,
            StopReason::RetriesExhausted { .. }
            | StopReason::Fatal { .. }
            | StopReason::HandlerPanicked
            | StopReason::RuntimeStopped
            | _ => Self::Failed(format!("{}. {}", in_options(&reason.to_string()), on_stop(reason))),
        }
    }

    pub(crate) fn code(&self) -> ExitCode {
        match self {
            Self::Finished => ExitCode::SUCCESS,
            Self::Failed(_) => ExitCode::from(1),
            Self::Usage(_) => ExitCode::from(2),
        }
    }

    /// Says why, if there is something to say.
    pub(crate) fn report(self) -> ExitCode {
        // There is nowhere left to say that standard error is closed.
        let _ = match &self {
            Self::Finished => Ok(()),
            Self::Failed(why) => writeln!(io::stderr(), "tidegate: {why}"),
            Self::Usage(why) => {
                writeln!(io::stderr(), "tidegate: {why}\n\nFor more information, try '--help'.")
            }
        };
        self.code()
    }
}
