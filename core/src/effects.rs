//! What a handler asks for in one call besides items, until the machine carries it out (H4).

use alloc::vec::Vec;

use crate::frame::Message;
use crate::time::Timestamp;

/// What a handler asks for; the machine carries it out after the call.
#[derive(Default)]
pub(crate) struct Effects {
    pub(crate) sends: Vec<Message>,
    /// `None` as good as always.
    pub(crate) asks: Option<Asks>,
}

/// What is asked for at most once a call.
#[derive(Clone, Copy, Default)]
pub(crate) struct Asks {
    pub(crate) wake_at: Option<Timestamp>,
    pub(crate) ready: bool,
    pub(crate) reconnect: bool,
}

impl Effects {
    pub(crate) const fn is_empty(&self) -> bool {
        self.sends.is_empty() && self.asks.is_none()
    }
}
