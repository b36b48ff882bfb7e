//! What the handler emits, what is queued of it, and what the consumer is given (H2-H4, D1-D4).

use std::time::Duration;

use tidegate_core::{Delivery, Overflow};

use super::{Marker, Rules, Step};
use crate::call::Output;
use crate::numbers::Item;
use crate::rule::{Verdict, hold};

impl Rules {
    pub(super) fn delivery(&mut self, delivery: &Delivery<Item>) -> Verdict {
        let marker = match delivery {
            Delivery::Item(item) => {
                let open = self.continuity.connection();
                hold!(
                    open == Some(item.connection),
                    D2,
                    "an item of {} while {open:?} is open",
                    item.connection
                );
                hold!(self.credit > 0, D1, "more than was requested");
                self.credit -= 1;
                None
            }
            Delivery::Interrupted { .. } => Some(Marker::Interrupted),
            Delivery::Opened { .. } => Some(Marker::Opened),
            Delivery::Live { .. } => Some(Marker::Live),
            Delivery::Dropped { .. } => Some(Marker::Dropped),
        };
        hold!(marker.is_none() || marker > self.marker, D2, "{marker:?} after {:?}", self.marker);
        self.marker = marker;
        self.continuity.check(delivery, |item| Some(item.number))?;
        Ok(())
    }

    /// H2-H4: one call for a message, none for others, and what it emits.
    pub(super) fn check_handler(&mut self, step: &Step<'_>) -> Verdict {
        let Step { before, after, .. } = step;
        let calls = after.stats.messages - before.stats.messages;
        let items = after.stats.items - before.stats.items;
        let script = step.script();
        hold!(calls == u64::from(script.is_some()), H2, "{calls} calls");
        if step.call.is_tick() && items > 0 {
            let wake = self.outgoing.wake.take();
            hold!(wake == Some(Duration::ZERO), H4, "woken, with {wake:?} to go");
            hold!(!before.is_paused(), D3, "woken while reading is paused");
            hold!(items == 1, H4, "woken {items} times");
        } else {
            let emitted = script.map_or(0, |script| script.emit.into());
            hold!(items == emitted, H3, "{items} items of {emitted}");
        }
        if items > 0 {
            self.ages.emitted = Duration::ZERO;
        }
        Ok(())
    }

    /// D1-D4: the bounds, and reading paused between full and half.
    pub(super) fn check_queue(&mut self, step: &Step<'_>) -> Verdict {
        let Step { setup, before, after, .. } = step;
        let (items, bytes) = (setup.config.buffer() as u64, setup.config.buffer_bytes() as u64);
        let overflow = setup.config.overflow();
        let ((was, was_bytes), (queued, weight)) = (
            (before.stats.queued, before.stats.queued_bytes),
            (after.stats.queued, after.stats.queued_bytes),
        );
        if after.stats.items > before.stats.items {
            // The policies that take a frame whole take it if there is room; the others see to each item.
            let heaviest = Item::SIZE as u64 + step.script().map_or(1, |script| script.weight.into());
            let fits = if overflow.drops() {
                queued <= items && (weight <= was_bytes || weight < bytes.saturating_add(heaviest))
            } else {
                queued == was || was < items && was_bytes < bytes
            };
            hold!(fits, D3, "{queued} items of {weight} bytes queued, where there were {was} of {was_bytes}");
        }
        if queued > was && overflow == Overflow::Pause && (queued >= items || weight >= bytes) {
            self.held_back = true;
        }
        if queued < was && queued <= items / 2 && weight <= bytes / 2 {
            self.held_back = false;
        }
        let fine = !after.is_linked() || after.is_paused() == self.held_back;
        hold!(fine, D4, "reading is paused: {}", after.is_paused());
        let delivered = after.stats.delivered - before.stats.delivered;
        let given =
            step.outputs.iter().filter(|output| matches!(output, Output::Delivery(Delivery::Item(_))));
        hold!(delivered == given.count() as u64, D1, "{delivered} counted as delivered");
        hold!(after.stats.demand == self.credit, D1, "{} of {} requested", after.stats.demand, self.credit);
        let accounted = after.stats.delivered + after.stats.dropped + queued;
        // With an interruption, what finds no room is neither dropped nor queued (D4).
        let may_lose = overflow == Overflow::Disconnect && after.stats.dropped == 0;
        let whole = accounted == after.stats.items || may_lose && accounted < after.stats.items;
        hold!(whole, D2, "{accounted} items of {}", after.stats.items);
        Ok(())
    }
}
