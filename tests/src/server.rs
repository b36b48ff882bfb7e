//! A scripted server in threads of its own: it shares no runtime, and no code for frames, with what is under test. Byte by
//! byte, so that it can misbehave as no real one would.

mod bytes;
mod wire;

use std::collections::BTreeSet;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use event_listener::Event;
use socket2::SockRef;

use crate::wait::WAIT;
use wire::Wire;

pub use bytes::{BINARY, CLOSE, PING, PONG, TEXT, frame, header, switching};

/// Listens on loopback until it is dropped.
pub struct Server {
    address: SocketAddr,
    board: Arc<Board>,
}

/// What the server saw of its clients.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The connection, from 1 in the order of arrival.
    pub peer: usize,
    /// When.
    pub at: Instant,
    /// What.
    pub fact: Fact,
}

/// What can be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// TCP is there.
    Accepted,
    /// The head of an upgrade.
    Request(String),
    /// A frame of the client, unmasked.
    Frame(u8, Vec<u8>),
    /// The client has gone, in whatever way.
    Gone,
    /// What the script had to say.
    Note(&'static str),
}

/// Between scripts and the test.
#[derive(Default)]
struct Board {
    state: Mutex<State>,
    /// For scripts, which block.
    opened: Condvar,
    /// For the test, which must not.
    seen: Event,
}

#[derive(Default)]
struct State {
    entries: Vec<Entry>,
    gates: BTreeSet<&'static str>,
    over: bool,
}

impl Server {
    /// Runs `script` for each connection, in a thread of its own. An error ends the connection: usually the client went.
    pub fn start(script: impl Fn(usize, &mut Peer) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST.into(), script)
    }

    /// The same at another address of this machine.
    pub fn start_at(
        address: IpAddr,
        script: impl Fn(usize, &mut Peer) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::listening_on(TcpListener::bind((address, 0)).unwrap(), script)
    }

    /// The same where somebody else has chosen the port.
    pub fn listening_on(
        listener: TcpListener,
        script: impl Fn(usize, &mut Peer) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        // What a client sends to a server that does not read stops early. Accepted sockets inherit it.
        SockRef::from(&listener).set_recv_buffer_size(64 << 10).unwrap();
        let address = listener.local_addr().unwrap();
        let board = Arc::new(Board::default());
        let (script, shared) = (Arc::new(script), Arc::clone(&board));
        thread::spawn(move || {
            for (number, stream) in (1..).zip(listener.incoming()) {
                if shared.lock().over {
                    break;
                }
                let mut peer = Peer::new(number, stream.unwrap(), Arc::clone(&shared));
                let script = Arc::clone(&script);
                thread::spawn(move || script(number, &mut peer));
            }
        });
        Self { address, board }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where a feed finds it.
    pub fn url(&self) -> String {
        format!("ws://{}/feed", self.address)
    }

    /// Where it listens.
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// Lets scripts past the gate of this name, those that come later too.
    pub fn open(&self, gate: &'static str) {
        self.board.lock().gates.insert(gate);
        self.board.opened.notify_all();
    }

    /// Waits until `look` finds in the entries what it wants.
    pub async fn until<T>(&self, mut look: impl FnMut(&[Entry]) -> Option<T>) -> T {
        loop {
            let seen = self.board.seen.listen();
            if let Some(found) = look(&self.board.lock().entries) {
                return found;
            }
            seen.await;
        }
    }

    /// When this was seen of that connection, or will be.
    pub async fn saw(&self, peer: usize, fact: Fact) -> Instant {
        let wanted = |entry: &&Entry| entry.peer == peer && entry.fact == fact;
        self.until(|entries| entries.iter().find(wanted).map(|entry| entry.at)).await
    }

    /// The code of the Close frame of that connection, once it is there.
    pub async fn saw_close(&self, peer: usize) -> Option<u16> {
        self.until(|entries| entries.iter().filter(|entry| entry.peer == peer).find_map(close_code)).await
    }

    /// The texts that came on that connection so far.
    pub fn texts(&self, peer: usize) -> Vec<String> {
        let text = |entry: Entry| match entry.fact {
            Fact::Frame(TEXT, payload) if entry.peer == peer => Some(String::from_utf8(payload).unwrap()),
            Fact::Accepted | Fact::Request(_) | Fact::Frame(..) | Fact::Gone | Fact::Note(_) => None,
        };
        self.entries().into_iter().filter_map(text).collect()
    }

    /// The value of a header in each of the requests so far.
    pub fn headers(&self, name: &str) -> Vec<Option<String>> {
        let value = |entry: Entry| match entry.fact {
            Fact::Request(head) => Some(header(&head, name).map(str::to_owned)),
            Fact::Accepted | Fact::Frame(..) | Fact::Gone | Fact::Note(_) => None,
        };
        self.entries().into_iter().filter_map(value).collect()
    }

    /// The frames that came on that connection so far: opcode and payload.
    pub fn frames(&self, peer: usize) -> Vec<(u8, Vec<u8>)> {
        let frame = |entry: Entry| match entry.fact {
            Fact::Frame(opcode, payload) if entry.peer == peer => Some((opcode, payload)),
            Fact::Accepted | Fact::Request(_) | Fact::Frame(..) | Fact::Gone | Fact::Note(_) => None,
        };
        self.entries().into_iter().filter_map(frame).collect()
    }

    /// Waits until that many frames have come on that connection, and gives them.
    pub async fn saw_frames(&self, peer: usize, count: usize) -> Vec<(u8, Vec<u8>)> {
        let is_frame = |entry: &&Entry| entry.peer == peer && matches!(entry.fact, Fact::Frame(..));
        self.until(|entries| (entries.iter().filter(is_frame).count() >= count).then_some(())).await;
        self.frames(peer)
    }

    /// Waits until every client that has come so far is gone.
    pub async fn all_gone(&self) {
        let count = |entries: &[Entry], fact| entries.iter().filter(|entry| entry.fact == fact).count();
        let even = |entries: &[Entry]| count(entries, Fact::Gone) >= count(entries, Fact::Accepted);
        self.until(|entries| even(entries).then_some(())).await;
    }

    /// How many connections have come so far.
    pub fn accepted(&self) -> usize {
        self.entries().iter().filter(|entry| entry.fact == Fact::Accepted).count()
    }

    /// All that was seen so far.
    pub fn entries(&self) -> Vec<Entry> {
        self.board.lock().entries.clone()
    }
}

