//! The handler of the campaign: subscribes, waits for acknowledgements, numbers what it emits.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use tidegate_driver::core::{
    ConnectionId, Context, Failure, Fault, FrameHandler, Message, TimerKey, Upgrade,
};

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
    /// The connection that has a session.
    open: Option<ConnectionId>,
}

/// Fires every second.
const BEAT: TimerKey = TimerKey(0);
/// Fires after the first of them and before the second (H4).
const ONCE: TimerKey = TimerKey(1);

pub(super) struct Session {
    id: ConnectionId,
    /// The timers that have fired.
    fired: Vec<TimerKey>,
    acked: BTreeSet<u32>,
    /// The number of the server's next message.
    next: u64,
}

impl Subscriber {
    pub(super) fn new(subscriptions: u32, acks: bool, weight: u64) -> Self {
        let subscribe = Box::new(|subscriptions| (0..subscriptions).collect());
        let next = Item { number: 0, connection: ConnectionId::new(0), weight, in_order: true };
        Self { subscriptions, subscribe, acks, next, open: None }
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
        upgrade.set_timer_in(ONCE, Duration::from_millis(1500));
        upgrade.set_timer_in(BEAT, Duration::from_secs(1));
        let id = upgrade.connection();
        assert_eq!(self.open.replace(id), None, "H1: two sessions");
        Ok(Session { id, fired: Vec::new(), acked: BTreeSet::new(), next: 0 })
    }

    fn on_timer(
        &mut self,
        session: &mut Session,
        key: TimerKey,
        cx: &mut Context<'_, Item>,
    ) -> Result<(), Fault> {
        if session.fired.len() < 3 {
            session.fired.push(key);
            cx.set_timer_in(BEAT, Duration::from_secs(1));
        }
        assert!([BEAT, ONCE, BEAT].starts_with(&session.fired), "H4: timers fired: {:?}", session.fired);
        Ok(())
    }

    fn on_live(&mut self, session: &mut Session, cx: &mut Context<'_, Infallible>) -> Result<(), Fault> {
        assert_eq!((self.open, cx.connection()), (Some(session.id), session.id), "H1: another session");
        Ok(())
    }

    fn on_end(&mut self, session: Session, _: Option<&Failure>) {
        assert_eq!(self.open.take(), Some(session.id), "H1: the end of another session");
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
