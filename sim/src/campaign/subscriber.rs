//! The handler of the campaign: subscribes, waits for acknowledgements, numbers what it emits.

use std::collections::BTreeSet;

use tidegate_driver::core::{ConnectionId, Context, Fault, FrameHandler, Message, Upgrade};

/// Items that one message makes at most.
pub(super) const MAX_EMIT: u64 = 2;

/// An item of the campaign's handler.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    /// Counts through all connections.
    pub(super) number: u64,
    pub(super) connection: ConnectionId,
    /// In bytes.
    weight: u64,
    /// So far no message was lost, came twice or out of order (H2).
    pub(super) in_order: bool,
}

pub(super) struct Subscriber {
    subscriptions: u32,
    /// Which of them to send on a new connection.
    pub(super) subscribe: Box<dyn FnMut(u32) -> Vec<u32> + Send>,
    pub(super) acks: bool,
    next: Item,
}

pub(super) struct Session {
    acked: BTreeSet<u32>,
    /// The number of the server's next message.
    next: u64,
}

impl Subscriber {
    pub(super) fn new(subscriptions: u32, acks: bool, weight: u64) -> Self {
        let subscribe = Box::new(|subscriptions| (0..subscriptions).collect());
        let next = Item { number: 0, connection: ConnectionId::new(0), weight, in_order: true };
        Self { subscriptions, subscribe, acks, next }
    }
}

impl FrameHandler for Subscriber {
    type Session = Session;
    type Item = Item;

    fn on_upgrade(&mut self, upgrade: &mut Upgrade<'_>) -> Result<Session, Fault> {
        for number in (self.subscribe)(self.subscriptions) {
            upgrade.send(format!("sub {number}"));
        }
        if self.acks && self.subscriptions > 0 {
            upgrade.wait_for_ready();
        }
        Ok(Session { acked: BTreeSet::new(), next: 0 })
    }

    fn on_message(
        &mut self,
        session: &mut Session,
        message: Message,
        cx: &mut Context<'_, Item>,
    ) -> Result<(), Fault> {
        let words: Vec<&str> = message.as_text().unwrap_or_default().split(' ').collect();
        match words[..] {
            ["ack", number] => {
                session.acked.extend(number.parse::<u32>());
                if session.acked.len() == self.subscriptions as usize {
                    cx.ready();
                }
            }
            ["data", number] => {
                self.next.in_order &= number.parse() == Ok(session.next);
                self.next.connection = cx.connection();
                session.next += 1;
                for _ in 0..session.next % (MAX_EMIT + 1) {
                    cx.emit(self.next);
                    self.next.number += 1;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn weight(item: &Item) -> usize {
        usize::try_from(item.weight).unwrap_or(usize::MAX)
    }
}
