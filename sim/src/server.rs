//! The server's side of a simulation: what you script.

use std::time::Duration;

use tidegate_driver::core::{Failure, Message, Timestamp};

use crate::world::Line;

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
    line: Line,
    now: Timestamp,
    pub(crate) orders: Vec<Order>,
}

/// What a server asks for.
#[derive(Debug)]
pub(crate) enum Order {
    Send(Message),
    Ping,
    Close(Option<u16>),
    Reset,
    Fin,
    TickEvery(Option<Duration>),
}

impl Peer {
    pub(crate) const fn new(line: Line, now: Timestamp) -> Self {
        Self { line, now, orders: Vec::new() }
    }

    /// Whose connection it is: the number of the feed, from 0.
    #[must_use]
    pub const fn feed(&self) -> usize {
        self.line.feed
    }

    /// The number of the connection among those of its feed, as in [`ConnectionId`](tidegate_driver::core::ConnectionId).
    #[must_use]
    pub const fn connection(&self) -> u64 {
        self.line.id
    }

    /// The virtual time.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Sends a message.
    pub fn send(&mut self, message: impl Into<Message>) {
        self.orders.push(Order::Send(message.into()));
    }

    /// Sends a ping.
    pub fn ping(&mut self) {
        self.orders.push(Order::Ping);
    }

    /// Starts the closing handshake, with a code (RFC 6455 §7.4) or none.
    pub fn close(&mut self, code: Option<u16>) {
        self.orders.push(Order::Close(code));
    }

    /// Resets the connection.
    pub fn reset(&mut self) {
        self.orders.push(Order::Reset);
    }

    /// Ends the TCP stream without a Close frame.
    pub fn fin(&mut self) {
        self.orders.push(Order::Fin);
    }

    /// From now on, calls [`Server::on_tick`] this often.
    pub fn tick_every(&mut self, span: Duration) {
        self.orders.push(Order::TickEvery(Some(span)));
    }

    /// Calls [`Server::on_tick`] no more.
    pub fn stop_ticking(&mut self) {
        self.orders.push(Order::TickEvery(None));
    }
}

/// Accepts connections and says nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Server for Silent {}
