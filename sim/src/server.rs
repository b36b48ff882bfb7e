//! The server of a simulation, which you write.

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
