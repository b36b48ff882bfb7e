//! The account of a run: what was done to the clients, and what was handed to their sockets.

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Instant;

use super::Fault;

/// What the server did. A server that runs for weeks keeps the newest [`KEPT`](Ledger::KEPT) of each kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    /// How many trades were made, whether anyone listened or not: the newest has this number.
    pub(crate) generated: u64,
    /// Faults done, oldest first.
    pub(crate) faults: VecDeque<Injected>,
    /// Sessions that are over, in the order in which they ended.
    pub(crate) sessions: VecDeque<SessionRecord>,
    /// Upgrades that were refused.
    pub(crate) refused: u64,
}

/// A fault that was done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Injected {
    /// When.
    pub(crate) at: Instant,
    /// What.
    pub(crate) fault: Fault,
    /// How many subscribed sessions it struck.
    pub(crate) sessions: usize,
}

/// A session from start to end.
#[derive(Clone, Debug)]
pub(crate) struct SessionRecord {
    /// Numbered from 1 in the order in which clients were let in.
    pub(crate) id: u64,
    /// The client's address.
    pub(crate) peer: SocketAddr,
    /// How it ended.
    pub(crate) end: End,
    /// The trades handed to the socket, one range per subscription. What a reset destroys on the way is among
    /// them: the client may have received less, never more.
    pub(crate) wrote: Vec<Range<u64>>,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// A fault of the schedule.
    Fault,
    /// The client sent Close.
    ClosedByClient,
    /// The client went away without a word.
    Gone,
    /// It never subscribed, or no longer did.
    NotSubscribed,
    /// The server stopped.
    Shutdown,
}

impl Ledger {
    /// How many faults and sessions are kept.
    pub(crate) const KEPT: usize = 10_000;

    pub(super) fn fault(&mut self, injected: Injected) {
        keep(&mut self.faults, injected);
    }

    pub(super) fn session(&mut self, record: SessionRecord) {
        keep(&mut self.sessions, record);
    }
}

impl SessionRecord {
    /// How many trades were handed to the socket.
    pub(crate) fn trades(&self) -> u64 {
        self.wrote.iter().map(|range| range.end - range.start).sum()
    }
}

impl fmt::Display for End {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Fault => "fault",
            Self::ClosedByClient => "closed by the client",
            Self::Gone => "client gone",
            Self::NotSubscribed => "not subscribed",
            Self::Shutdown => "shutdown",
        })
    }
}

fn keep<T>(list: &mut VecDeque<T>, item: T) {
    if list.len() == Ledger::KEPT {
        list.pop_front();
    }
    list.push_back(item);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_when_it_is_full() {
        let mut list = (0..Ledger::KEPT).collect();
        keep(&mut list, Ledger::KEPT);
        assert_eq!(list.len(), Ledger::KEPT);
        assert_eq!((list.front(), list.back()), (Some(&1), Some(&Ledger::KEPT)));
    }
}
