//! What a line of output looks like.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::IgnoredAny;
use tidegate::escape::is_unsafe;
use tidegate::{ConnectionId, Context, Delivery, Failure, Fault, FrameHandler, Message, Upgrade};

use crate::args::TailArgs;

/// One item: a message, and where it stands.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) connection: ConnectionId,
    /// Its number on its connection, from 0.
    pub(crate) number: u64,
    pub(crate) message: Message,
}

/// Numbers the messages of each connection, and sends the same frames after every upgrade.
pub(crate) struct Numbered {
    pub(crate) frames: Vec<Message>,
}

impl FrameHandler for Numbered {
    /// The number of the next message.
    type Session = u64;
    type Item = Entry;

    fn on_upgrade(&mut self, upgrade: &mut Upgrade<'_>) -> Result<u64, Fault> {
        for frame in &self.frames {
            upgrade.send(frame.clone());
        }
        Ok(0)
    }

    fn on_message(
        &mut self,
        next: &mut u64,
        message: Message,
        cx: &mut Context<'_, Entry>,
    ) -> Result<(), Fault> {
        cx.emit(Entry { connection: cx.connection(), number: *next, message });
        *next += 1;
        Ok(())
    }

    fn weight(item: &Entry) -> usize {
        item.message.len()
    }
}

/// How deliveries are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Format {
    form: Form,
    /// A server's control characters would act on it.
    terminal: bool,
}

#[derive(Clone, Copy, Debug)]
enum Form {
    Plain,
    Compact,
    Json,
}

impl Format {
    /// What the options ask for, and standard output is.
    pub(crate) fn new(args: &TailArgs) -> Self {
        let form = match (args.json, args.compact) {
            (true, _) => Form::Json,
            (false, true) => Form::Compact,
            (false, false) => Form::Plain,
        };
        Self { form, terminal: io::stdout().is_terminal() }
    }

    /// Appends what there is to write of a delivery, whole lines or nothing.
    pub(crate) fn write(self, delivery: &Delivery<Entry>, out: &mut Vec<u8>) {
        let start = out.len();
        match (self.form, delivery) {
            (Form::Plain, Delivery::Item(entry)) => plain(&entry.message, out),
            (Form::Compact, Delivery::Item(entry)) => compact(&entry.message, out),
            (
                Form::Plain | Form::Compact,
                Delivery::Opened { .. }
                | Delivery::Live { .. }
                | Delivery::Interrupted { .. }
                | Delivery::Dropped { .. },
            ) => {}
            (Form::Json, delivery) => json(delivery, out),
        }
        if self.terminal {
            escape(start, out);
        }
    }
}

/// Text as it came, with a line break if it has none at its end.
fn plain(message: &Message, out: &mut Vec<u8>) {
    match message {
        Message::Text(text) => {
            out.extend_from_slice(text);
            if !text.ends_with(b"\n") {
                out.push(b'\n');
            }
        }
        Message::Binary(bytes) => {
            base64(bytes, out);
            out.push(b'\n');
        }
    }
}

/// JSON as it came, without the white space between its tokens: keys, their order and numbers stay. The rest is plain.
fn compact(message: &Message, out: &mut Vec<u8>) {
    let Message::Text(text) = message else { return plain(message, out) };
    if serde_json::from_slice::<IgnoredAny>(text).is_err() {
        return plain(message, out);
    }
    let (mut in_string, mut escaped) = (false, false);
    out.extend(text.iter().copied().filter(|byte| {
        if in_string {
            in_string = escaped || *byte != b'"';
            escaped = !escaped && *byte == b'\\';
            return true;
        }
        in_string = *byte == b'"';
        !byte.is_ascii_whitespace()
    }));
    out.push(b'\n');
}

/// Writes what is behind `start` such that a terminal shows it and does nothing else, in the form of JSON: JSON stays JSON.
/// Line breaks and tabs stay.
fn escape(start: usize, out: &mut Vec<u8>) {
    let acts = |c: char| is_unsafe(c) && c != '\n' && c != '\t';
    let text = String::from_utf8_lossy(&out[start..]);
    if !text.contains(acts) {
        return;
    }
    let mut escaped = String::with_capacity(text.len() * 2);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if acts(c) && !(c == '\r' && chars.peek() == Some(&'\n')) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(escaped, "\\u{unit:04x}").expect("writing to memory does not fail");
            }
        } else {
            escaped.push(c);
        }
    }
    out.truncate(start);
    out.extend_from_slice(escaped.as_bytes());
}

fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
}

