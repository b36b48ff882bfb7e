//! Markers between two items: where continuity broke, and how.

use super::Delivery;
use crate::failure::Failure;
use crate::frame::ConnectionId;

/// Breaks of continuity before the item with number `before`.
#[derive(Debug)]
pub(super) struct Marker {
    pub(super) before: u64,
    interrupted: Option<Interruption>,
    pub(super) live: Option<Opening>,
    pub(super) dropped: u64,
}

#[derive(Debug)]
pub(super) struct Interruption {
    pub(super) id: ConnectionId,
    pub(super) failure: Option<Failure>,
}

#[derive(Debug)]
pub(super) struct Opening {
    pub(super) id: ConnectionId,
    /// Whether this is the first thing delivered in-band from the connection.
    pub(super) opens: bool,
}

impl Marker {
    pub(super) const fn before(item: u64) -> Self {
        Self { before: item, interrupted: None, live: None, dropped: 0 }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.interrupted.is_none() && self.live.is_none() && self.dropped == 0
    }

    /// Adds an interruption. A connection that began and ended here leaves no marker. Of several interruptions the
    /// first counts, since it broke the continuity of the items before.
    pub(super) fn interrupt(&mut self, interruption: Interruption) {
        match self.live.take() {
            Some(Opening { opens: true, .. }) => {}
            Some(Opening { opens: false, .. }) | None => {
                self.interrupted.get_or_insert(interruption);
            }
        }
    }

    pub(super) fn append(&mut self, later: Self) {
        if let Some(interruption) = later.interrupted {
            self.interrupt(interruption);
        }
        if later.live.is_some() {
            self.live = later.live;
        }
        self.dropped = self.dropped.saturating_add(later.dropped);
    }

    /// Returns the next delivery. `Dropped` is last: a consumer that starts over at `Live` must still learn that items
    /// are missing after it.
    pub(super) fn take<T>(&mut self) -> Option<Delivery<T>> {
        if let Some(Interruption { id, failure }) = self.interrupted.take() {
            return Some(Delivery::Interrupted { id, failure });
        }
        if let Some(Opening { id, .. }) = self.live.take() {
            return Some(Delivery::Live { id });
        }
        match core::mem::take(&mut self.dropped) {
            0 => None,
            count => Some(Delivery::Dropped { count }),
        }
    }
}
