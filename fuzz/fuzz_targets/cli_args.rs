//! Any command line: it is read or refused, without a panic, and an error does not repeat what was given.
//!
//! An input is one argument a line. The parser is the command's own source.

#![no_main]

#[path = "../../cli/src"]
mod cli {
    pub(crate) mod args;
}

use libfuzzer_sys::fuzz_target;
use tidegate_driver::net::{Connector, Proxy};

use cli::args::{Cli, Command, ConnectTo, HeaderArg, Refused, TailArgs, frame};

/// Credentials, wherever the input has them.
const SECRET: &str = "hunter2";

fuzz_target!(|input: &str| {
    let lines = input.lines().filter(|line| !line.contains('\0'));
    match Cli::read(std::iter::once("tidegate").chain(lines)) {
        Err(Refused::Help(help)) => assert!(!help.to_string().contains(SECRET), "{help}"),
        Err(Refused::Usage(why)) => assert!(!why.contains(SECRET), "{why}"),
        Ok(Cli { command: Command::Tail(args), .. }) => tail(&args),
        Ok(Cli { command: Command::Demo(args), .. }) => assert!(args.rate > 0 && !args.duration.is_zero()),
        Ok(Cli { command: Command::Serve(args), .. }) => assert!(args.rate > 0),
    }
});

/// What the command reads of its options before it connects.
fn tail(args: &TailArgs) {
    assert!(args.count != Some(0));
    let _ = args.retrying.retry.policy(args.retrying.max_retries);
    assert!(args.retrying.stop_on_close.iter().all(|code| (1000..5000).contains(code)));
    assert!(args.network.connect_to.iter().all(|ConnectTo { from, to }| from.1 > 0 && to.1 > 0));
    // Files are not read: the input would name devices.
    for text in args.send.iter().filter(|text| !text.starts_with('@')) {
        assert!(!frame(text).is_err_and(|why| why.contains(SECRET)));
    }
    if let Some(user) = args.user.as_deref().filter(|user| !user.contains('@')) {
        assert!(!HeaderArg::user(user).is_err_and(|why| why.contains(SECRET)));
    }
    for header in args.header.iter().filter(|header| !header.contains('@')) {
        // An error may name the header.
        let named = header.split_once(':').is_some_and(|(name, _)| name.to_lowercase().contains(SECRET));
        match header.parse::<HeaderArg>() {
            Ok(header) => {
                assert!(named || !format!("{header:?}").contains(SECRET));
                assert!(header.value.is_sensitive());
            }
            Err(why) => assert!(named || !why.contains(SECRET), "{why}"),
        }
    }
    match args.network.proxy.as_deref().map(Proxy::new) {
        Some(Err(error)) => {
            assert!(!error.to_string().contains(SECRET), "{error}");
            assert!(!format!("{error:?}").contains(SECRET), "{error:?}");
        }
        Some(Ok(proxy)) => {
            // A host of that name is no secret.
            let told = format!("{proxy} {:?}", Connector::default().proxy(proxy.clone()));
            let url = args.network.proxy.as_deref().unwrap_or_default();
            let host = url.rsplit_once('@').map_or(url, |(_, host)| host);
            assert!(host.contains(SECRET) || !told.contains(SECRET), "{told}");
        }
        None => {}
    }
}
