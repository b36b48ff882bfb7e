//! The handler of the campaign: subscribes, waits for acknowledgements, numbers what it emits.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use tidegate_driver::core::{Context, Fault, FrameHandler, Message, Readiness, Upgrade};

use super::continuity::{Continuity, Item};

/// Items that one message makes at most.
pub(super) const MAX_EMIT: u64 = 2;

pub(super) struct Subscriber {
    subscriptions: u32,
    /// Which of them to send on a new connection.
    pub(super) subscribe: Box<dyn FnMut(u32) -> Vec<u32> + Send>,
    pub(super) acks: bool,
    continuity: Arc<Mutex<Continuity>>,
    next: u64,
    /// Of an item, in bytes.
    weight: u64,
}

pub(super) struct Session {
    acked: BTreeSet<u32>,
    /// The number of the server's next message: none is lost, none comes twice (H2).
    next: u64,
}

impl Subscriber {
    pub(super) fn new(
        subscriptions: u32,
        acks: bool,
        continuity: Arc<Mutex<Continuity>>,
        weight: u64,
    ) -> Self {
        let subscribe = Box::new(|subscriptions| (0..subscriptions).collect());
        Self { subscriptions, subscribe, acks, continuity, next: 0, weight }
    }
}

impl FrameHandler for Subscriber {
    type Session = Session;
    type Item = Item;

    fn on_upgrade(&mut self, upgrade: &mut Upgrade<'_>) -> Result<Session, Fault> {
        for number in (self.subscribe)(self.subscriptions) {
            upgrade.send(format!("sub {number}"));
        }
        // With nothing to wait for, a first wake-up says so.
        upgrade.wake_at(upgrade.now());
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
                let in_order = number.parse() == Ok(session.next);
                session.next += 1;
                let connection = cx.connection().get();
                for _ in 0..session.next % (MAX_EMIT + 1) {
                    cx.emit(Item { number: self.next, connection, weight: self.weight });
                    self.next += 1;
                }
                let mut continuity = self.continuity.lock().expect("nothing panics under the lock");
                continuity.emitted(self.next, in_order);
            }
            _ => {}
        }
        Ok(())
    }

    fn on_wake(&mut self, _: &mut Session, cx: &mut Context<'_, Item>) -> Result<(), Fault> {
        if self.subscriptions == 0 {
            cx.ready();
        }
        Ok(())
    }

    fn weight(item: &Item) -> usize {
        usize::try_from(item.weight).unwrap_or(usize::MAX)
    }

    fn readiness(&self) -> Readiness {
        if self.acks { Readiness::WhenDeclared } else { Readiness::WhenFlushed }
    }
}