/// Scripts that still wait go on with an error; the others end with their clients.
impl Drop for Server {
    fn drop(&mut self) {
        self.board.lock().over = true;
        self.board.opened.notify_all();
        let _ = TcpStream::connect(self.address);
    }
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn note(&self, peer: usize, fact: Fact) {
        self.lock().entries.push(Entry { peer, at: Instant::now(), fact });
        self.seen.notify(usize::MAX);
    }
}

/// The server's end of one connection.
pub struct Peer {
    number: usize,
    stream: Wire,
    board: Arc<Board>,
    /// The client has gone, and that has been noted.
    gone: bool,
}

impl Peer {
    fn new(number: usize, stream: TcpStream, board: Arc<Board>) -> Self {
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

    /// Reads that many frames.
    pub fn read_frames(&mut self, count: usize) -> io::Result<()> {
        (0..count).try_for_each(|_| self.read().map(drop))
    }

    /// Behaves until the end: answers pings and Close.
    pub fn serve(&mut self) -> io::Result<()> {
        loop {
            match self.read()? {
                (PING, payload) => self.raw(&frame(PONG, &payload))?,
                (CLOSE, payload) => {
                    self.raw(&frame(CLOSE, &payload))?;
                    return self.fin();
                }
                _ => {}
            }
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

    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.stream.read_exact(buffer).inspect_err(|_| self.gone())
    }

    /// Once, however it was noticed.
    fn gone(&mut self) {
        if !std::mem::replace(&mut self.gone, true) {
            self.board.note(self.number, Fact::Gone);
        }
    }
}

/// Of a Close frame: its code, if it has one.
fn close_code(entry: &Entry) -> Option<Option<u16>> {
    match &entry.fact {
        Fact::Frame(CLOSE, payload) => {
            Some(payload.first_chunk().map(|code: &[u8; 2]| u16::from_be_bytes(*code)))
        }
        Fact::Accepted | Fact::Request(_) | Fact::Frame(..) | Fact::Gone | Fact::Note(_) => None,
    }
}
