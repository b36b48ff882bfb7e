//! The server's side of a simulation: what you script.

use std::time::Duration;

use tidegate_driver::core::{Failure, Message, Timestamp};

use crate::connection::ConnectionKey;

/// What a server does. It is called when something reaches it, and answers through [`Peer`].
pub trait Server: Send {
    /// What becomes of the `attempt`th attempt of a feed, from 1. Faults of the simulation come on top.
    fn on_dial(&mut self, attempt: u64) -> Dial {
        let _ = attempt;
        Dial::Accept
    }

    /// A connection was made.
    fn on_open(&mut self, peer: &mut Peer) {
        let _ = peer;
    }

    /// A message came in. Pings and Close are answered by the simulation.
    fn on_message(&mut self, peer: &mut Peer, message: Message) {
        let _ = (peer, message);
    }

    /// The time asked for with [`Peer::tick_every`] has come: send data.
    fn on_tick(&mut self, peer: &mut Peer) {
        let _ = peer;
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
    /// Nothing ever comes back.
    Hang,
}

/// One connection, as the server sees it. What is asked for is done when the call returns.
#[derive(Debug)]
pub struct Peer {
    key: ConnectionKey,
    now: Timestamp,
    pub(crate) actions: Vec<ServerAction>,
}

/// What a server asks for.
#[derive(Debug)]
pub(crate) enum ServerAction {
    Send(Message),
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

    /// Whose connection it is: the number of the feed, from 0.
    #[must_use]
    pub const fn feed(&self) -> usize {
        self.key.feed
    }

    /// The number of the connection among those of its feed, as in [`ConnectionId`](tidegate_driver::core::ConnectionId).
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

    /// From now on, calls [`Server::on_tick`] this often.
    pub fn tick_every(&mut self, span: Duration) {
        self.actions.push(ServerAction::TickEvery(Some(span)));
    }

    /// Calls [`Server::on_tick`] no more.
    pub fn stop_ticking(&mut self) {
        self.actions.push(ServerAction::TickEvery(None));
    }
}

/// Accepts connections and says nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Server for Silent {}
