//! Advice to a user of the command about a failure.

use tidegate::{
    BootstrapFailure, CloseFrame, ConnectFailure, ConnectionFailure, Failure, LocalFailure, Notice,
    ProxyProblem, StopReason, TlsProblem,
};

/// For what cannot happen.
const DEFECT: &str =
    concat!("This is a defect of tidegate: please report it at ", env!("CARGO_PKG_REPOSITORY"), "/issues.");

/// The library's options, and what they are called here.
const OPTIONS: [(&str, &str); 14] = [
    ("connect_timeout", "--connect-timeout"),
    ("bootstrap_timeout", "--bootstrap-timeout"),
    ("idle_timeout", "--idle-timeout"),
    ("stale_after", "--stale-after"),
    ("ping_interval", "--ping-interval"),
    ("pong_timeout", "--pong-timeout"),
    ("client_certificate_files", "--cert and --key"),
    ("ca_file", "--ca"),
    ("max_frame_size", "--max-frame"),
    ("max_message_size", "--max-message"),
    ("retry base", "the base of --retry"),
    ("retry cap", "the cap of --retry"),
    ("the option host", "--host"),
    ("host is not valid", "--host is not valid"),
];

/// A text of the library, with the options of this command.
pub(crate) fn in_options(text: &str) -> String {
    OPTIONS.iter().fold(text.to_owned(), |text, (library, command)| text.replace(library, command))
}

/// Advice about a feed that stopped.
pub(crate) fn on_stop(reason: &StopReason) -> String {
    match reason {
        StopReason::Shutdown => String::new(),
        StopReason::RetriesExhausted { last } => {
            format!("{} To allow more retries: --max-retries.", advice(last))
        }
        StopReason::Fatal {
            failure: failure @ Failure::Connect(ConnectFailure::Rejected { status, .. }),
        } => {
            format!("{} To retry this status: --retry-on {status}.", advice(failure))
        }
        StopReason::Fatal { failure } => advice(failure).to_owned(),
        StopReason::HandlerPanicked | StopReason::RuntimeStopped | _ => DEFECT.to_owned(),
    }
}

/// Advice about `failure`: sentences that name the options that help.
fn advice(failure: &Failure) -> &'static str {
    match failure {
        Failure::Connect(failure) => on_connect(failure),
        Failure::Connection(failure) => on_connection(failure),
        Failure::Bootstrap(BootstrapFailure::Lost(failure)) => advice(failure),
        Failure::Bootstrap(BootstrapFailure::Timeout) => {
            "--bootstrap-timeout allows more time for the frames of --send."
        }
        Failure::Local(LocalFailure::Overflow) => {
            "Read faster, or choose a larger --buffer or another --overflow."
        }
        // The command's handler accepts every message.
        Failure::Bootstrap(BootstrapFailure::Fault(_))
        | Failure::Local(LocalFailure::Fault(_) | LocalFailure::Reconnect)
        | _ => DEFECT,
    }
}

const fn on_connect(failure: &ConnectFailure) -> &'static str {
    match failure {
        ConnectFailure::Rejected { status, .. } => on_refusal(*status),
        ConnectFailure::Redirected { .. } => {
            "--send-after-redirect does so, and sends the frames of --send there."
        }
        ConnectFailure::Request { .. } => "Correct --header, --origin or --subprotocol.",
        ConnectFailure::Lookup { .. } => "Check the host's name in the URL, and this machine's network.",
        ConnectFailure::Tcp { .. } => {
            "Check host and port in the URL, --bind if it is given, and that the server is up."
        }
        ConnectFailure::Timeout => {
            "Check host and port in the URL, and that the server is up; --connect-timeout allows more time."
        }
        ConnectFailure::Tls { problem, .. } => on_tls(*problem),
        ConnectFailure::Proxy { problem, .. } => on_proxy(*problem),
        ConnectFailure::Upgrade { .. } => "Check that the URL is that of a WebSocket endpoint.",
        // The command has no resolver and no connector of its own.
        ConnectFailure::Resolve { .. } | ConnectFailure::Custom { .. } | _ => DEFECT,
    }
}

fn on_connection(failure: &ConnectionFailure) -> &'static str {
    match failure {
        ConnectionFailure::Closed(frame) => on_close(frame.as_ref().map_or(1005, |frame| frame.code)),
        ConnectionFailure::Io { .. } => {
            "Check the network and the server; --ping-interval keeps a quiet connection open."
        }
        ConnectionFailure::Protocol { code: CloseFrame::TOO_BIG, .. } => {
            "Raise --max-message, and --max-frame too if one frame may be that long."
        }
        ConnectionFailure::IdleTimeout => {
            "Check what --send subscribes to; --idle-timeout allows more silence."
        }
        ConnectionFailure::PongTimeout => {
            "Check the network and the server; --pong-timeout allows more time."
        }
        ConnectionFailure::Stale => {
            "Check what --send subscribes to; --stale-after allows more time between items."
        }
        ConnectionFailure::Protocol { .. } | _ => "Ask the server's operator.",
    }
}

