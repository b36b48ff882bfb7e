//! What is due, and the second look before a verdict (L2).

use std::time::Duration;

use tidegate_core::{ConnectionId, Deadline, Event, Failure, FrameHandler, Timestamp};

use super::Engine;
use crate::bugs::bug;
use crate::link::Link;
use crate::runtime::Runtime;

/// How long the runtime has to look at the socket before a verdict. One turn of its loop is enough; a runtime's timer may
/// take a millisecond more.
const SECOND_LOOK: Duration = Duration::from_millis(1);

impl<R: Runtime, H: FrameHandler> Engine<R, H> {
    /// Acts on what is due.
    pub(super) fn time(&mut self, now: Timestamp) -> bool {
        if !self.feed.deadline().is_due(now) && self.broken_line().is_none() {
            self.verdict = Deadline::Never;
            return false;
        }
        self.judge(now)
    }

    /// No verdict without a second look (L2): a runtime may have answered from what it knew of the socket before the process
    /// was stopped, or before the thread was kept busy.
    #[cold]
    fn judge(&mut self, now: Timestamp) -> bool {
        if let Link::Up { id, line } = &self.link {
            // Bytes that are no whole frame yet count too (L1).
            let (id, at) = (*id, line.heard());
            self.tell(Event::Heard { id, at }, now);
        }
        let due = self.feed.deadline().is_due(now);
        let broken = self.broken_line();
        let is_verdict = self.feed.failure_deadline().is_due(now) || (broken.is_some() && !due);
        if is_verdict && !self.has_looked(now) {
            return false;
        }
        self.verdict = Deadline::Never;
        match broken {
            Some((id, failure)) if is_verdict => return self.lost(id, failure, now),
            // The end of a closing handshake waits for nothing.
            Some(_) | None if due => self.tell(Event::Tick, now),
            Some(_) | None => {}
        }
        due
    }

    /// Whether the runtime had the time for a second look; it begins when this is asked first.
    fn has_looked(&mut self, now: Timestamp) -> bool {
        if self.verdict == Deadline::Never {
            let look = bug!(VerdictWithoutLook: Duration::ZERO, not SECOND_LOOK);
            self.verdict = Deadline::At(now.saturating_add(look));
        }
        self.verdict.is_due(now)
    }

    /// The connection that cannot be written to any more, and why. While reading is held back, what has arrived must wait.
    fn broken_line(&self) -> Option<(ConnectionId, Failure)> {
        match &self.link {
            Link::Up { id, line } if self.feed.wants_frames() => {
                line.failed().map(|failure| (*id, failure.clone()))
            }
            Link::Up { .. } | Link::Down | Link::Resolving { .. } | Link::Connecting { .. } => None,
        }
    }
}