fn json(delivery: &Delivery<Entry>, out: &mut Vec<u8>) {
    let written = match delivery {
        Delivery::Item(entry) => json_item(entry, out),
        Delivery::Opened { id } => write!(out, r#"{{"opened":{id}}}"#),
        Delivery::Live { id } => write!(out, r#"{{"live":{id}}}"#),
        Delivery::Interrupted { id, failure } => {
            let reason = failure.as_ref().map_or("shutdown", Failure::kind);
            write!(out, r#"{{"interrupted":{id},"reason":"{reason}"}}"#)
        }
        Delivery::Dropped { count } => write!(out, r#"{{"dropped":{count}}}"#),
    };
    written.expect("writing to memory does not fail");
    out.push(b'\n');
}

fn json_item(entry: &Entry, out: &mut Vec<u8>) -> std::io::Result<()> {
    write!(out, r#"{{"connection":{},"n":{},"#, entry.connection, entry.number)?;
    match &entry.message {
        Message::Text(text) => {
            out.extend_from_slice(br#""text":"#);
            // The transport has checked that it is UTF-8.
            serde_json::to_writer(&mut *out, &String::from_utf8_lossy(text))?;
        }
        Message::Binary(bytes) => {
            out.extend_from_slice(br#""base64":""#);
            base64(bytes, out);
            out.push(b'"');
        }
    }
    out.push(b'}');
    Ok(())
}

#[cfg(test)]
mod tests {
    use tidegate::ConnectionFailure;

    use super::*;

    fn line(form: Form, terminal: bool, delivery: &Delivery<Entry>) -> String {
        let mut out = b"before\n".to_vec();
        Format { form, terminal }.write(delivery, &mut out);
        String::from_utf8(out).unwrap().strip_prefix("before\n").unwrap().to_owned()
    }

    fn item(message: impl Into<Message>) -> Delivery<Entry> {
        Delivery::Item(Entry { connection: ConnectionId::new(1), number: 0, message: message.into() })
    }

    #[test]
    fn plain_items_are_what_came() {
        for (came, written) in [
            ("a\nb\r\nc", "a\nb\r\nc\n"),
            ("{\"a\":1}\n", "{\"a\":1}\n"),
            ("a\r\n", "a\r\n"),
            ("a\n\n", "a\n\n"),
            ("", "\n"),
            ("\x1b[31m\u{9b}\u{202e}", "\x1b[31m\u{9b}\u{202e}\n"),
        ] {
            assert_eq!(line(Form::Plain, false, &item(came)), written);
        }
        assert_eq!(line(Form::Plain, false, &item(vec![0, 255])), "AP8=\n");
        assert_eq!(line(Form::Plain, false, &Delivery::Live { id: ConnectionId::new(1) }), "");
    }

    #[test]
    fn compact_json_is_one_line_and_the_same_json() {
        for (came, written) in [
            ("{\n  \"a\" : [ 1 ,\t2 ]\r\n}\n", r#"{"a":[1,2]}"#),
            (r#"{"b":1, "a":2, "b":3}"#, r#"{"b":1,"a":2,"b":3}"#),
            (
                "[1.0, 1e400, -0, 123456789012345678901234567890]",
                "[1.0,1e400,-0,123456789012345678901234567890]",
            ),
            (r#"[" a \" b\\", " c "]"#, r#"[" a \" b\\"," c "]"#),
            (" 7 ", "7"),
            ("no  json ", "no  json "),
            ("{\"a\": 1} {\"b\": 2}", "{\"a\": 1} {\"b\": 2}"),
        ] {
            assert_eq!(line(Form::Compact, false, &item(came)), format!("{written}\n"));
        }
        assert_eq!(line(Form::Compact, false, &item(vec![0, 255])), "AP8=\n");
        assert_eq!(line(Form::Compact, false, &Delivery::Dropped { count: 1 }), "");
    }

    #[test]
    fn a_terminal_gets_nothing_that_acts_on_it() {
        let came = "\x1b]0;t\x07\u{9b}31m\u{202e}\u{2066}\u{200f}\u{2028}\u{85}\r\x7f\u{e0041}";
        let shown = r"\u001b]0;t\u0007\u009b31m\u202e\u2066\u200f\u2028\u0085\u000d\u007f\udb40\udc41";
        assert_eq!(line(Form::Plain, true, &item(came)), format!("{shown}\n"));
        let pretty = "{\n\t\"a\": \"\u{e9}\u{1f30a}\"\n}\n";
        assert_eq!(line(Form::Plain, true, &item(pretty)), pretty);
        let json = line(Form::Json, true, &item(came));
        assert!(json.trim_end().chars().all(|c| c.is_ascii() && !c.is_ascii_control()), "{json}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap()["text"], came);
        let compact = line(Form::Compact, true, &item("[ \"\u{9b}\u{7f}\" ]"));
        assert_eq!(compact, "[\"\\u009b\\u007f\"]\n");
    }

    #[test]
    fn json_lines_hold_everything_exactly() {
        let id = ConnectionId::new(1);
        let text = line(Form::Json, false, &item("say \"hi\"\n\u{1F600}"));
        assert_eq!(text, "{\"connection\":1,\"n\":0,\"text\":\"say \\\"hi\\\"\\n\u{1F600}\"}\n");
        assert_eq!(
            line(Form::Json, false, &item(vec![0, 255])),
            "{\"connection\":1,\"n\":0,\"base64\":\"AP8=\"}\n"
        );
        assert_eq!(line(Form::Json, false, &Delivery::Opened { id }), "{\"opened\":1}\n");
        assert_eq!(line(Form::Json, false, &Delivery::Live { id }), "{\"live\":1}\n");
        let interrupted =
            Delivery::Interrupted { id, failure: Some(Failure::Connection(ConnectionFailure::IdleTimeout)) };
        assert_eq!(
            line(Form::Json, false, &interrupted),
            "{\"interrupted\":1,\"reason\":\"idle_timeout\"}\n"
        );
        assert_eq!(line(Form::Json, false, &Delivery::Dropped { count: 3 }), "{\"dropped\":3}\n");
    }
}
