//! A handler that emits consecutive numbers, and does what each message says.

use std::time::Duration;

use bytes::Bytes;
use tidegate_core::{ConnectionId, Context, Fault, Frame, FrameHandler, Message, Readiness, Upgrade};

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
}

impl Numbers {
    /// Whether the upgrade of this connection is accepted.
    #[must_use]
    pub const fn accepts(&self, id: ConnectionId) -> bool {
        !(self.refuses && id.get() % 3 == 2)
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
    /// What each weighs, in bytes; for [`Then::Wake`] also the delay, in milliseconds.
    pub weight: u16,
    /// What it does after that.
    pub then: Then,
}

/// What the handler does besides items. The numbers are those on the wire; all others are [`Then::Nothing`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Then {
    /// Nothing.
    Nothing = 0,
    /// Answers. Full is an error that it can live with.
    Reply = 8,
    /// Asks to be woken after the weight, and emits one item then (H4).
    Wake,
    /// Declares the connection ready (B2).
    Ready,
    /// Asks for a new connection.
    Reconnect,
    /// Finds fault, worth a retry (H3).
    Fault,
    /// Finds fault, not worth one.
    Fatal,
    /// Asks to be woken at once.
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
        Ok(Self { bootstrap, declares, refuses, wakes, next, weighs_by_number: false })
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

    /// A message that asks to be woken so many milliseconds later.
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

    /// How long after the message the handler is to be woken, if it asks for that.
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
            upgrade.wake_at(upgrade.now().saturating_add(Duration::from_millis(millis.into())));
        }
        if self.accepts(id) { Ok(id) } else { Err(Fault::retryable("refused")) }
    }

    fn on_message(
        &mut self,
        session: &mut ConnectionId,
        message: Message,
        cx: &mut Context<'_, Item>,
    ) -> Result<(), Fault> {
        assert_eq!(*session, cx.connection(), "H1: the session of another connection");
        let script = Script::read(message.payload());
        for _ in 0..script.emit {
            self.emit(*session, script.weight, cx);
        }
        if let Some(after) = script.wakes() {
            cx.wake_at(cx.now().saturating_add(after));
        }
        match script.then {
            Then::Reply => _ = cx.send(format!("r 0 {session}")),
            Then::Flood => while cx.send(format!("r 0 {session}")).is_ok() && script.weight % 2 == 1 {},
            Then::Ready => cx.ready(),
            Then::Reconnect => cx.reconnect(),
            Then::Fault => return Err(Fault::retryable("told to")),
            Then::Fatal => return Err(Fault::fatal("told to")),
            Then::Nothing | Then::Wake | Then::WakeNow => {}
        }
        Ok(())
    }

    fn on_wake(&mut self, session: &mut ConnectionId, cx: &mut Context<'_, Item>) -> Result<(), Fault> {
        assert_eq!(*session, cx.connection(), "H1: the session of another connection");
        self.emit(*session, 1, cx);
        Ok(())
    }

    fn readiness(&self) -> Readiness {
        if self.declares { Readiness::WhenDeclared } else { Readiness::WhenFlushed }
    }

    fn weight(item: &Item) -> usize {
        Item::SIZE + item.weight
    }
}
