//! Markers between two items: where continuity broke, and how.

use super::Delivery;
use crate::failure::Failure;
use crate::frame::ConnectionId;

/// Breaks of continuity before the item with number `before`.
#[derive(Debug)]
pub(super) struct Marker {
    pub(super) before: u64,
    interrupted: Option<Interruption>,
    pub(super) opened: Option<ConnectionId>,
    pub(super) live: Option<ConnectionId>,
    pub(super) dropped: u64,
}

#[derive(Debug)]
pub(super) struct Interruption {
    pub(super) id: ConnectionId,
    pub(super) failure: Option<Failure>,
}

impl Marker {
    pub(super) const fn before(item: u64) -> Self {
        Self { before: item, interrupted: None, opened: None, live: None, dropped: 0 }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.interrupted.is_none() && self.opened.is_none() && self.live.is_none() && self.dropped == 0
    }

    /// Adds an interruption. A connection that opened and ended here leaves no marker. Of several interruptions the first
    /// counts, since it broke the continuity of the items before.
    pub(super) fn interrupt(&mut self, interruption: Interruption) {
        self.live = None;
        if self.opened.take().is_none() {
            self.interrupted.get_or_insert(interruption);
        }
    }

    pub(super) fn append(&mut self, later: Self) {
        if let Some(interruption) = later.interrupted {
            self.interrupt(interruption);
        }
        self.opened = later.opened.or(self.opened);
        self.live = later.live.or(self.live);
        self.dropped = self.dropped.saturating_add(later.dropped);
    }

    /// Returns the next delivery. `Dropped` is last: a consumer that starts over at `Opened` must still learn that items
    /// are missing after it.
    pub(super) fn take<T>(&mut self) -> Option<Delivery<T>> {
        if let Some(Interruption { id, failure }) = self.interrupted.take() {
            return Some(Delivery::Interrupted { id, failure });
        }
        if let Some(id) = self.opened.take() {
            return Some(Delivery::Opened { id });
        }
        if let Some(id) = self.live.take() {
            return Some(Delivery::Live { id });
        }
        match core::mem::take(&mut self.dropped) {
            0 => None,
            count => Some(Delivery::Dropped { count }),
        }
    }
}
