//! Values that may be secrets: headers, credentials and frames, given literally, in a file or in the environment. Errors
//! repeat no part of them, file and variable names included: a name may be the value itself, given by mistake.

use std::borrow::Cow;
use std::env::VarError;
use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use tidegate::Message;

/// Reads `@FILE` and `env:NAME`; anything else is the text itself. A file loses one line break at its end, which editors
/// add.
fn resolve(text: &str) -> Result<Cow<'_, str>, String> {
    if let Some(file) = text.strip_prefix('@') {
        let mut content = std::fs::read_to_string(file)
            .map_err(|error| format!("the file named after @ cannot be read as text: {error}"))?;
        let end = content.strip_suffix('\n').map(|rest| rest.strip_suffix('\r').unwrap_or(rest).len());
        content.truncate(end.unwrap_or(content.len()));
        return Ok(content.into());
    }
    let Some(variable) = text.strip_prefix("env:") else { return Ok(text.into()) };
    std::env::var(variable).map(Cow::from).map_err(|error| match error {
        VarError::NotPresent => {
            "the environment variable named after env: is not set (write env:TOKEN, not env:$TOKEN)"
                .to_owned()
        }
        VarError::NotUnicode(_) => "the environment variable named after env: is not UTF-8".to_owned(),
    })
}

/// Reads a frame: a binary one from `base64:DATA`; a text frame from `text:LITERAL`, `@FILE`, `env:NAME` or plain text.
pub(crate) fn frame(text: &str) -> Result<Message, String> {
    if let Some(literal) = text.strip_prefix("text:") {
        return Ok(literal.into());
    }
    if let Some(data) = text.strip_prefix("base64:") {
        let bytes = STANDARD.decode(data);
        return bytes.map(Message::from).map_err(|_| {
            "the data after base64: is not base64 with padding (RFC 4648, section 4)".to_owned()
        });
    }
    resolve(text)
        .map(|text| Message::from(text.into_owned()))
        .map_err(|why| format!("{why}. To send the argument literally, put text: before it"))
}

/// A header of the upgrade, whose value is marked as sensitive.
#[derive(Clone)]
pub(crate) struct HeaderArg {
    pub(crate) name: HeaderName,
    pub(crate) value: HeaderValue,
}

impl HeaderArg {
    fn new(name: HeaderName, value: &str) -> Result<Self, String> {
        let Ok(mut value) = HeaderValue::from_str(value.trim()) else {
            return Err(format!(
                "{name}: the value holds a line break or a control character, which no header value may contain"
            ));
        };
        value.set_sensitive(true);
        Ok(Self { name, value })
    }

    /// Reads `NAME:@FILE` or `NAME:env:VARIABLE` as credentials of basic authentication (RFC 7617).
    pub(crate) fn user(text: &str) -> Result<Self, String> {
        let expected = "expected NAME:@FILE or NAME:env:VARIABLE";
        let (name, password) = text.split_once(':').ok_or(expected)?;
        if !password.starts_with('@') && !password.starts_with("env:") {
            return Err(format!(
                "a password on the command line is visible to every user of this machine: {expected}"
            ));
        }
        let password = resolve(password)?;
        if password.is_empty() {
            return Err("the file or environment variable of the password is empty".to_owned());
        }
        let credentials = format!("{name}:{password}");
        if credentials.chars().any(char::is_control) {
            return Err("the name or the password holds a control character".to_owned());
        }
        Self::new(AUTHORIZATION, &format!("Basic {}", STANDARD.encode(credentials)))
    }
}

/// `Name: value`, `Name: @FILE` or `Name: env:NAME`. Errors name the header, never its value.
impl FromStr for HeaderArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once(':').ok_or("expected 'Name: VALUE' in quotes")?;
        let name: HeaderName =
            name.trim().parse().map_err(|_| "expected 'Name: VALUE': the header name is not valid")?;
        if value.trim().is_empty() {
            return Err(format!(
                "{name}: the value is missing: put name and value in quotes, such as 'Name: VALUE'"
            ));
        }
        let value = resolve(value.trim()).map_err(|why| format!("{name}: {why}"))?;
        if value.trim().is_empty() {
            return Err(format!("{name}: the file or environment variable is empty"));
        }
        Self::new(name, &value)
    }
}

