//! A handler that emits consecutive numbers, and does what each message says.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use tidegate_core::{
    CommandHandler, ConnectionId, Context, Failure, Fault, Frame, FrameHandler, Message, TimerKey, Upgrade,
};

/// The most items a message can emit.
const MAX_EMIT: u8 = 7;

/// The handler, with the number of its next item.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    /// How many bootstrap frames.
    pub bootstrap: u8,
    /// Whether it holds a connection back until a message says [`Then::Ready`] (B2).
    pub declares: bool,
    /// Whether the second upgrade of every three is refused.
    pub refuses: bool,
    /// How long after an upgrade it wants to be woken, in milliseconds.
    pub wakes: Option<u8>,
    /// Whether items weigh what their numbers say, not what the message says: no two different queues look the same then.
    pub weighs_by_number: bool,
    /// The number of the next item.
    pub next: u64,
    /// The connection that has a session, and whether the handler was told that it is Live.
    pub session: Option<(ConnectionId, bool)>,
}

impl Numbers {
    /// The connection of items that a command emits while there is none.
    pub const NONE: ConnectionId = ConnectionId::new(0);

    /// Whether the upgrade of this connection is accepted.
    #[must_use]
    pub const fn accepts(&self, id: ConnectionId) -> bool {
        !(self.refuses && id.get() % 3 == 2)
    }

    fn act(
        &mut self,
        session: Option<&ConnectionId>,
        script: Script,
        cx: &mut Context<'_, Item>,
    ) -> Result<(), Fault> {
        let connection = session.copied().unwrap_or(Self::NONE);
        assert!(session.is_none_or(|id| *id == cx.connection()), "H1: the session of another connection");
        for _ in 0..script.emit {
            self.emit(connection, script.weight, cx);
        }
        let key = TimerKey(script.key() as u64);
        if let Some(after) = script.wakes() {
            cx.set_timer_in(key, after);
        }
        match script.then {
            Then::Reply => _ = cx.send(format!("r 0 {connection}")),
            Then::Flood => while cx.send(format!("r 0 {connection}")).is_ok() && script.weight % 2 == 1 {},
            Then::Cancel => cx.cancel_timer(key),
            Then::Ready => cx.ready(),
            Then::Reconnect => cx.reconnect(),
            Then::Fault => return Err(Fault::retryable("told to")),
            Then::Fatal => return Err(Fault::fatal("told to")),
            Then::Nothing | Then::Wake | Then::WakeNow => {}
        }
        Ok(())
    }

    fn emit(&mut self, connection: ConnectionId, weight: u16, cx: &mut Context<'_, Item>) {
        let number = self.next;
        let weight = if self.weighs_by_number {
            number as usize * 100 + connection.get() as usize
        } else {
            weight.into()
        };
        cx.emit(Item { number, connection, weight });
        self.next += 1;
    }
}

/// What the handler emits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// Counts through all connections.
    pub number: u64,
    /// On which it was emitted.
    pub connection: ConnectionId,
    weight: usize,
}

impl Item {
    /// What one weighs beyond what its message says, in bytes.
    pub const SIZE: usize = size_of::<Self>();
}

/// What a message makes the handler do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Script {
    /// How many items it emits.
    pub emit: u8,
    /// What each weighs, in bytes; for [`Then::Wake`] also the delay, in milliseconds. Whether it is odd says which of two
    /// timers is meant.
    pub weight: u16,
    /// What it does after that.
    pub then: Then,
}

/// What the handler does besides items. The numbers are those on the wire; all others are [`Then::Nothing`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Then {
    /// Nothing.
    Nothing = 0,
    /// Cancels a timer (H4).
    Cancel = 7,
    /// Answers. Full is an error that it can live with.
    Reply = 8,
    /// Sets a timer to after the weight, which emits one item (H4).
    Wake,
    /// Declares the connection ready (B2).
    Ready,
    /// Asks for a new connection.
    Reconnect,
    /// Finds fault, worth a retry (H3).
    Fault,
    /// Finds fault, not worth one.
    Fatal,
    /// Sets a timer that is due at once.
    WakeNow,
    /// Answers, until the outgoing queue is full if the weight is odd.
    Flood,
}

#[cfg(feature = "arbitrary")]
impl<'a> arbitrary::Arbitrary<'a> for Numbers {
    fn arbitrary(input: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
        let (bootstrap, declares, refuses, wakes, next): (u8, bool, bool, Option<u8>, u8) =
            input.arbitrary()?;
        let next = next.into();
        Ok(Self { bootstrap, declares, refuses, wakes, next, ..Self::default() })
    }
}

