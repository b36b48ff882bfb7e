//! The server of a simulation, which you write.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tidegate_driver::core::{Failure, Message, Timestamp};

use crate::connection::ConnectionKey;

/// A simulated server. It is called when something reaches it, and answers through [`Peer`].
pub trait Server: Send {
    /// Decides what becomes of the `attempt`th attempt of a feed, from 1. Faults of the simulation are added.
    fn on_dial(&mut self, attempt: u64) -> Dial {
        let _ = attempt;
        Dial::Accept
    }

    /// A connection was opened.
    fn on_open(&mut self, peer: &mut Peer) {
        let _ = peer;
    }

    /// A message arrived. The simulation answers pings and Close.
    fn on_message(&mut self, peer: &mut Peer, message: Message) {
        let _ = (peer, message);
    }

    /// The interval of [`Peer::tick_every`] has passed: send data.
    fn on_tick(&mut self, peer: &mut Peer) {
        let _ = peer;
    }

    /// The feed has dropped its end of the connection. Called once after each [`on_open`](Self::on_open), and at once, even
    /// where a real server would not know yet.
    fn on_close(&mut self, peer: &Peer) {
        let _ = peer;
    }
}

/// Who answers the feeds.
pub(crate) enum Servers {
    /// A test, through [`Remote`](crate::Remote).
    Test {
        /// Outcomes of the next attempts.
        dials: VecDeque<Dial>,
        /// How many attempts there were.
        attempts: u64,
    },
    /// One for all connections.
    Shared(Box<dyn Server>),
    /// One for each attempt.
    PerConnection {
        make: Box<dyn FnMut() -> Box<dyn Server> + Send>,
        /// By feed: the last attempt's, with its number.
        last: BTreeMap<usize, (u64, Box<dyn Server>)>,
    },
}

impl Servers {
    pub(crate) const fn is_test(&self) -> bool {
        matches!(self, Self::Test { .. })
    }

    /// The number of the attempt that is dialed, if none was announced: a test has no resolver.
    pub(crate) fn count_attempt(&mut self) -> Option<u64> {
        match self {
            Self::Test { attempts, .. } => {
                *attempts += 1;
                Some(*attempts)
            }
            Self::Shared(_) | Self::PerConnection { .. } => None,
        }
    }

    pub(crate) fn dial(&mut self, key: ConnectionKey) -> Dial {
        match self {
            Self::Test { dials, .. } => dials.pop_front().unwrap_or(Dial::Accept),
            Self::Shared(server) => server.on_dial(key.id),
            Self::PerConnection { make, last } => {
                let mut server = make();
                let dial = server.on_dial(key.id);
                last.insert(key.feed, (key.id, server));
                dial
            }
        }
    }

    /// The server of a connection, unless a test is the server.
    pub(crate) fn of(&mut self, key: ConnectionKey) -> Option<&mut dyn Server> {
        match self {
            Self::Test { .. } => None,
            Self::Shared(server) => Some(&mut **server),
            Self::PerConnection { last, .. } => {
                let (_, server) = last.get_mut(&key.feed).filter(|(id, _)| *id == key.id)?;
                Some(&mut **server)
            }
        }
    }
}

/// What becomes of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dial {
    /// It succeeds.
    Accept,
    /// It fails.
    Fail(Failure),
    /// The server never answers.
    Hang,
}

/// One connection, as the server sees it. Its methods take effect when the call of the server returns.
#[derive(Debug)]
pub struct Peer {
    key: ConnectionKey,
    now: Timestamp,
    pub(crate) actions: Vec<ServerAction>,
}

/// An action that a server asked for.
#[derive(Debug)]
pub(crate) enum ServerAction {
    Send(Message),
    SendAfter(Duration, Message),
    Ping,
    Close(Option<u16>),
    Reset,
    Fin,
    TickEvery(Option<Duration>),
}

impl Peer {
    pub(crate) const fn new(key: ConnectionKey, now: Timestamp) -> Self {
        Self { key, now, actions: Vec::new() }
    }

    /// Number of the feed whose connection this is, from 0.
    #[must_use]
    pub const fn feed(&self) -> usize {
        self.key.feed
    }

    /// Number of the connection among those of its feed, as in [`ConnectionId`](tidegate_driver::core::ConnectionId).
    #[must_use]
    pub const fn connection(&self) -> u64 {
        self.key.id
    }

    /// The virtual time.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Sends a message.
    pub fn send(&mut self, message: impl Into<Message>) {
        self.actions.push(ServerAction::Send(message.into()));
    }

    /// Sends a message this much later, unless the connection is over by then. What is sent from
    /// [`Server::on_message`] counts as a reply, late or not: faults such as
    /// [`FaultKind::RepliesMissing`](crate::FaultKind::RepliesMissing) strike it.
    pub fn send_after(&mut self, span: Duration, message: impl Into<Message>) {
        self.actions.push(ServerAction::SendAfter(span, message.into()));
    }

    /// Sends a ping.
    pub fn ping(&mut self) {
        self.actions.push(ServerAction::Ping);
    }

    /// Starts the closing handshake, with a code (RFC 6455 §7.4) or none.
    pub fn close(&mut self, code: Option<u16>) {
        self.actions.push(ServerAction::Close(code));
    }

    /// Resets the connection.
    pub fn reset(&mut self) {
        self.actions.push(ServerAction::Reset);
    }

    /// Ends the TCP stream without a Close frame.
    pub fn fin(&mut self) {
        self.actions.push(ServerAction::Fin);
    }

    /// Calls [`Server::on_tick`] this often from now on.
    pub fn tick_every(&mut self, span: Duration) {
        self.actions.push(ServerAction::TickEvery(Some(span)));
    }

    /// Stops calling [`Server::on_tick`].
    pub fn stop_ticking(&mut self) {
        self.actions.push(ServerAction::TickEvery(None));
    }
}

/// Accepts connections and sends nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Server for Silent {}
