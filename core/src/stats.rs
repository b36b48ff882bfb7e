//! Figures about a feed.

use core::time::Duration;

/// Figures about a feed, since it began unless said otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Attempts made.
    pub attempts: u64,
    /// Connections that turned Live.
    pub connections: u64,
    /// Data messages handed to the handler.
    pub messages: u64,
    /// Items the handler emitted.
    pub items: u64,
    /// Items the consumer was given.
    pub delivered: u64,
    /// Items dropped by the overflow policy.
    pub dropped: u64,
    /// Events that named another connection than the current one, or could not happen in its phase (C2).
    pub stale_events: u64,
    /// Items in the queue now.
    pub queued: u64,
    /// What they weigh, in bytes.
    pub queued_bytes: u64,
    /// Items requested and not yet delivered (D1).
    pub demand: u64,
    /// Frames accepted on this connection and not yet with the operating system, the bootstrap's aside (O3). 0 while closing.
    pub sending: u64,
    /// Retries in the present streak (R4).
    pub retries: u32,
    /// The last answered ping's round-trip time.
    pub round_trip: Option<Duration>,
}
