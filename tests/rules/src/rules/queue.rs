//! What the handler emits, what is queued of it, and what the consumer is given (H2-H4, D1-D4).

use std::time::Duration;

use tidegate_core::{Delivery, Overflow, Phase};

use super::{Marker, Rules, Step};
use crate::call::{Call, Output};
use crate::numbers::{Item, Numbers, Script, Then};
use crate::rule::{Verdict, hold};

impl Rules {
    pub(super) fn delivery(&mut self, delivery: &Delivery<Item>, overflow: Overflow) -> Verdict {
        let marker = match delivery {
            Delivery::Item(item) => {
                let open = self.continuity.connection();
                hold!(
                    open.unwrap_or(Numbers::NONE) == item.connection,
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
        // A connection that overflows and leaves no marker may be between two items of commands.
        let counts = |item: &Item| item.connection != Numbers::NONE || overflow != Overflow::Disconnect;
        self.continuity.check(delivery, |item| counts(item).then_some(item.number))?;
        Ok(())
    }

    /// H1-H4: one call for a message, none for others, and what it emits; a session for each connection.
    pub(super) fn check_handler(&mut self, step: &Step<'_>) -> Verdict {
        let Step { before, after, .. } = step;
        let calls = after.stats.messages - before.stats.messages;
        let items = after.stats.items - before.stats.items;
        let script = step.script();
        hold!(calls == u64::from(step.heard().is_some()), H2, "{calls} calls");
        let session =
            after.connection.filter(|_| after.is_linked()).map(|id| (id, after.phase == Phase::Live));
        hold!(after.session == session, H1, "the session of {:?}", after.session);
        if step.call.is_tick() {
            hold!(items == 0 || !before.is_paused(), D3, "timers while reading is paused");
            let fired = self.outgoing.fire(items);
            let held = after.is_paused() || !after.is_linked();
            hold!(fired && (held || self.outgoing.due() == 0), H4, "{items} timers, {:?}", self.outgoing);
        } else {
            let emitted = script.map_or(0, |script| script.emit.into());
            hold!(items == emitted, H3, "{items} items of {emitted}");
        }
        if items > 0 {
            self.ages.emitted = Duration::ZERO;
        }
        Ok(())
    }

    /// H6: a command is passed on in every phase, as long as there is room for what it may emit.
    pub(super) fn commanded(&self, passed: bool, step: &Step<'_>) -> Verdict {
        let Step { setup, call, before, after, .. } = step;
        let (items, bytes) = (setup.config.buffer() as u64, setup.config.buffer_bytes() as u64);
        let full = before.stats.queued >= items || before.stats.queued_bytes >= bytes;
        let room = !self.held_back && (setup.config.overflow().drops() || !full);
        hold!(passed == (room && before.phase != Phase::Stopped), H6, "passed on: {passed}");
        let stops = matches!(call, Call::Command(Script { then: Then::Fatal, .. })) && passed;
        let stays = before.phase == after.phase || stops && after.phase == Phase::Stopped;
        hold!(before.is_linked() || stays, H6, "{} after a command while {}", after.phase, before.phase);
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
