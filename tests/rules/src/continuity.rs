//! Numbered items, as a consumer sees them.

use tidegate_core::Overflow;

use crate::rule::{Verdict, hold};

/// Where numbers may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Losses {
    /// Nowhere.
    Never,
    /// Where a drop is announced, as many as it says.
    Dropped,
    /// Where an interruption is announced.
    Interrupted,
}

impl From<Overflow> for Losses {
    fn from(overflow: Overflow) -> Self {
        match overflow {
            Overflow::Disconnect => Self::Interrupted,
            dropping if dropping.drops() => Self::Dropped,
            _ => Self::Never,
        }
    }
}

/// Holds items that are numbered over all connections, and the markers between them, to D2 and D4: none is lost, doubled or out
/// of order but where that was announced.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Continuity {
    losses: Losses,
    /// The number after the last item's, once it is known.
    next: Option<u64>,
    /// Of the last item.
    connection: Option<u64>,
    /// Told as Live, and not as over.
    open: Option<u64>,
    /// The last connection that a marker named.
    marked: u64,
    /// Since the last item.
    interrupted: bool,
    /// Since the last item.
    dropped: u64,
}

impl Continuity {
    /// Nothing seen yet; `first` is the number of the first item, if it is known.
    #[must_use]
    pub const fn new(losses: Losses, first: Option<u64>) -> Self {
        Self { losses, next: first, connection: None, open: None, marked: 0, interrupted: false, dropped: 0 }
    }

    /// The number that comes next if nothing more is lost: those that are told as dropped are behind it.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next.unwrap_or_default() + self.dropped
    }

    /// The connection that was told as Live, and not as over.
    #[must_use]
    pub const fn open(&self) -> Option<u64> {
        self.open
    }

    /// A connection was told as Live.
    ///
    /// # Errors
    /// If another one still is, or it is told twice or out of order.
    pub fn live(&mut self, connection: u64) -> Verdict {
        hold!(self.open.is_none(), D2, "Live {connection} while {:?} is", self.open);
        hold!(connection > self.marked, D2, "Live {connection} after {}", self.marked);
        (self.open, self.marked) = (Some(connection), connection);
        Ok(())
    }

    /// A connection was told as over, one that never turned Live perhaps.
    ///
    /// # Errors
    /// If another one is Live, or it is told twice or out of order.
    pub fn interrupted(&mut self, connection: u64) -> Verdict {
        let fits = self.open.map_or(connection > self.marked, |open| open == connection);
        hold!(fits, D2, "Interrupted {connection} while {:?} is Live, after {}", self.open, self.marked);
        (self.open, self.marked, self.interrupted) = (None, connection, true);
        Ok(())
    }

    /// So many items were told as dropped.
    ///
    /// # Errors
    /// If none may be.
    pub fn dropped(&mut self, count: u64) -> Verdict {
        hold!(self.losses == Losses::Dropped && count > 0, D4, "{count} dropped, and {:?} may", self.losses);
        self.dropped += count;
        Ok(())
    }

    /// An item came.
    ///
    /// # Errors
    /// If one before it is missing without an announcement, or it is doubled or out of order.
    pub fn item(&mut self, number: u64, connection: u64) -> Verdict {
        let next = self.next.unwrap_or(number);
        hold!(number >= next, D2, "item {number} where {next} was to come: doubled or out of order");
        let gap = number - next;
        hold!(self.dropped <= gap, D4, "{} told as dropped before {number}, {gap} are missing", self.dropped);
        let lost = gap - self.dropped;
        let may_lose = self.losses == Losses::Interrupted && self.interrupted;
        hold!(lost == 0 || may_lose, D2, "{lost} items before {number} are missing");
        let same = self.connection == Some(connection);
        let first = self.connection.is_none();
        hold!(first || same || self.interrupted, D2, "no interruption before connection {connection}");
        hold!(!(same && self.interrupted), D2, "an interruption within connection {connection}");
        self.next = Some(number + 1);
        self.connection = Some(connection);
        self.interrupted = false;
        self.dropped = 0;
        Ok(())
    }

    /// Everything has been taken; `connection` is the one that is open by now.
    ///
    /// # Errors
    /// If the end of an earlier one was not told.
    pub fn taken(&self, connection: Option<u64>) -> Verdict {
        let over = |id: Option<u64>| id.is_some() && id != connection;
        hold!(!over(self.connection) || self.interrupted, D2, "the last item's connection ended unseen");
        hold!(!over(self.open), D2, "the last Live's connection ended unseen");
        Ok(())
    }
}
