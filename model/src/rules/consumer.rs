//! What the consumer has been given, and what that must be (D1, D2, D4).

use tidegate_core::{ConnectionId, Delivery, Overflow};

use crate::handler::Item;
use crate::rules::{Broken, Rule};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Consumer {
    credit: u64,
    /// The number of the next item.
    next: u8,
    /// Of the last item.
    connection: Option<ConnectionId>,
    last_live: u64,
    last_mark: u64,
    /// Since the last item.
    interrupted: bool,
    /// Since the last item.
    dropped: u64,
}

impl Consumer {
    pub(super) fn request(&mut self, count: u8) {
        self.credit += u64::from(count);
    }

    pub(super) const fn credit(&self) -> u64 {
        self.credit
    }

    pub(super) fn delivery(&mut self, delivery: &Delivery<Item>, overflow: Overflow, broken: &mut Broken) {
        match delivery {
            Delivery::Item(item) => self.item(*item, overflow, broken),
            Delivery::Live { id } => {
                broken.unless(id.get() > self.last_live && id.get() >= self.last_mark, Rule::D2);
                self.last_mark = id.get();
                self.last_live = id.get();
            }
            Delivery::Interrupted { id, .. } => {
                broken.unless(id.get() >= self.last_mark, Rule::D2);
                self.last_mark = id.get();
                self.interrupted = true;
            }
            Delivery::Dropped { count } => {
                let drops = matches!(overflow, Overflow::DropOldest | Overflow::DropNewest);
                broken.unless(drops && *count > 0, Rule::D4);
                self.dropped += count;
            }
        }
    }

    fn item(&mut self, item: Item, overflow: Overflow, broken: &mut Broken) {
        broken.unless(self.credit > 0, Rule::D1);
        self.credit = self.credit.saturating_sub(1);
        broken.unless(item.number >= self.next, Rule::D2);
        let missing = u64::from(item.number.saturating_sub(self.next));
        broken.unless(self.dropped <= missing, Rule::D4);
        let may_lose = overflow == Overflow::Disconnect && self.interrupted;
        broken.unless(missing <= self.dropped || may_lose, Rule::D2);
        let same = self.connection == Some(item.connection);
        let first = self.connection.is_none();
        // A new connection is told of, and within one nothing is.
        broken.unless(first || same != self.interrupted, Rule::D2);
        self.next = item.number + 1;
        self.connection = Some(item.connection);
        self.interrupted = false;
        self.dropped = 0;
    }
}
