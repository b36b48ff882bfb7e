//! D2: items come out in order, none twice, and gaps are announced exactly.

use tidegate_driver::core::{Delivery, Overflow};

/// What the campaign's handler emits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// Counts through all connections.
    pub(super) number: u64,
    pub(super) connection: u64,
    /// In bytes.
    pub(super) weight: u64,
}

/// What the consumer has seen, beside what was emitted.
pub(super) struct Continuity {
    overflow: Overflow,
    emitted: u64,
    in_order: bool,
    next: u64,
    connection: Option<u64>,
    interrupted: bool,
    dropped: u64,
}

impl Continuity {
    pub(super) const fn new(overflow: Overflow) -> Self {
        Self {
            overflow,
            emitted: 0,
            in_order: true,
            next: 0,
            connection: None,
            interrupted: false,
            dropped: 0,
        }
    }

    /// The handler has emitted so many in all; whether the message was the next of its connection.
    pub(super) fn emitted(&mut self, count: u64, in_order: bool) {
        self.emitted = count;
        self.in_order &= in_order;
    }

    pub(super) fn delivered(&mut self, delivery: &Delivery<Item>) -> Result<(), String> {
        if !self.in_order {
            return Err("H2: a message was lost, came twice or out of order".to_owned());
        }
        match delivery {
            Delivery::Live { .. } => Ok(()),
            Delivery::Interrupted { .. } => {
                self.interrupted = true;
                Ok(())
            }
            Delivery::Dropped { count } => {
                self.dropped += count;
                Ok(())
            }
            Delivery::Item(item) => self.item(*item),
        }
    }

    fn item(&mut self, Item { number, connection, weight: _ }: Item) -> Result<(), String> {
        if number >= self.emitted {
            return Err(format!("D2: item {number} was never emitted"));
        }
        let Some(gap) = number.checked_sub(self.next) else {
            return Err(format!("D2: item {number} came after {}", self.next));
        };
        let Some(lost) = gap.checked_sub(self.dropped) else {
            return Err(format!("D4: {} told as dropped before {number}, {gap} are missing", self.dropped));
        };
        let may_lose = self.overflow == Overflow::Disconnect && self.interrupted;
        if lost > 0 && !may_lose {
            return Err(format!("D2: {lost} items before {number} are missing"));
        }
        let same = self.connection.is_none_or(|before| before == connection);
        if !same && !self.interrupted {
            return Err(format!("D2: no interruption before item {number} of connection {connection}"));
        }
        if self.interrupted && self.connection == Some(connection) {
            return Err(format!("D2: an interruption within connection {connection}"));
        }
        self.next = number + 1;
        self.connection = Some(connection);
        self.interrupted = false;
        self.dropped = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tidegate_driver::core::ConnectionId;

    use super::*;

    const LIVE: Delivery<Item> = Delivery::Live { id: ConnectionId::new(1) };
    const OVER: Delivery<Item> = Delivery::Interrupted { id: ConnectionId::new(1), failure: None };

    const fn item(number: u64, connection: u64) -> Delivery<Item> {
        Delivery::Item(Item { number, connection, weight: 1 })
    }

    fn judge(overflow: Overflow, deliveries: &[Delivery<Item>]) -> Result<(), String> {
        let mut continuity = Continuity::new(overflow);
        continuity.emitted(10, true);
        deliveries.iter().try_for_each(|delivery| continuity.delivered(delivery))
    }

    #[test]
    fn what_is_allowed() {
        let dropped = Delivery::Dropped { count: 2 };
        for (overflow, fine) in [
            (Overflow::Pause, vec![LIVE, item(0, 1), item(1, 1), OVER, LIVE, item(2, 2)]),
            (Overflow::DropOldest, vec![LIVE, item(0, 1), dropped, item(3, 1)]),
            (Overflow::Disconnect, vec![LIVE, item(0, 1), OVER, item(4, 2)]),
        ] {
            assert_eq!(judge(overflow, &fine), Ok(()));
        }
    }

    #[test]
    fn what_is_not() {
        let dropped = Delivery::Dropped { count: 2 };
        for (rule, overflow, broken) in [
            ("D2", Overflow::Pause, vec![item(0, 1), item(2, 1)]),
            ("D2", Overflow::Pause, vec![item(0, 1), OVER, item(2, 2)]),
            ("D2", Overflow::Pause, vec![item(0, 1), item(0, 1)]),
            ("D2", Overflow::Pause, vec![item(10, 1)]),
            ("D2", Overflow::Pause, vec![item(0, 1), item(1, 2)]),
            ("D2", Overflow::Pause, vec![item(0, 1), OVER, item(1, 1)]),
            ("D4", Overflow::DropOldest, vec![item(0, 1), dropped.clone(), item(2, 1)]),
            ("D2", Overflow::DropNewest, vec![item(0, 1), dropped, item(4, 1)]),
        ] {
            let verdict = judge(overflow, &broken).expect_err(rule);
            assert!(verdict.starts_with(rule), "{verdict}");
        }
        let mut continuity = Continuity::new(Overflow::Pause);
        continuity.emitted(1, false);
        assert!(continuity.delivered(&LIVE).is_err_and(|rule| rule.starts_with("H2")));
    }
}
