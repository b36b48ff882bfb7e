//! Numbered items, as a consumer sees them.

use core::fmt;

use crate::demand::{Delivery, Overflow};
use crate::frame::ConnectionId;

/// A check of a feed whose items are numbered.
///
/// Items must not be lost, repeated or out of order, except where a marker announces it. The numbers must go on
/// over all connections. For a peer that starts over on each one, use one check per connection.
///
/// ```
/// use tidegate_core::{ConnectionId, Continuity, Delivery, Discontinuity, Overflow};
///
/// let [first, second] = [1, 2].map(ConnectionId::new);
/// let mut continuity = Continuity::numbered_by_peer(Overflow::Pause);
/// let mut check = |delivery| continuity.check(&delivery, |trade| Some(*trade));
///
/// check(Delivery::Opened { id: first })?;
/// assert_eq!(check(Delivery::Item(17)), Ok(0));
/// check(Delivery::Interrupted { id: first, failure: None })?;
/// check(Delivery::Opened { id: second })?;
/// assert_eq!(check(Delivery::Item(20)), Ok(2), "18 and 19 are missing, where `Interrupted` is");
/// assert_eq!(check(Delivery::Item(22)), Err(Discontinuity::Lost { count: 1 }));
/// # Ok::<(), Discontinuity>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Continuity {
    numbering: Numbering,
    overflow: Overflow,
    /// The number after the last item's.
    next: Option<u64>,
    progress: Progress,
    /// Whether a connection ended or opened after the last item. One that did both between two items has no marker.
    interrupted: bool,
    /// Number of items announced as dropped after the last item.
    dropped: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Numbering {
    Handler,
    Peer,
}

/// What the markers say of the last connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Progress {
    Over,
    Opened(ConnectionId),
    Live(ConnectionId),
}

/// The error of a delivery that does not fit the earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Discontinuity {
    /// Items are missing, and no marker announces that.
    Lost {
        /// The number of items that no marker accounts for.
        count: u64,
    },
    /// The item's number is not above that of an item before it.
    Repeated {
        /// The item's number.
        number: u64,
    },
    /// More items are announced as dropped than are missing.
    Dropped {
        /// The number of items announced.
        announced: u64,
        /// The number of items missing.
        missing: u64,
    },
    /// The delivery does not fit the markers before it: a connection that opens within another one, `Live` twice, the end
    /// of another connection, or an item that the peer numbers outside of a connection.
    Marker,
}

impl Continuity {
    /// Returns a check of items that the handler numbers over all connections, starting at `first`.
    ///
    /// The handler gives no numbers to what it never receives. So numbers are missing only where the overflow policy
    /// dropped items, or ended the connection ([`Overflow::Disconnect`]).
    #[must_use]
    pub const fn numbered_by_handler(overflow: Overflow, first: u64) -> Self {
        Self { numbering: Numbering::Handler, next: Some(first), ..Self::numbered_by_peer(overflow) }
    }

    /// Returns a check of items that the peer numbers over all connections, starting anywhere. Numbers are missing also
    /// where a connection ended.
    #[must_use]
    pub const fn numbered_by_peer(overflow: Overflow) -> Self {
        Self {
            numbering: Numbering::Peer,
            overflow,
            next: None,
            progress: Progress::Over,
            interrupted: false,
            dropped: 0,
        }
    }

    /// Returns the number that comes next if nothing more is lost. `None` before the first item of a peer.
    #[must_use]
    pub fn next(&self) -> Option<u64> {
        self.next.map(|next| next.saturating_add(self.dropped))
    }

    /// Returns the connection that has opened and not ended, by the markers.
    #[must_use]
    pub const fn connection(&self) -> Option<ConnectionId> {
        match self.progress {
            Progress::Opened(id) | Progress::Live(id) => Some(id),
            Progress::Over => None,
        }
    }

    /// Returns whether that connection is Live.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        matches!(self.progress, Progress::Live(_))
    }

    /// Checks the next delivery. `number` returns an item's number, or `None` for an item without one.
    ///
    /// Returns how many items are missing right before this one, all of them announced. 0 for a marker, and for an item
    /// without a number.
    ///
    /// # Errors
    ///
    /// A [`Discontinuity`] if the delivery does not fit those before it. The next delivery is checked as if it had. A
    /// repeated item does not change the number that comes next.
    pub fn check<T>(
        &mut self,
        delivery: &Delivery<T>,
        number: impl FnOnce(&T) -> Option<u64>,
    ) -> Result<u64, Discontinuity> {
        let before = self.progress;
        let fits = match delivery {
            Delivery::Item(item) => {
                let missing = number(item).map_or(Ok(0), |number| self.item(number))?;
                // A handler may emit without a connection, for a command.
                let outside = before == Progress::Over && self.numbering == Numbering::Peer;
                return if outside { Err(Discontinuity::Marker) } else { Ok(missing) };
            }
            Delivery::Opened { id } => {
                self.progress = Progress::Opened(*id);
                self.interrupted = true;
                before == Progress::Over
            }
            Delivery::Live { id } => {
                self.progress = Progress::Live(*id);
                before == Progress::Opened(*id)
            }
            Delivery::Interrupted { id, .. } => {
                self.progress = Progress::Over;
                self.interrupted = true;
                before == Progress::Opened(*id) || before == Progress::Live(*id)
            }
            Delivery::Dropped { count } => {
                self.dropped = self.dropped.saturating_add(*count);
                if !self.overflow.drops() || *count == 0 {
                    return Err(Discontinuity::Dropped { announced: *count, missing: 0 });
                }
                true
            }
        };
        if fits { Ok(0) } else { Err(Discontinuity::Marker) }
    }

    fn item(&mut self, number: u64) -> Result<u64, Discontinuity> {
        let next = self.next.unwrap_or(number);
        let interrupted = core::mem::take(&mut self.interrupted);
        let announced = core::mem::take(&mut self.dropped);
        let Some(missing) = number.checked_sub(next) else { return Err(Discontinuity::Repeated { number }) };
        self.next = Some(number.saturating_add(1));
        let Some(lost) = missing.checked_sub(announced) else {
            return Err(Discontinuity::Dropped { announced, missing });
        };
        let interruptions_lose = self.numbering == Numbering::Peer || self.overflow == Overflow::Disconnect;
        if lost > 0 && !(interrupted && interruptions_lose) {
            return Err(Discontinuity::Lost { count: lost });
        }
        Ok(missing)
    }
}

impl fmt::Display for Discontinuity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost { count } => write!(f, "items missing without an announcement: {count}"),
            Self::Repeated { number } => write!(f, "item {number} is repeated or out of order"),
            Self::Dropped { announced, missing } => {
                write!(f, "items announced as dropped: {announced}; missing: {missing}")
            }
            Self::Marker => f.write_str("the delivery does not fit the markers before it"),
        }
    }
}

impl core::error::Error for Discontinuity {}
