//! Usage errors, without the values that were given: a header that is not quoted, a second URL or a password may be any of
//! them.

use std::error::Error as _;
use std::ffi::OsString;

use clap::Error;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Describes what is wrong with `arguments`, the command's own name included. Names options, never values.
#[allow(clippy::wildcard_enum_match_arm, reason = "a kind that is not known here gets a text without values")]
pub(super) fn explain(error: &Error, arguments: &[OsString]) -> String {
    let given = text(error, ContextKind::InvalidArg).unwrap_or("an argument");
    // In the other kinds it is the option, and how its value is called.
    let option = given.split_once(" <").map_or(given, |(option, _)| option);
    match error.kind() {
        ErrorKind::UnknownArgument if given.starts_with('-') => unknown_option(error, given),
        ErrorKind::UnknownArgument => stray(given, arguments),
        ErrorKind::InvalidSubcommand => {
            "the first argument is not a command: choose tail, demo, serve or help. To follow a feed: \
             tidegate tail URL"
                .to_owned()
        }
        ErrorKind::ValueValidation => match error.source() {
            Some(why) => format!("{option}: {why}"),
            None => format!("{option}: the value is not valid"),
        },
        ErrorKind::InvalidValue if text(error, ContextKind::InvalidValue) == Some("") => format!(
            "{option}: the value is missing; one that begins with a dash takes an equals sign, such as --send=-1"
        ),
        ErrorKind::InvalidValue => {
            format!("{option}: choose one of {}", list(error, ContextKind::ValidValue))
        }
        ErrorKind::TooManyValues => format!("{option} takes no value"),
        ErrorKind::ArgumentConflict
            if error.get(ContextKind::PriorArg) == error.get(ContextKind::InvalidArg) =>
        {
            format!("{option} may be given once")
        }
        ErrorKind::ArgumentConflict => {
            format!("{option} cannot be combined with {}", list(error, ContextKind::PriorArg))
        }
        ErrorKind::MissingRequiredArgument => format!("missing: {}", list(error, ContextKind::InvalidArg)),
        ErrorKind::InvalidUtf8 => "an argument is not UTF-8".to_owned(),
        // The parser may learn to find other faults: their texts may repeat a value.
        _ => "the arguments cannot be read".to_owned(),
    }
}

/// An argument that belongs to no option: the rest of a value that was not quoted, most likely.
fn stray(argument: &str, arguments: &[OsString]) -> String {
    let mut places = arguments.iter().enumerate().skip(1).filter(|(_, given)| *given == argument);
    let place = match (places.next(), places.next()) {
        (Some((at, _)), None) => format!("argument {at} of {}", arguments.len() - 1),
        (Some(_), Some(_)) | (None, _) => "an argument".to_owned(),
    };
    format!(
        "{place} is unexpected: it belongs to no option. Quote a value that has spaces, such as --header 'Name: VALUE'"
    )
}

/// Repeats the name only if it looks like that of an option: a value may begin with a dash as well.
fn unknown_option(error: &Error, option: &str) -> String {
    let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    let known = match option.strip_prefix("--") {
        Some(name) if is_name(name) => format!("there is no option {option} here"),
        Some(_) | None => "an argument that begins with a dash is not an option here".to_owned(),
    };
    match text(error, ContextKind::SuggestedArg) {
        Some(similar) => format!("{known}: {similar} is similar"),
        None => format!("{known}: a value that begins with a dash takes an equals sign, such as --send=-1"),
    }
}

fn text(error: &Error, kind: ContextKind) -> Option<&str> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text),
        _ => None,
    }
}

/// Names from the command's own definition.
fn list(error: &Error, kind: ContextKind) -> String {
    match error.get(kind) {
        Some(ContextValue::Strings(names)) => names.join(", "),
        Some(ContextValue::String(name)) => name.clone(),
        _ => "another argument".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Cli, Refused};

    /// In place of every value that could be a secret.
    const SECRET: &str = "hunter2";

    fn refusal(arguments: &[&str]) -> String {
        match Cli::read(std::iter::once(&"tidegate").chain(arguments)) {
            Err(Refused::Usage(why)) => why,
            Err(Refused::Help(help)) => panic!("{arguments:?}: {help}"),
            Ok(_) => panic!("accepted: {arguments:?}"),
        }
    }

    #[test]
    fn an_error_names_the_option_and_never_a_value() {
        let url = "wss://host/";
        let cases: [(&[&str], &str); 20] = [
            (&["tail", "--header", "Authorization:", "Bearer", SECRET], "argument 5 of 5"),
            (&["tail", url, "wss://host/?token=hunter2"], "argument 3 of 3"),
            (&["wss://host/?token=hunter2"], "tidegate tail URL"),
            (&["tail", url, "--hunter2"], "an argument that begins with a dash"),
            (&["tail", url, "--hunter2=x"], "an argument that begins with a dash"),
            (&["tail", url, "--nonsense=hunter2"], "no option --nonsense"),
            (&["tail", url, "--idle-timout", SECRET], "--idle-timeout"),
            (&["tail", url, "-xhunter2"], "an argument that begins with a dash"),
            (&["tail", url, "--json=hunter2"], "--json takes no value"),
            (&["tail", url, "--overflow", SECRET], "drop-oldest"),
            (&["tail", url, "--retry", SECRET], "--retry: expected fixed:DELAY"),
            (&["tail", url, "--retry", "fixed:hunter2"], "duration"),
            (&["tail", url, "--idle-timeout", SECRET], "500ms"),
            (&["tail", url, "--max-retries", SECRET], "unlimited"),
            (&["tail", url, "--count", SECRET], "at least 1"),
            (&["tail", url, "--count", "0"], "at least 1"),
            (&["tail", url, "--bind", SECRET], "--bind"),
            (&["tail", url, "--key", "hunter2\nhunter2", "--cert", "x"], "not its content"),
            (&["demo", "--rate", SECRET], "--rate"),
            (&["serve", "--listen", SECRET], "--listen"),
        ];
        for (arguments, named) in cases {
            let why = refusal(arguments);
            assert!(why.contains(named), "{arguments:?}: {why}");
            assert!(!why.contains(SECRET), "{arguments:?}: {why}");
        }
    }

    #[test]
    fn an_error_without_a_value_says_what_is_missing_or_excluded() {
        assert_eq!(refusal(&["tail"]), "missing: <URL>");
        assert_eq!(refusal(&["tail", "wss://host/", "--cert", "/dev/null"]), "missing: --key <FILE>");
        assert!(refusal(&["tail", "wss://host/", "--send"]).contains("--send: the value is missing"));
        assert_eq!(refusal(&["tail", "wss://host/", "-qv"]), "--quiet cannot be combined with --verbose");
        let twice = refusal(&["tail", "wss://host/", "--count", "1", "--count", "2"]);
        assert_eq!(twice, "--count may be given once");
    }

    #[test]
    fn a_word_that_is_given_twice_has_no_place() {
        let why = refusal(&["tail", "word", "word"]);
        assert!(why.starts_with("an argument is unexpected"), "{why}");
    }
}
