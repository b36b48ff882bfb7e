//! A handler that does what the messages say.

use std::time::Duration;

use tidegate_core::{ConnectionId, Context, Fault, FrameHandler, Message, Readiness, Upgrade};

use crate::world::WAKE;

/// What a message makes the handler do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Script {
    /// Nothing; it still counts as heard (H3).
    Skip,
    /// Emit one item.
    One,
    /// Emit two.
    Two,
    /// Declare that the connection is ready (B2).
    Ready,
    /// Answer.
    Reply,
    /// Ask to be woken after `WAKE`, and emit one item then (H4).
    Wake,
    /// Ask for a new connection (H4).
    Reconnect,
    /// Find fault, worth a retry (H3).
    Fault,
    /// Find fault, not worth one.
    Fatal,
}

impl Script {
    pub(crate) const ALL: [Self; 9] = [
        Self::Skip,
        Self::One,
        Self::Two,
        Self::Ready,
        Self::Reply,
        Self::Wake,
        Self::Reconnect,
        Self::Fault,
        Self::Fatal,
    ];

    const fn items(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Two => 2,
            Self::Skip
            | Self::Ready
            | Self::Reply
            | Self::Wake
            | Self::Reconnect
            | Self::Fault
            | Self::Fatal => 0,
        }
    }
}

/// Items are numbered from 0 over the life of the feed; each knows its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) number: u8,
    pub(crate) connection: ConnectionId,
}

pub(crate) struct Numbers {
    bootstrap: u8,
    readiness: Readiness,
    pub(crate) next: u8,
}

impl Numbers {
    pub(crate) const fn new(bootstrap: u8, readiness: Readiness) -> Self {
        Self { bootstrap, readiness, next: 0 }
    }

    fn emit(&mut self, connection: ConnectionId, cx: &mut Context<'_, Item>) {
        cx.emit(Item { number: self.next, connection });
        self.next += 1;
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
        Ok(id)
    }

    fn on_message(
        &mut self,
        session: &mut ConnectionId,
        message: Message,
        cx: &mut Context<'_, Item>,
    ) -> Result<(), Fault> {
        assert_eq!(*session, cx.connection(), "H1: the session of another connection");
        let script =
            message.payload().first().and_then(|index| Script::ALL.get(usize::from(*index)).copied());
        let Some(script) = script else { return Ok(()) };
        for _ in 0..script.items() {
            self.emit(*session, cx);
        }
        match script {
            Script::Skip | Script::One | Script::Two => {}
            Script::Ready => cx.ready(),
            // Full is an error that this handler can live with.
            Script::Reply => _ = cx.send(format!("r 0 {session}")),
            Script::Wake => cx.wake_at(cx.now().saturating_add(Duration::from_millis(WAKE.into()))),
            Script::Reconnect => cx.reconnect(),
            Script::Fault => return Err(Fault::retryable("told to")),
            Script::Fatal => return Err(Fault::fatal("told to")),
        }
        Ok(())
    }

    fn on_wake(&mut self, session: &mut ConnectionId, cx: &mut Context<'_, Item>) -> Result<(), Fault> {
        assert_eq!(*session, cx.connection(), "H1: the session of another connection");
        self.emit(*session, cx);
        Ok(())
    }

    fn readiness(&self) -> Readiness {
        self.readiness
    }

    /// Its number and its connection: the machine shows weights, so that no two different queues look the same.
    fn weight(item: &Item) -> usize {
        size_of::<Item>() + usize::from(item.number) * 100 + item.connection.get() as usize
    }
}