impl fmt::Debug for HeaderArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HeaderArg").field(&self.name).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// A file that exists while this does.
    struct File(PathBuf);

    impl File {
        fn new(name: &str, content: &str) -> Self {
            let path = std::env::temp_dir().join(format!("tidegate-{name}-{}", std::process::id()));
            std::fs::write(&path, content).unwrap();
            Self(path)
        }

        fn after(&self, text: &str) -> String {
            format!("{text}@{}", self.0.display())
        }
    }

    impl Drop for File {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn header_values_come_from_the_line_or_a_file() {
        let header: HeaderArg = "X-Key:  a b ".parse().unwrap();
        assert_eq!((header.name.as_str(), header.value.as_bytes()), ("x-key", &b"a b"[..]));
        let file = File::new("header", "from a file\n\n");
        let header: HeaderArg = file.after("X-Key: ").parse().unwrap();
        assert_eq!(header.value.as_bytes(), b"from a file");
    }

    #[test]
    fn frames_come_from_the_line_or_a_file() {
        let file = File::new("frame", " two\nlines\r\n");
        let text = |text: &str| Message::from(text);
        let cases = [
            (r#"{"op":"subscribe"}"#, text(r#"{"op":"subscribe"}"#)),
            ("text:@literal", text("@literal")),
            ("text:env:HOME", text("env:HOME")),
            ("text:text:", text("text:")),
            ("base64:AP8=", Message::from(vec![0, 255])),
            ("", text("")),
            (&file.after(""), text(" two\nlines")),
        ];
        for (given, expected) in cases {
            assert_eq!(frame(given), Ok(expected), "{given}");
        }
        assert_eq!(frame("env:PATH").unwrap().as_text().unwrap(), std::env::var("PATH").unwrap());
    }

    #[test]
    fn a_user_becomes_basic_credentials() {
        let file = File::new("password", "open: sesame\n");
        let header = HeaderArg::user(&file.after("Aladdin:")).unwrap();
        assert_eq!(header.name, AUTHORIZATION);
        assert_eq!(header.value.as_bytes(), b"Basic QWxhZGRpbjpvcGVuOiBzZXNhbWU=");
        assert!(header.value.is_sensitive());
    }

    #[test]
    fn what_is_wrong_is_described_without_the_value() {
        let control = File::new("control", "hunter2\u{7f}");
        let empty = File::new("empty", "\n");
        let header = |text: &str| text.parse::<HeaderArg>().map(|_| ()).unwrap_err();
        let user = |text: &str| HeaderArg::user(text).map(|_| ()).unwrap_err();
        let send = |text: &str| frame(text).map(|_| ()).unwrap_err();
        let cases = [
            (header("no colon hunter2"), "in quotes"),
            (header("bad name: hunter2"), "name"),
            (header("X-Key: hunter2\u{7f}"), "x-key"),
            (header("X-Key: @hunter2"), "x-key"),
            (header("X-Key: env:hunter2"), "env:$TOKEN"),
            (header("Authorization:"), "in quotes"),
            (user("hunter2"), "NAME:@FILE"),
            (user("me:hunter2"), "visible"),
            (user("me:@hunter2"), "file"),
            (user("me:env:hunter2"), "env:$TOKEN"),
            (user(&control.after("me:")), "control"),
            (header(&empty.after("X-Key: ")), "x-key: the file or environment variable is empty"),
            (user(&empty.after("me:")), "is empty"),
            (send("@hunter2"), "text:"),
            (send("env:hunter2"), "text:"),
            (send("base64:hunter2"), "RFC 4648"),
        ];
        for (why, named) in cases {
            assert!(why.contains(named), "{why}");
            assert!(!why.contains("hunter2"), "{why}");
        }
        assert!(!format!("{:?}", "X-Key: hunter2".parse::<HeaderArg>().unwrap()).contains("hunter2"));
    }
}