/// Of any bytes: an input's are the message's.
#[cfg(feature = "arbitrary")]
impl<'a> arbitrary::Arbitrary<'a> for Script {
    fn arbitrary(input: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
        input.arbitrary().map(|payload: [u8; 4]| Self::read(&payload))
    }
}

impl Script {
    /// A message that emits so many items and does nothing else.
    #[must_use]
    pub const fn emit(count: u8) -> Self {
        Self { emit: count, weight: 0, then: Then::Nothing }
    }

    /// A message that does one thing and emits nothing.
    #[must_use]
    pub const fn then(then: Then) -> Self {
        Self { emit: 0, weight: 0, then }
    }

    /// A message that sets a timer to so many milliseconds later.
    #[must_use]
    pub const fn wake(after: u16) -> Self {
        Self { emit: 0, weight: after, then: Then::Wake }
    }

    /// As a frame.
    #[must_use]
    pub fn frame(self) -> Frame {
        let [high, low] = self.weight.to_be_bytes();
        Bytes::copy_from_slice(&[self.emit, high, low, self.then as u8]).into()
    }

    /// Whatever the bytes, they are a script.
    #[must_use]
    pub fn read(payload: &[u8]) -> Self {
        let at = |index| payload.get(index).copied().unwrap_or_default();
        let then = match at(3) % 16 {
            7 => Then::Cancel,
            8 => Then::Reply,
            9 => Then::Wake,
            10 => Then::Ready,
            11 => Then::Reconnect,
            12 => Then::Fault,
            13 => Then::Fatal,
            14 => Then::WakeNow,
            15 => Then::Flood,
            _ => Then::Nothing,
        };
        Self { emit: at(0) % (MAX_EMIT + 1), weight: u16::from_be_bytes([at(1), at(2)]), then }
    }

    /// The timer that is meant, if one is.
    #[must_use]
    pub const fn key(self) -> usize {
        self.weight as usize % 2
    }

    /// How long after the message a timer is due, if it sets one.
    #[must_use]
    pub fn wakes(self) -> Option<Duration> {
        match self.then {
            Then::Wake => Some(Duration::from_millis(self.weight.into())),
            Then::WakeNow => Some(Duration::ZERO),
            _ => None,
        }
    }
}

impl FrameHandler for Numbers {
    /// The connection it was made for (H1).
    type Session = ConnectionId;
    type Item = Item;

    fn on_upgrade(&mut self, upgrade: &mut Upgrade<'_>) -> Result<ConnectionId, Fault> {
        let id = upgrade.connection();
        for index in 0..self.bootstrap {
            upgrade.send(format!("b {index} {id}"));
        }
        if let Some(millis) = self.wakes {
            upgrade.set_timer_in(TimerKey(0), Duration::from_millis(millis.into()));
        }
        if self.declares {
            upgrade.wait_for_ready();
        }
        if !self.accepts(id) {
            return Err(Fault::retryable("refused"));
        }
        assert_eq!(self.session.replace((id, false)), None, "H1: two sessions");
        Ok(id)
    }

    fn on_message(
        &mut self,
        session: &mut ConnectionId,
        message: Message,
        cx: &mut Context<'_, Item>,
    ) -> Result<(), Fault> {
        self.act(Some(session), Script::read(message.payload()), cx)
    }

    fn on_timer(
        &mut self,
        session: &mut ConnectionId,
        _: TimerKey,
        cx: &mut Context<'_, Item>,
    ) -> Result<(), Fault> {
        assert_eq!(*session, cx.connection(), "H1: the session of another connection");
        self.emit(*session, 1, cx);
        Ok(())
    }

    fn on_live(&mut self, session: &mut ConnectionId, cx: &mut Context<'_, Infallible>) -> Result<(), Fault> {
        assert_eq!(*session, cx.connection(), "H1: the session of another connection");
        assert_eq!(self.session.replace((*session, true)), Some((*session, false)), "H1: Live, once");
        Ok(())
    }

    fn on_end(&mut self, session: ConnectionId, _: Option<&Failure>) {
        assert_eq!(self.session.take().map(|(id, _)| id), Some(session), "H1: the end of another session");
    }

    fn weight(item: &Item) -> usize {
        Item::SIZE + item.weight
    }
}

impl CommandHandler for Numbers {
    type Command = Script;

    fn on_command(
        &mut self,
        session: Option<&mut ConnectionId>,
        command: Script,
        cx: &mut Context<'_, Item>,
    ) -> Result<(), Fault> {
        self.act(session.as_deref(), command, cx)
    }
}
