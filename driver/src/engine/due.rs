//! Deadlines, the alarm for the next one, and the second look before a verdict (L2).

use std::task::{Context, Poll};
use std::time::Duration;

use tidegate_core::{ConnectionId, Deadline, Event, Failure, FrameHandler, StopReason};

use super::Engine;
use super::poll::PollState;
use crate::runtime::{Alarm, Runtime};

/// How long the runtime has to look at the socket before a verdict. One poll of its loop is enough; a runtime's timer may
/// take a millisecond more.
const SECOND_LOOK: Duration = Duration::from_millis(1);

/// How long reading may go on after it: what had arrived may be much, and is read first. A flood has no end.
const BACKLOG: Duration = Duration::from_secs(1);

impl<R: Runtime, H: FrameHandler> Engine<R, H> {
    /// Acts on what is due.
    pub(super) fn time(&mut self, poll: &PollState) -> bool {
        let now = poll.now;
        if !self.machine.deadline().is_due(now) && self.broken().is_none() {
            self.verdict = Deadline::Never;
            return false;
        }
        self.judge(poll)
    }

    /// No verdict without a second look (L2): a runtime may have answered from what it knew of the socket before the process
    /// was stopped, or before the thread was kept busy.
    #[cold]
    fn judge(&mut self, poll: &PollState) -> bool {
        let now = poll.now;
        // Bytes that are no whole frame yet count too (L1).
        let heard: Vec<_> = self.links.all_open().map(|(id, connection)| (id, connection.heard())).collect();
        heard.into_iter().for_each(|(id, at)| self.tell(Event::Heard { id, at }, now));
        let due = self.machine.deadline().is_due(now);
        let broken = self.broken();
        let is_verdict = self.machine.failure_deadline().is_due(now) || (broken.is_some() && !due);
        if is_verdict && !self.has_looked(poll) {
            return false;
        }
        if is_verdict || broken.is_none() {
            self.verdict = Deadline::Never;
        }
        match broken {
            Some((id, failure)) if is_verdict => return self.lost(id, failure, now),
            // The end of a closing handshake waits for nothing.
            Some(_) | None if due => self.tell(Event::Tick, now),
            Some(_) | None => {}
        }
        due
    }

    /// Whether the second look is over. The first call starts it.
    fn has_looked(&mut self, poll: &PollState) -> bool {
        let Deadline::At(end) = self.verdict else {
            // The poll may have begun long ago.
            self.verdict = Deadline::At(self.runtime.now().saturating_add(SECOND_LOOK));
            return false;
        };
        let readable = self.links.all_open().any(|(_, connection)| connection.readable);
        let still_reading = readable && self.machine.wants_frames();
        let end = if still_reading { end.saturating_add(BACKLOG) } else { end };
        poll.now >= end
    }

    /// The connection that cannot be written to any more, and why. While reading is held back, what has arrived must wait.
    fn broken(&mut self) -> Option<(ConnectionId, Failure)> {
        if !self.machine.wants_frames() {
            return None;
        }
        self.links.all_open().find_map(|(id, connection)| Some((id, connection.failed()?.clone())))
    }

    /// Moves the alarm if it must ring earlier than it would, or has rung; and registers with it.
    pub(super) fn park(
        &mut self,
        cx: &mut Context<'_>,
        poll: &PollState,
        comes_back: bool,
    ) -> Poll<StopReason> {
        if poll.budget.is_spent() && self.machine.wants_frames() {
            if !comes_back {
                cx.waker().wake_by_ref();
            }
            return Poll::Pending;
        }
        let deadline = match self.verdict {
            Deadline::Never => self.machine.deadline(),
            Deadline::At(_) => self.verdict,
        };
        if let Deadline::At(at) = deadline
            && deadline < self.alarm_at
        {
            self.alarm.set(at);
            self.alarm_at = deadline;
        }
        if self.alarm_at != Deadline::Never && self.alarm.poll_ring(cx).is_ready() {
            self.alarm_at = Deadline::Never;
            // The clock decides whether something is due, not the alarm: look again.
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}
