//! The threads of one connection: for each direction, one that reads and one that writes.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::shared::{End, Shared, Sockets};
use super::toxic::{Direction, Treatment};

/// The most that is read at once.
const CHUNK: usize = 16 << 10;

/// How many chunks may be on their way in a direction, between reading and writing.
const ON_THE_WAY: usize = 16;

/// How long a write may block before it looks whether the connection has been ended.
const WRITE: Duration = Duration::from_millis(20);

/// When to pass it on at the earliest, and what; nothing is the end of the stream.
type Chunk = (Instant, Vec<u8>);

pub(super) fn start(shared: &Arc<Shared>, client: TcpStream, server: TcpStream) {
    for socket in [&client, &server] {
        socket.set_nodelay(true).unwrap();
        socket.set_write_timeout(Some(WRITE)).unwrap();
    }
    let sockets = Arc::new(Sockets { client, server, since: Instant::now() });
    let id = shared.add(&sockets);
    let half_closed = Arc::new(AtomicBool::new(false));
    for direction in [Direction::Upstream, Direction::Downstream] {
        let (sender, receiver) = sync_channel(ON_THE_WAY);
        let half = Half {
            shared: Arc::clone(shared),
            sockets: Arc::clone(&sockets),
            id,
            direction,
            half_closed: Arc::clone(&half_closed),
            sent: 0,
        };
        let other = half.clone();
        spawn(shared, move || half.read(&sender));
        spawn(shared, move || other.write(&receiver));
    }
}

/// What `work` holds is gone when the thread counts as ended.
fn spawn(shared: &Arc<Shared>, work: impl FnOnce() + Send + 'static) {
    let running = shared.thread();
    thread::spawn(move || {
        work();
        drop(running);
    });
}

/// One direction of a connection.
#[derive(Clone)]
struct Half {
    shared: Arc<Shared>,
    sockets: Arc<Sockets>,
    id: usize,
    direction: Direction,
    /// One of the directions has passed on its end.
    half_closed: Arc<AtomicBool>,
    /// How many bytes have been passed on.
    sent: u64,
}

impl Half {
    /// From here, to there.
    fn ends(&self) -> (&TcpStream, &TcpStream) {
        match self.direction {
            Direction::Upstream => (&self.sockets.client, &self.sockets.server),
            Direction::Downstream => (&self.sockets.server, &self.sockets.client),
        }
    }

    fn read(self, chunks: &SyncSender<Chunk>) {
        let mut buffer = vec![0; CHUNK];
        loop {
            let len = match self.ends().0.read(&mut buffer) {
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                // One side has reset it: so does the other.
                Err(_) => return self.shared.end(self.id, End::Reset),
            };
            let due = Instant::now() + self.shared.lock().toxics[self.direction as usize].latency();
            // Nobody takes it once the connection has been ended.
            if chunks.send((due, buffer[..len].to_vec())).is_err() || len == 0 {
                return;
            }
        }
    }

    fn write(mut self, chunks: &Receiver<Chunk>) {
        for (due, chunk) in chunks {
            let goes_on = self.shared.wait(self.id, Some(due), |_| true)
                && if chunk.is_empty() { self.finish() } else { self.pass_on(&chunk) };
            if !goes_on {
                return;
            }
        }
    }

    /// Whether the connection goes on.
    fn pass_on(&mut self, mut chunk: &[u8]) -> bool {
        let way = self.direction as usize;
        while !chunk.is_empty() {
            if !self.shared.wait(self.id, None, |state| state.toxics[way].treatment().stalled) {
                return false;
            }
            let treatment = self.shared.lock().toxics[way].treatment();
            if treatment.lost {
                return true;
            }
            let (size, pause) = treatment.piece(chunk.len(), self.sent);
            let (piece, rest) = chunk.split_at(size);
            if !self.send(piece) {
                return false;
            }
            if let Some((limit, end)) = treatment.limit
                && self.sent >= limit
            {
                self.shared.end(self.id, end);
                return false;
            }
            if !self.shared.wait(self.id, Some(Instant::now() + pause), |_| true) {
                return false;
            }
            chunk = rest;
        }
        true
    }

    /// Whether the connection goes on.
    fn send(&mut self, mut piece: &[u8]) -> bool {
        while !piece.is_empty() {
            match self.ends().1.write(piece) {
                Ok(len) => {
                    piece = &piece[len..];
                    self.sent += len as u64;
                }
                Err(error) if is_timeout(error.kind()) => {
                    if !self.shared.is_open(self.id) {
                        return false;
                    }
                }
                Err(_) => {
                    self.shared.end(self.id, End::Reset);
                    return false;
                }
            }
        }
        true
    }

    /// Passes on the end of the stream. The connection is over when both have ended.
    fn finish(&self) -> bool {
        let way = self.direction as usize;
        let delay = self.shared.lock().toxics[way].treatment().slow_close;
        let held = |treatment: Treatment| treatment.lost || treatment.stalled;
        let goes_on = self.shared.wait(self.id, Some(Instant::now() + delay), |_| true)
            && self.shared.wait(self.id, None, |state| held(state.toxics[way].treatment()));
        if goes_on {
            // The peer may have gone.
            let _ = self.ends().1.shutdown(Shutdown::Write);
            if self.half_closed.swap(true, Ordering::Relaxed) {
                self.shared.end(self.id, End::Close);
            }
        }
        false
    }
}

fn is_timeout(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
