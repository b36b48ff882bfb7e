//! Any command line: it is read or refused, without a panic, and what is refused of a header or a proxy does not repeat
//! its secret.
//!
//! An input is one argument a line. The parser is the command's own source.

#![no_main]

#[path = "../../cli/src"]
mod cli {
    pub(crate) mod args;
}

use clap::Parser;
use libfuzzer_sys::fuzz_target;
use tidegate_driver::net::{Connector, Proxy};
use tidegate_fuzz::peer::find;

use cli::args::{Cli, Command, HeaderArg, TailArgs};

/// Credentials, wherever the input has them.
const SECRET: &str = "hunter2";

fuzz_target!(|input: &str| {
    let lines = input.lines().filter(|line| !line.contains('\0'));
    let arguments: Vec<&str> = std::iter::once("tidegate").chain(lines).collect();
    match Cli::try_parse_from(&arguments) {
        Err(error) => {
            let text = error.to_string();
            assert!(!is_value_of_secret(&arguments) || !text.contains(SECRET), "{text}");
        }
        Ok(Cli { command: Command::Tail(args), .. }) => tail(&args),
        Ok(Cli { command: Command::Demo(args), .. }) => assert!(args.rate > 0 && !args.duration.is_zero()),
        Ok(Cli { command: Command::Serve(args), .. }) => assert!(args.rate > 0),
    }
});

/// Whether all that is secret is the value of `--header` or `--proxy`, where it belongs.
fn is_value_of_secret(arguments: &[&str]) -> bool {
    let takes = |name: &str| name == "--header" || name == "--proxy";
    let stray = arguments.iter().enumerate().any(|(at, argument)| {
        let secret = find(argument.as_bytes(), SECRET.as_bytes()).is_some();
        let attached = argument.split_once('=').is_some_and(|(name, _)| takes(name));
        let apart = at > 1 && takes(arguments[at - 1]) && !argument.starts_with('-');
        // The parser leaves out control characters of what it repeats, which may put the word together.
        let hidden = argument.chars().any(char::is_control);
        (secret || hidden) && !(attached || apart)
    });
    !stray && arguments.get(1) == Some(&"tail") && !arguments.contains(&"--")
}

/// What the command reads of its options before it connects.
fn tail(args: &TailArgs) {
    assert!(args.count != Some(0));
    let _ = args.retry.policy(args.max_retries);
    // Files are not read: the input would name devices.
    for header in args.header.iter().filter(|header| !header.contains('@')) {
        match header.parse::<HeaderArg>() {
            Ok(header) => {
                assert!(!format!("{header:?}").contains(SECRET) || header.name.as_str().contains(SECRET));
                assert!(header.value.is_sensitive());
            }
            Err(why) => check_header(header, &why),
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

/// An error may name the header, and the variable that is not set.
fn check_header(header: &str, why: &str) {
    let (name, value) = header.split_once(':').unwrap_or_default();
    let named = name.contains(SECRET) || value.trim().starts_with("env:");
    assert!(named || !why.contains(SECRET), "{why}");
}