const fn on_refusal(status: u16) -> &'static str {
    match status {
        200..=299 => "The URL is probably that of a web page, not of a WebSocket endpoint: check its path.",
        300..=399 => "The server answered with a redirect that cannot be followed: check the URL.",
        401 | 403 => "Check the credentials: --header sends a token, --user a name and a password.",
        404 | 410 => "Check the path of the URL.",
        408 | 425 => "The server asks to try again later: --retry sets a longer delay.",
        429 => "The server asks for fewer attempts: --retry sets a longer delay.",
        426 => "The server wants another protocol: check the URL.",
        400..=499 => "Check the URL, --header and --subprotocol, or ask the server's operator.",
        501 => "The server does not know WebSocket: check host, port and path of the URL.",
        _ => "The server has a problem: try again later, or ask its operator.",
    }
}

const fn on_close(code: u16) -> &'static str {
    match code {
        1002 | 1003 | 1007 => "The server does not accept what was sent: check --send.",
        1008 => {
            "The server's rules forbid the connection: check the credentials (--header, --user) and --send."
        }
        1009 => "A frame of --send is longer than the server accepts.",
        1010 => "The server expects an extension that tidegate does not offer.",
        1011..=1014 => "The server has a problem or restarts: --retry sets a longer delay.",
        4000..=4999 => "The code is the server's own: look it up in its documentation, and check --send.",
        _ => "Check what the server expects, such as --send or --ping-interval.",
    }
}

const fn on_proxy(problem: ProxyProblem) -> &'static str {
    match problem {
        ProxyProblem::Misconfigured => "Correct the variable, or go without a proxy: --proxy none.",
        ProxyProblem::Unreachable => "Check the proxy's host and port, or go without a proxy: --proxy none.",
        ProxyProblem::Credentials => {
            "Give the proxy's user name and password in its URL: --proxy scheme://user:password@host:port."
        }
        ProxyProblem::Forbidden | ProxyProblem::Failed | _ => {
            "Ask the proxy's operator, or go without a proxy: --proxy none."
        }
    }
}

/// The failure says what may help, in terms of the library; here are the options of this command.
const fn on_tls(problem: TlsProblem) -> &'static str {
    match problem {
        TlsProblem::UnknownIssuer | TlsProblem::BadSignature | TlsProblem::NoRoots => {
            "Check the machine's CA certificates, or give one with --ca."
        }
        TlsProblem::Misconfigured if cfg!(not(any(feature = "ring", feature = "aws-lc-rs"))) => {
            "This command was built without cryptography: build it with one of these features."
        }
        TlsProblem::WrongHost | TlsProblem::Misconfigured => "Check the URL's host.",
        TlsProblem::PlainServer => "Check the URL's scheme and port.",
        TlsProblem::BadCertificate | TlsProblem::Expired | TlsProblem::Revoked => {
            "Ask the server's operator."
        }
        TlsProblem::ClientCertificate => "Give a client certificate with --cert and --key.",
        TlsProblem::NoCommonProtocol | TlsProblem::Protocol | TlsProblem::Other | _ => {
            "Check host and port in the URL, or ask the server's operator."
        }
    }
}

/// Counts the failures of a kind in a row.
#[derive(Default)]
pub(crate) struct Streak {
    last: Option<Failure>,
    count: u32,
}

