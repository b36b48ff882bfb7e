//! What a handler asks for in one call, until the machine carries it out (H4).

use alloc::vec::Vec;

use crate::frame::Message;
use crate::time::Timestamp;

/// What a handler asks for; the machine carries it out after the call.
pub(crate) struct Effects<T> {
    pub(crate) items: Emitted<T>,
    pub(crate) sends: Vec<Message>,
    /// `None` as good as always.
    pub(crate) asks: Option<Asks>,
}

/// Items in order of emission. Almost every message makes one or none, for which a list would cost more than all the rest.
pub(crate) struct Emitted<T> {
    pub(crate) first: Option<T>,
    /// Empty unless there is a first.
    pub(crate) more: Vec<T>,
}

impl<T> Emitted<T> {
    pub(crate) fn push(&mut self, item: T) {
        match self.first {
            None => self.first = Some(item),
            Some(_) => self.more.push(item),
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(crate) const fn len(&self) -> usize {
        self.more.len() + if self.first.is_some() { 1 } else { 0 }
    }

    pub(crate) fn clear(&mut self) {
        self.first = None;
        self.more.clear();
    }
}

/// What is asked for at most once a call.
#[derive(Clone, Copy, Default)]
pub(crate) struct Asks {
    pub(crate) wake_at: Option<Timestamp>,
    pub(crate) ready: bool,
    pub(crate) reconnect: bool,
}

impl<T> Effects<T> {
    pub(crate) const fn new() -> Self {
        Self { items: Emitted { first: None, more: Vec::new() }, sends: Vec::new(), asks: None }
    }

    /// Whether one item at most is all there is.
    pub(crate) const fn is_one_item(&self) -> bool {
        self.items.more.len() | self.sends.len() == 0 && self.asks.is_none()
    }
}
