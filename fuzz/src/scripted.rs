//! A handler that emits consecutive numbers, and does what each message tells it.

use std::time::Duration;

use arbitrary::Arbitrary;
use bytes::Bytes;
use tidegate_core::{ConnectionId, Context, Fault, FrameHandler, Message, Readiness, Upgrade};

/// The most items a message can emit.
pub const MAX_EMIT: u8 = 7;

/// What the handler is like.
#[derive(Arbitrary, Clone, Debug, Default)]
pub struct Scripted {
    /// How many bootstrap frames.
    pub bootstrap: u8,
    pub declares: bool,
    /// Whether the second upgrade of every three is refused.
    pub refuses: bool,
    /// When it wants to be woken after an upgrade, in milliseconds from then.
    pub wakes: Option<u8>,
    /// The number of its first item.
    pub first: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    pub number: u64,
    pub connection: ConnectionId,
    weight: u16,
}

/// What a message makes the handler do.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Script {
    pub emit: u8,
    pub weight: u16,
    pub then: u8,
}

impl Script {
    pub fn encode(self) -> Bytes {
        let [high, low] = self.weight.to_be_bytes();
        Bytes::copy_from_slice(&[self.emit, high, low, self.then])
    }

    /// Whatever the bytes, they are a script.
    fn decode(payload: &[u8]) -> Self {
        let at = |index| payload.get(index).copied().unwrap_or_default();
        Self { emit: at(0) % (MAX_EMIT + 1), weight: u16::from_be_bytes([at(1), at(2)]), then: at(3) }
    }
}

/// The handler, with the number of its next item.
pub struct Numbers {
    setup: Scripted,
    next: u64,
}

impl From<Scripted> for Numbers {
    fn from(setup: Scripted) -> Self {
        Self { next: setup.first.into(), setup }
    }
}

impl FrameHandler for Numbers {
    type Session = ConnectionId;
    type Item = Item;

    fn on_upgrade(&mut self, upgrade: &mut Upgrade<'_>) -> Result<ConnectionId, Fault> {
        let id = upgrade.connection();
        for index in 0..self.setup.bootstrap {
            upgrade.send(format!("b {index} {id}"));
        }
        if let Some(millis) = self.setup.wakes {
            upgrade.wake_at(upgrade.now().saturating_add(Duration::from_millis(millis.into())));
        }
        if self.setup.refuses && id.get() % 3 == 2 { Err(Fault::retryable("refused")) } else { Ok(id) }
    }

    fn on_message(
        &mut self,
        session: &mut ConnectionId,
        message: Message,
        cx: &mut Context<'_, Item>,
    ) -> Result<(), Fault> {
        assert_eq!(*session, cx.connection(), "H1: the session of another connection");
        let script = Script::decode(message.payload());
        for _ in 0..script.emit {
            cx.emit(Item { number: self.next, connection: *session, weight: script.weight });
            self.next += 1;
        }
        match script.then % 16 {
            8 => _ = cx.send(format!("r 0 {session}")),
            9 => cx.wake_at(cx.now().saturating_add(Duration::from_millis(script.weight.into()))),
            10 => cx.ready(),
            11 => cx.reconnect(),
            12 => return Err(Fault::retryable("told to")),
            13 => return Err(Fault::fatal("told to")),
            14 => cx.wake_at(cx.now()),
            15 => while cx.send(format!("r 0 {session}")).is_ok() && script.weight % 2 == 1 {},
            _ => {}
        }
        Ok(())
    }

    fn on_wake(&mut self, session: &mut ConnectionId, cx: &mut Context<'_, Item>) -> Result<(), Fault> {
        assert_eq!(*session, cx.connection(), "H1: the session of another connection");
        cx.emit(Item { number: self.next, connection: *session, weight: 1 });
        self.next += 1;
        Ok(())
    }

    fn readiness(&self) -> Readiness {
        if self.setup.declares { Readiness::WhenDeclared } else { Readiness::WhenFlushed }
    }

    fn weight(item: &Item) -> usize {
        item.weight.into()
    }
}
