//! What the threads of a proxy know of each other: toxics, open connections, counters.

use std::collections::BTreeMap;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::toxic::Toxics;

/// Far longer than threads take to end.
const FINISH: Duration = Duration::from_secs(10);

/// How a connection ends, on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With a FIN.
    Close,
    /// With a RST: what has not been read yet may be lost.
    Reset,
}

#[derive(Debug, Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// By [`Direction`](super::Direction).
    pub(super) toxics: [Toxics; 2],
    /// A connection that is not in here has ended; its threads find that out.
    open: BTreeMap<usize, Arc<Sockets>>,
    accepted: usize,
    threads: usize,
    over: bool,
}

/// Both sockets of a connection. They are closed when its last thread lets go of them.
#[derive(Debug)]
pub(super) struct Sockets {
    pub(super) client: TcpStream,
    pub(super) server: TcpStream,
    pub(super) since: Instant,
}

impl Sockets {
    fn end(&self, end: End) {
        for socket in [&self.client, &self.server] {
            // Either wakes up whoever reads; a socket that the peer has reset refuses it, and needs it no more.
            let _ = match end {
                End::Close => socket.shutdown(Shutdown::Both),
                End::Reset => {
                    let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
                    socket.shutdown(Shutdown::Read)
                }
            };
        }
    }
}

/// Counts a thread for as long as it is kept.
#[derive(Debug)]
pub(super) struct Running(Arc<Shared>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.change(|state| state.threads -= 1);
    }
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Changes something that threads may wait for.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }

    pub(super) fn thread(self: &Arc<Self>) -> Running {
        self.change(|state| state.threads += 1);
        Running(Arc::clone(self))
    }

    pub(super) fn add(&self, sockets: &Arc<Sockets>) -> usize {
        self.change(|state| {
            state.accepted += 1;
            state.open.insert(state.accepted, Arc::clone(sockets));
            state.accepted
        })
    }

    pub(super) fn is_open(&self, id: usize) -> bool {
        self.lock().open.contains_key(&id)
    }

    /// Ends one connection; nothing if it has ended.
    pub(super) fn end(&self, id: usize, end: End) {
        if let Some(sockets) = self.change(|state| state.open.remove(&id)) {
            sockets.end(end);
        }
    }

    pub(super) fn cut(&self, end: End) {
        for sockets in self.change(|state| std::mem::take(&mut state.open)).values() {
            sockets.end(end);
        }
    }

    /// Waits until `time`, or for ever, but no longer than while `still` holds and the connection is open. Says whether
    /// it is.
    pub(super) fn wait(&self, id: usize, time: Option<Instant>, still: impl Fn(&State) -> bool) -> bool {
        let mut state = self.lock();
        while state.open.contains_key(&id) && still(&state) {
            let left = time.map(|time| time.saturating_duration_since(Instant::now()));
            state = match left {
                Some(Duration::ZERO) => break,
                Some(left) => self.changed.wait_timeout(state, left).unwrap().0,
                None => self.changed.wait(state).unwrap(),
            };
        }
        state.open.contains_key(&id)
    }

    /// Ends connections whose time has come, until the proxy goes.
    pub(super) fn keep_time(&self) {
        let mut state = self.lock();
        while !state.over {
            let next = state.next_deadline();
            state = match next {
                Some((id, at)) => {
                    let left = at.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        drop(state);
                        self.end(id, End::Reset);
                        self.lock()
                    } else {
                        self.changed.wait_timeout(state, left).unwrap().0
                    }
                }
                None => self.changed.wait(state).unwrap(),
            };
        }
    }

    pub(super) fn finish(&self) {
        self.change(|state| state.over = true);
        self.cut(End::Reset);
        let running = |state: &mut State| state.threads > 0;
        let _ = self.changed.wait_timeout_while(self.lock(), FINISH, running);
    }
}

impl State {
    fn next_deadline(&self) -> Option<(usize, Instant)> {
        let deadline = |(id, sockets): (&usize, &Arc<Sockets>)| {
            let both = self.toxics.iter().filter_map(|toxics| toxics.deadline(sockets.since));
            both.min().map(|at| (*id, at))
        };
        self.open.iter().filter_map(deadline).min_by_key(|(_, at)| *at)
    }
}
