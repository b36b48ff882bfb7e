//! The lower limit: reading bytes and finding the messages, with blocking calls and no library.

use std::hint::black_box;
use std::io::{Read, Write};
use std::net::TcpStream;

use tidegate_bench_meter::{Job, Meter};

use crate::Result;
use crate::payload::text_frame;

/// Bytes of one read, at most.
const READ: usize = 128 << 10;

/// Reads as many bytes as all messages have, and nothing else.
pub(crate) fn read_only(job: &Job) -> Result<()> {
    let mut meter = Meter::new(job);
    let (mut socket, rest) = open(&job.url)?;
    let frame = text_frame(&vec![b' '; job.size]).len();
    let mut buffer = vec![0; READ];
    // Bytes of an incomplete frame.
    let mut partial = rest.len();
    loop {
        while partial >= frame {
            partial -= frame;
            meter.item();
        }
        match socket.read(&mut buffer)? {
            0 => return Ok(()),
            read => partial += read,
        }
        black_box(&buffer);
    }
}

/// Finds the messages and checks that they are UTF-8: the practical limit of any client.
pub(crate) fn minimal_parse(job: &Job) -> Result<()> {
    let mut meter = Meter::new(job);
    let (mut socket, rest) = open(&job.url)?;
    // Room for a message that began at the end of the last read.
    let mut buffer = vec![0; READ + job.size];
    buffer[..rest.len()].copy_from_slice(&rest);
    let mut filled = rest.len();
    loop {
        let mut start = 0;
        while let Some((header, length)) = head(&buffer[start..filled]) {
            let end = start + header + length;
            if end > filled {
                break;
            }
            black_box(std::str::from_utf8(&buffer[start + header..end])?);
            meter.message(length);
            start = end;
        }
        buffer.copy_within(start..filled, 0);
        filled -= start;
        match socket.read(&mut buffer[filled..])? {
            0 => return Ok(()),
            read => filled += read,
        }
    }
}

/// The lengths of a frame's header and payload, once the header is complete. Knows only unfragmented text frames.
fn head(bytes: &[u8]) -> Option<(usize, usize)> {
    match bytes {
        [_, 126, a, b, ..] => Some((4, usize::from(u16::from_be_bytes([*a, *b])))),
        [_, 127, 0, 0, 0, 0, a, b, c, d, ..] => Some((10, u32::from_be_bytes([*a, *b, *c, *d]) as usize)),
        [_, short @ ..126, ..] => Some((2, usize::from(*short))),
        _ => None,
    }
}

/// Connects and upgrades. Returns the bytes behind the answer too.
fn open(url: &str) -> Result<(TcpStream, Vec<u8>)> {
    const END: &[u8] = b"\r\n\r\n";
    let rest = url.strip_prefix("ws://").ok_or("not a ws URL")?;
    let (address, path) = rest.split_once('/').ok_or("a URL without a path")?;
    let mut socket = TcpStream::connect(address)?;
    write!(
        socket,
        "GET /{path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )?;
    let mut received = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        if let Some(at) = received.windows(END.len()).position(|window| window == END) {
            let frames = received.split_off(at + END.len());
            return Ok((socket, frames));
        }
        match socket.read(&mut chunk)? {
            0 => return Err("the server ended the upgrade".into()),
            read => received.extend(&chunk[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_tells_its_own_length_and_that_of_the_payload() {
        for (size, header) in [(16, 2), (125, 2), (126, 4), (65535, 4), (65536, 10), (1 << 20, 10)] {
            let frame = text_frame(&vec![b' '; size]);
            assert_eq!(head(&frame), Some((header, size)));
            assert_eq!(head(&frame[..header - 1]), None);
        }
    }
}
