//! What a line of output looks like.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tidegate::{ConnectionId, Context, Delivery, Failure, Fault, FrameHandler, Message, Upgrade};

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
    pub(crate) frames: Vec<String>,
}

impl FrameHandler for Numbered {
    /// The number of the next message.
    type Session = u64;
    type Item = Entry;

    fn on_upgrade(&mut self, upgrade: &mut Upgrade<'_>) -> Result<u64, Fault> {
        for frame in &self.frames {
            upgrade.send(frame.as_str());
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
pub(crate) enum Format {
    Plain,
    Json,
}

impl Format {
    /// Appends what there is to write of a delivery, a whole line or nothing.
    pub(crate) fn write(self, delivery: &Delivery<Entry>, out: &mut Vec<u8>) {
        match self {
            Self::Plain => {
                if let Delivery::Item(entry) = delivery {
                    plain(&entry.message, out);
                }
            }
            Self::Json => json(delivery, out),
        }
    }
}

fn plain(message: &Message, out: &mut Vec<u8>) {
    match message {
        Message::Text(text) => one_line(text, out),
        Message::Binary(bytes) => base64(bytes, out),
    }
    out.push(b'\n');
}

/// Text without its line breaks: one item, one line.
fn one_line(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(if rest[at] == b'\n' { b"\\n" } else { b"\\r" });
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
}

fn json(delivery: &Delivery<Entry>, out: &mut Vec<u8>) {
    let written = match delivery {
        Delivery::Item(entry) => json_item(entry, out),
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
    use super::*;

    fn line(format: Format, delivery: &Delivery<Entry>) -> String {
        let mut out = Vec::new();
        format.write(delivery, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn item(message: Message) -> Delivery<Entry> {
        Delivery::Item(Entry { connection: ConnectionId::new(1), number: 0, message })
    }

    #[test]
    fn plain_items_are_one_line_each() {
        assert_eq!(line(Format::Plain, &item("a\nb\r\nc".into())), "a\\nb\\r\\nc\n");
        assert_eq!(line(Format::Plain, &item("".into())), "\n");
        assert_eq!(line(Format::Plain, &item(vec![0, 255].into())), "AP8=\n");
        assert_eq!(line(Format::Plain, &Delivery::Live { id: ConnectionId::new(1) }), "");
    }

    #[test]
    fn json_lines_hold_everything_exactly() {
        let id = ConnectionId::new(1);
        let text = line(Format::Json, &item("say \"hi\"\n\u{1F600}".into()));
        assert_eq!(text, "{\"connection\":1,\"n\":0,\"text\":\"say \\\"hi\\\"\\n\u{1F600}\"}\n");
        assert_eq!(
            line(Format::Json, &item(vec![0, 255].into())),
            "{\"connection\":1,\"n\":0,\"base64\":\"AP8=\"}\n"
        );
        assert_eq!(line(Format::Json, &Delivery::Live { id }), "{\"live\":1}\n");
        let interrupted = Delivery::Interrupted { id, failure: Some(Failure::IdleTimeout) };
        assert_eq!(line(Format::Json, &interrupted), "{\"interrupted\":1,\"reason\":\"idle_timeout\"}\n");
        assert_eq!(line(Format::Json, &Delivery::Dropped { count: 3 }), "{\"dropped\":3}\n");
    }
}