impl Streak {
    /// The advice that is due: at the fifth failure of a kind in a row, and whenever the count has doubled since.
    pub(crate) fn advice(&mut self, notice: &Notice) -> Option<String> {
        if let Some(failure) = notice.failure() {
            let same = self.last.as_ref().is_some_and(|last| last.kind() == failure.kind());
            self.count = if same { self.count.saturating_add(1) } else { 1 };
            self.last = Some(failure.clone());
        }
        let Notice::Retry { attempt, .. } = notice else { return None };
        // The first retry after a connection that was stable (R4) is the first of a new row.
        self.count = self.count.min(*attempt);
        let count = self.count;
        let due = count.is_multiple_of(5) && (count / 5).is_power_of_two();
        let failure = self.last.as_ref().filter(|_| due)?;
        let stop = failure.close_code().map(|code| format!(" To stop on this code: --stop-on-close {code}."));
        Some(format!(
            "{count} failures of this kind in a row. {}{} To limit the retries: --max-retries.",
            advice(failure),
            stop.unwrap_or_default()
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::CommandFactory as _;
    use tidegate::{CloseFrame, ConnectionId};

    use super::*;
    use crate::args::Cli;

    fn rejected(status: u16) -> Failure {
        Failure::rejected(status, None)
    }

    #[test]
    fn every_option_that_advice_names_exists() {
        let detail = String::new;
        let others = [
            Failure::Connect(ConnectFailure::Redirected { to: detail() }),
            Failure::Connect(ConnectFailure::Request { detail: detail() }),
            Failure::Connect(ConnectFailure::Lookup { detail: detail() }),
            Failure::Connect(ConnectFailure::Tcp { detail: detail() }),
            Failure::Connect(ConnectFailure::Timeout),
            Failure::Connect(ConnectFailure::Upgrade { detail: detail() }),
            Failure::Bootstrap(BootstrapFailure::Timeout),
            Failure::Bootstrap(BootstrapFailure::Lost(Box::new(Failure::Connection(
                ConnectionFailure::IdleTimeout,
            )))),
            Failure::Connection(ConnectionFailure::Closed(None)),
            Failure::io(detail()),
            Failure::Connection(ConnectionFailure::Protocol { code: 1002, detail: detail() }),
            Failure::Connection(ConnectionFailure::Protocol { code: 1009, detail: detail() }),
            Failure::Connection(ConnectionFailure::IdleTimeout),
            Failure::Connection(ConnectionFailure::PongTimeout),
            Failure::Connection(ConnectionFailure::Stale),
            Failure::Local(LocalFailure::Overflow),
        ];
        let closed = (1000..1016)
            .chain([4000])
            .map(|code| Failure::Connection(ConnectionFailure::Closed(Some(CloseFrame::new(code)))));
        let mut cli = Cli::command();
        cli.build();
        let tail = cli.find_subcommand("tail").unwrap();
        let exists = |name: &str| tail.get_arguments().any(|option| option.get_long() == Some(name));
        let tls = TlsProblem::ALL.iter().map(|&problem| ConnectFailure::Tls { problem, detail: detail() });
        let proxy =
            ProxyProblem::ALL.iter().map(|&problem| ConnectFailure::Proxy { problem, detail: detail() });
        let failures = tls
            .chain(proxy)
            .map(Failure::Connect)
            .chain((200..600).map(rejected))
            .chain(closed)
            .chain(others);
        for failure in failures {
            let advice = advice(&failure);
            let names = advice.split(|c: char| !(c.is_ascii_lowercase() || c == '-'));
            for name in names.filter_map(|word| word.strip_prefix("--")) {
                assert!(exists(name), "--{name}, which does not exist: {advice}");
            }
        }
    }

    #[test]
    fn advice_comes_with_the_fifth_failure_of_a_kind_then_sparsely() {
        let id = ConnectionId::new(1);
        let retry = |attempt| Notice::Retry { attempt, delay: Duration::ZERO };
        let mut streak = Streak::default();
        let mut said = Vec::new();
        for attempt in 1..=50 {
            assert_eq!(streak.advice(&Notice::Failure { id, failure: rejected(503) }), None);
            if let Some(advice) = streak.advice(&retry(attempt)) {
                assert!(advice.contains("--max-retries") && advice.contains("operator"), "{advice}");
                said.push(attempt);
            }
        }
        assert_eq!(said, [5, 10, 20, 40]);
    }

    #[test]
    fn another_kind_or_a_stable_connection_starts_a_new_row() {
        let id = ConnectionId::new(1);
        let failed = |failure| Notice::Failure { id, failure };
        let closed = || Notice::Disconnected {
            id,
            failure: Some(Failure::Connection(ConnectionFailure::Closed(None))),
        };
        let retry = |attempt| Notice::Retry { attempt, delay: Duration::ZERO };
        let mut streak = Streak::default();
        let mut rounds = |notice: Notice, attempts: std::ops::RangeInclusive<u32>| {
            attempts
                .filter(|attempt| {
                    streak.advice(&notice);
                    streak.advice(&retry(*attempt)).is_some()
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(rounds(failed(rejected(503)), 1..=4), [0; 0]);
        assert_eq!(rounds(closed(), 5..=8), [0; 0]);
        assert_eq!(rounds(closed(), 1..=4), [0; 0], "the connection before had been stable");
        assert_eq!(rounds(closed(), 5..=9), [5]);
    }

    #[test]
    fn the_end_names_what_changes_the_verdict() {
        let fatal = |failure| on_stop(&StopReason::Fatal { failure });
        assert!(fatal(rejected(403)).contains("--retry-on 403"));
        assert!(
            !fatal(Failure::Connection(ConnectionFailure::Closed(Some(CloseFrame::new(4001)))))
                .contains("--retry")
        );
        let exhausted = on_stop(&StopReason::RetriesExhausted { last: rejected(503) });
        assert!(exhausted.contains("--max-retries") && !exhausted.contains("--retry-on"), "{exhausted}");
    }
}
