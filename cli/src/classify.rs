//! Which failures stop a feed of the command.

use tidegate::{BootstrapFailure, Class, Classification, ConnectFailure, ConnectionFailure, Failure};

use crate::args::RetryArgs;

/// The standard classification (R6), changed by `--retry-on` and `--stop-on-close`.
pub(crate) fn classification(args: &RetryArgs) -> impl Fn(&Failure) -> Class + Send + Sync + 'static {
    let (retry_on, stop_on_close) = (args.retry_on.clone(), args.stop_on_close.clone());
    let standard = Classification::Standard;
    move |failure| {
        if let Failure::Connect(ConnectFailure::Rejected { status, .. }) = failure
            && retry_on.contains(status)
        {
            return Class::Retry;
        }
        if close_code(failure).is_some_and(|code| stop_on_close.contains(&code)) {
            return Class::Fatal;
        }
        standard.classify(failure)
    }
}

/// The code with which the server closed, whether or not the frames of `--send` were out by then (B4); 1005 stands for a
/// Close without a code (RFC 6455, section 7.1.5).
pub(crate) fn close_code(failure: &Failure) -> Option<u16> {
    if let Failure::Bootstrap(BootstrapFailure::Lost(failure)) = failure {
        return close_code(failure);
    }
    let Failure::Connection(ConnectionFailure::Closed(frame)) = failure else { return None };
    Some(frame.as_ref().map_or(1005, |frame| frame.code))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use tidegate::CloseFrame;

    use super::*;
    use crate::args::{Cli, Command};

    fn classify(options: &[&str], failure: &Failure) -> Class {
        let arguments = ["tidegate", "tail", "ws://host/"].iter().chain(options);
        let Command::Tail(args) = Cli::parse_from(arguments).command else { panic!("not tail") };
        classification(&args.retrying)(failure)
    }

    #[test]
    fn listed_statuses_are_retried_and_no_others() {
        let rejected = |status| Failure::rejected(status, None);
        assert_eq!(classify(&[], &rejected(403)), Class::Fatal);
        let options = ["--retry-on", "403,404", "--retry-on", "410"];
        for (status, class) in
            [(403, Class::Retry), (404, Class::Retry), (410, Class::Retry), (401, Class::Fatal)]
        {
            assert_eq!(classify(&options, &rejected(status)), class, "{status}");
        }
    }

    #[test]
    fn listed_codes_are_fatal_and_no_others() {
        let closed = |code| Failure::Connection(ConnectionFailure::Closed(Some(CloseFrame::new(code))));
        let options = ["--stop-on-close", "1008,4001", "--stop-on-close", "1005"];
        assert_eq!(classify(&[], &closed(1008)), Class::Retry);
        assert_eq!(classify(&options, &closed(1001)), Class::Retry);
        let early = Failure::Bootstrap(BootstrapFailure::Lost(Box::new(closed(1008))));
        for failure in
            [closed(1008), closed(4001), Failure::Connection(ConnectionFailure::Closed(None)), early]
        {
            assert_eq!(classify(&options, &failure), Class::Fatal, "{failure}");
        }
    }
}
