//! One connection, as a script sees it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::wire::Wire;
use super::{Board, CLOSE, Fact, PING, PONG, State, TEXT, frame, switching};
use crate::wait::WAIT;

/// The server's end of one connection.
pub struct Peer {
    pub(super) number: usize,
    pub(super) stream: Wire,
    pub(super) board: Arc<Board>,
    /// The client has gone, and that has been noted.
    gone: bool,
}

impl Peer {
    pub(super) fn new(number: usize, stream: TcpStream, board: Arc<Board>) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(3 * WAIT)).unwrap();
        board.note(number, Fact::Accepted);
        Self { number, stream: Wire::new(stream), board, gone: false }
    }

    /// Tells the test.
    pub fn note(&self, what: &'static str) {
        self.board.note(self.number, Fact::Note(what));
    }

    /// Waits until the test opens the gate.
    pub fn wait(&self, gate: &'static str) -> io::Result<()> {
        let shut = |state: &mut State| !state.over && !state.gates.contains(gate);
        let (state, _) = self.board.opened.wait_timeout_while(self.board.lock(), 3 * WAIT, shut).unwrap();
        if state.gates.contains(gate) { Ok(()) } else { Err(ErrorKind::TimedOut.into()) }
    }

    /// Reads the head of the upgrade.
    pub fn request(&mut self) -> io::Result<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.fill(&mut byte)?;
            head.extend(byte);
        }
        let head = String::from_utf8(head).map_err(|_| ErrorKind::InvalidData)?;
        self.board.note(self.number, Fact::Request(head.clone()));
        Ok(head)
    }

    /// Reads the request and answers as it should be.
    pub fn upgrade(&mut self) -> io::Result<()> {
        let head = self.request()?;
        self.raw(switching(&head).as_bytes())
    }

    /// Reads the request and refuses it: a status line's end, such as `503 Service Unavailable`, and header lines.
    pub fn refuse(&mut self, status: &str, headers: &str) -> io::Result<()> {
        self.request()?;
        self.raw(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n{headers}\r\n").as_bytes())?;
        self.fin()
    }

    /// Sends bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).inspect_err(|_| self.gone())
    }

    /// One byte at a time.
    pub fn drip(&mut self, bytes: &[u8], every: Duration) -> io::Result<()> {
        bytes.iter().try_for_each(|byte| {
            thread::sleep(every);
            self.raw(&[*byte])
        })
    }

    /// Sends a text.
    pub fn text(&mut self, text: &str) -> io::Result<()> {
        self.raw(&frame(TEXT, text.as_bytes()))
    }

    /// Sends a Close.
    pub fn close(&mut self, code: u16) -> io::Result<()> {
        self.raw(&frame(CLOSE, &code.to_be_bytes()))
    }

    /// Sends frames back to back, and says when the client no longer takes them.
    pub fn flood(&mut self, frames: impl Iterator<Item = Vec<u8>>) -> io::Result<()> {
        self.stream.tcp.set_write_timeout(Some(Duration::from_millis(250)))?;
        let mut stalled = false;
        for frame in frames {
            let mut rest = &frame[..];
            while !rest.is_empty() {
                match self.stream.write(rest) {
                    Ok(written) => rest = &rest[written..],
                    Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                        if !std::mem::replace(&mut stalled, true) {
                            self.note("stalled");
                        }
                        if self.board.lock().over {
                            return Err(error);
                        }
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        self.stream.tcp.set_write_timeout(None)?;
        self.note("sent");
        Ok(())
    }

    /// The next frame: opcode and unmasked payload.
    pub fn read(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut start = [0; 2];
        self.fill(&mut start)?;
        let mut long = [0; 8];
        let len = match start[1] & 0x7f {
            126 => {
                self.fill(&mut long[6..])?;
                u64::from_be_bytes(long)
            }
            127 => {
                self.fill(&mut long)?;
                u64::from_be_bytes(long)
            }
            short => u64::from(short),
        };
        let mut mask = [0; 4];
        self.fill(&mut mask)?;
        let mut payload = vec![0; usize::try_from(len).unwrap()];
        self.fill(&mut payload)?;
        payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        let opcode = start[0] & 0x0f;
        self.board.note(self.number, Fact::Frame(opcode, payload.clone()));
        Ok((opcode, payload))
    }

    /// The next frame, if it begins to come within `span`.
    pub fn read_within(&mut self, span: Duration) -> io::Result<Option<(u8, Vec<u8>)>> {
        self.stream.tcp.set_read_timeout(Some(span))?;
        let first = self.stream.tcp.peek(&mut [0]);
        self.stream.tcp.set_read_timeout(Some(3 * WAIT))?;
        match first {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(None),
            Ok(_) | Err(_) => self.read().map(Some),
        }
    }

    /// Reads that many frames.
    pub fn read_frames(&mut self, count: usize) -> io::Result<()> {
        (0..count).try_for_each(|_| self.read().map(drop))
    }

    /// Behaves until the end: answers pings and Close.
    pub fn serve(&mut self) -> io::Result<()> {
        loop {
            let next = self.read()?;
            self.answer(next)?;
        }
    }

    /// Behaves for `span`, or until the end if that comes first: then it is an error.
    pub fn serve_for(&mut self, span: Duration) -> io::Result<()> {
        let end = Instant::now() + span;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            if let Some(next) = self.read_within(left)? {
                self.answer(next)?;
            }
        }
    }

    fn answer(&mut self, (opcode, payload): (u8, Vec<u8>)) -> io::Result<()> {
        match opcode {
            PING => self.raw(&frame(PONG, &payload)),
            CLOSE => {
                self.raw(&frame(CLOSE, &payload))?;
                self.fin()
            }
            _ => Ok(()),
        }
    }

    /// Reads and answers nothing until the client has gone.
    pub fn be_silent(&mut self) -> io::Result<()> {
        loop {
            self.read()?;
        }
    }

    /// Reads up to the client's Close.
    pub fn read_to_close(&mut self) -> io::Result<()> {
        while self.read()?.0 != CLOSE {}
        Ok(())
    }

    /// Ends this direction with a FIN, without a closing handshake, and waits for the client to go as well.
    pub fn fin(&mut self) -> io::Result<()> {
        self.stream.tcp.shutdown(Shutdown::Write).inspect_err(|_| self.gone())?;
        self.be_silent()
    }

    /// Ends the connection with a reset. What the client has not read yet is lost.
    pub fn reset(&mut self) -> io::Result<()> {
        SockRef::from(&self.stream.tcp).set_linger(Some(Duration::ZERO))
    }

    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.stream.read_exact(buffer).inspect_err(|_| self.gone())
    }

    /// Once, however it was noticed.
    pub(super) fn gone(&mut self) {
        if !std::mem::replace(&mut self.gone, true) {
            self.board.note(self.number, Fact::Gone);
        }
    }
}
