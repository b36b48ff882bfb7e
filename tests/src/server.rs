//! A scripted server in threads of its own: it shares no runtime, and no code for frames, with what is under test. Byte by
//! byte, so that it can misbehave as no real one would.

mod bytes;
mod peer;
mod wire;

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Instant;

use event_listener::Event;
use socket2::SockRef;

pub use bytes::{BINARY, CLOSE, PING, PONG, TEXT, frame, header, switching};
pub use peer::Peer;

/// Listens until it is dropped, on loopback unless it is told otherwise.
pub struct Server {
    listener: Arc<TcpListener>,
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

    /// The same with a listener that is there: somebody else has chosen the port, or the network.
    pub fn listening_on(
        listener: TcpListener,
        script: impl Fn(usize, &mut Peer) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        // What a client sends to a server that does not read stops early. Accepted sockets inherit it.
        SockRef::from(&listener).set_recv_buffer_size(64 << 10).unwrap();
        let (listener, board) = (Arc::new(listener), Arc::new(Board::default()));
        let (script, shared, accepting) = (Arc::new(script), Arc::clone(&board), Arc::clone(&listener));
        thread::spawn(move || {
            for (number, stream) in (1..).zip(accepting.incoming()) {
                if shared.lock().over {
                    break;
                }
                let mut peer = Peer::new(number, stream.unwrap(), Arc::clone(&shared));
                let script = Arc::clone(&script);
                thread::spawn(move || script(number, &mut peer));
            }
        });
        Self { listener, board }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// Where a feed finds it.
    pub fn url(&self) -> String {
        format!("ws://{}/feed", self.address())
    }

    /// The port of that.
    pub fn port(&self) -> u16 {
        self.address().port()
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
        // Where that does not end waiting for connections, one more connection does.
        if SockRef::from(&self.listener).shutdown(Shutdown::Both).is_err() {
            let _ = TcpStream::connect(self.address());
        }
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

/// Of a Close frame: its code, if it has one.
fn close_code(entry: &Entry) -> Option<Option<u16>> {
    match &entry.fact {
        Fact::Frame(CLOSE, payload) => {
            Some(payload.first_chunk().map(|code: &[u8; 2]| u16::from_be_bytes(*code)))
        }
        Fact::Accepted | Fact::Request(_) | Fact::Frame(..) | Fact::Gone | Fact::Note(_) => None,
    }
}
