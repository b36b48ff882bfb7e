//! Frames and heads as bytes.

use tungstenite::handshake::derive_accept_key;

/// The opcode of text.
pub const TEXT: u8 = 1;
/// The opcode of binary data.
pub const BINARY: u8 = 2;
/// The opcode of Close.
pub const CLOSE: u8 = 8;
/// The opcode of a ping.
pub const PING: u8 = 9;
/// The opcode of a pong.
pub const PONG: u8 = 10;

/// A final frame as a server sends it.
pub fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match payload.len() {
        len @ 0..126 => frame.push(u8::try_from(len).unwrap()),
        len @ 126..65_536 => {
            frame.push(126);
            frame.extend(u16::try_from(len).unwrap().to_be_bytes());
        }
        len => {
            frame.push(127);
            frame.extend(u64::try_from(len).unwrap().to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}

/// The right answer to this request.
pub fn switching(request: &str) -> String {
    let accept = derive_accept_key(header(request, "sec-websocket-key").unwrap_or_default().as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
}

/// The value of a header of a request.
pub fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    request.lines().find_map(|line| {
        let (found, value) = line.split_once(": ")?;
        found.eq_ignore_ascii_case(name).then_some(value)
    })
}
