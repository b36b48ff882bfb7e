//! What the consumer is told between two items: where continuity broke, and how.

use super::Delivery;
use crate::failure::Failure;
use crate::frame::ConnectionId;

/// What happened between two items.
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
    /// Whether nothing of the connection has been in-band before.
    pub(super) opens: bool,
}

impl Marker {
    pub(super) const fn before(item: u64) -> Self {
        Self { before: item, interrupted: None, live: None, dropped: 0 }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.interrupted.is_none() && self.live.is_none() && self.dropped == 0
    }

    /// A connection that opened and ended here leaves no trace; otherwise the first interruption is the one that broke
    /// what the consumer has.
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

    /// `Dropped` comes last: a consumer that starts afresh at `Live` must not take what was dropped after it for whole.
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
