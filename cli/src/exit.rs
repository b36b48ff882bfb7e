//! How the command ends: exit codes, and one line that says why and what to do.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::process::ExitCode;

use tidegate::{BootstrapFailure, Failure, ProxyProblem, StopReason, TlsProblem};

/// The end of a command.
pub(crate) enum Exit {
    /// 0: finished.
    Finished,
    /// 1: stopped for good.
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
            StopReason::RetriesExhausted { .. } | StopReason::Fatal { .. } | StopReason::HandlerPanicked => {
                Self::Failed(format!("{reason}. {}", advice(reason)))
            }
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

/// What to do about it.
fn advice(reason: &StopReason) -> &'static str {
    let Some(failure) = reason.failure() else {
        return "This is a defect of tidegate: please report it.";
    };
    match failure {
        Failure::Rejected { status: 401 | 403, .. } => "Check the credentials, such as --header.",
        Failure::Rejected { status: 404, .. } => "Check the URL's path.",
        Failure::Rejected { status: 426, .. } => "The server wants another protocol: check the URL.",
        Failure::Rejected { .. } => "Check the URL and the headers, or ask the server's operator.",
        Failure::Redirected { .. } => "Give the new URL in place of this one, if you trust it.",
        Failure::Request { .. } => "Correct the headers.",
        Failure::Resolve { .. } | Failure::Lookup { .. } => "Check the host's name and your network.",
        Failure::Tcp { .. } | Failure::ConnectTimeout => {
            "Check host and port, and that the server is up; --max-retries allows more attempts."
        }
        Failure::Tls { problem, .. } => advice_on_tls(*problem),
        Failure::Proxy { problem: ProxyProblem::Misconfigured, .. } => {
            "Correct the variable, or go without a proxy: --proxy none."
        }
        Failure::Proxy { problem: ProxyProblem::Unreachable, .. } => "Check the proxy's host and port.",
        Failure::Proxy { problem: ProxyProblem::Credentials, .. } => {
            "Give the proxy's user name and password in its URL: scheme://user:password@host:port."
        }
        Failure::Proxy { problem: ProxyProblem::Forbidden | ProxyProblem::Failed, .. } => {
            "Ask the proxy's operator, or go without it: --proxy none."
        }
        Failure::Upgrade { .. } => "Check that the URL is one of a WebSocket endpoint.",
        Failure::Bootstrap(BootstrapFailure::Fault(_) | BootstrapFailure::Lost(_)) => {
            "Check what --send sends."
        }
        Failure::Bootstrap(BootstrapFailure::Timeout) => "Allow more with --bootstrap-timeout.",
        Failure::Closed(_) => "The server closes the connection: check what it expects, such as --send.",
        Failure::Io { .. } | Failure::Protocol { .. } => {
            "Check the network and the server; --max-retries allows more."
        }
        Failure::IdleTimeout | Failure::PongTimeout | Failure::Stale => {
            "The feed is silent: check the subscription, or allow more with the timeouts."
        }
        Failure::Overflow => "Read faster, or choose another --overflow or a larger --buffer.",
        Failure::Fault(_) | Failure::Reconnect => "This is a defect of tidegate: please report it.",
    }
}

/// The failure says what may help; here is how, with this command.
const fn advice_on_tls(problem: TlsProblem) -> &'static str {
    match problem {
        TlsProblem::UnknownIssuer | TlsProblem::BadSignature | TlsProblem::NoRoots => {
            "With this command ca_file is --ca."
        }
        TlsProblem::WrongHost | TlsProblem::Misconfigured => "Check the URL's host.",
        TlsProblem::PlainServer => "Check the URL's scheme and port.",
        TlsProblem::BadCertificate => "Ask the server's operator.",
        TlsProblem::Expired | TlsProblem::Revoked => "--max-retries allows more attempts meanwhile.",
        TlsProblem::ClientCertificate => "With this command client_certificate_files are --cert and --key.",
        TlsProblem::NoCommonProtocol | TlsProblem::Protocol | TlsProblem::Other => {
            "Check the URL's host and port, or ask the server's operator; --max-retries allows more attempts."
        }
    }
}
