//! Deadlines, the timer for the next one, and the second look before a verdict (L2).

use std::task::{Context, Poll};
use std::time::Duration;

use tidegate_core::{ConnectionId, Deadline, Event, Failure, FrameHandler, StopReason};

use super::Engine;
use super::poll::PollState;
use crate::runtime::{Alarm, Runtime};

/// Time for the runtime to check the socket before a verdict. One poll of its loop is enough. Its timer may be a
/// millisecond late.
const SECOND_LOOK: Duration = Duration::from_millis(1);

/// Time limit for reading after the second look. A long backlog may have arrived, and is read first; a flood never
/// ends.
const BACKLOG: Duration = Duration::from_secs(1);

impl<R: Runtime, H: FrameHandler> Engine<R, H> {
    /// Acts on deadlines that have passed. Returns whether anything changed.
    pub(super) fn time(&mut self, poll: &mut PollState) -> bool {
        poll.deadline = self.machine.deadline();
        if !poll.deadline.is_due(poll.now) && self.broken().is_none() {
            self.verdict = Deadline::Never;
            return false;
        }
        self.judge(poll)
    }

    /// Acts on a verdict only after a second look (L2). The runtime may have answered from an old state of the socket,
    /// from before the process was stopped or the thread was busy.
    #[cold]
    fn judge(&mut self, poll: &mut PollState) -> bool {
        let now = poll.now;
        // Bytes of an unfinished frame count too (L1).
        let heard: Vec<_> = self.links.all_open().map(|(id, connection)| (id, connection.heard())).collect();
        heard.into_iter().for_each(|(id, at)| self.tell(Event::Heard { id, at }, now));
        poll.deadline = self.machine.deadline();
        let due = poll.deadline.is_due(now);
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
            // The end of a closing handshake needs no second look.
            Some(_) | None if due => self.tell(Event::Tick, now),
            Some(_) | None => {}
        }
        due
    }

    /// Returns whether the second look is over. The first call starts it.
    fn has_looked(&mut self, poll: &PollState) -> bool {
        let Deadline::At(end) = self.verdict else {
            // The clock is read again, since the poll may have begun long ago.
            self.verdict = Deadline::At(self.runtime.now().saturating_add(SECOND_LOOK));
            return false;
        };
        let readable = self.links.all_open().any(|(_, connection)| connection.readable);
        let still_reading = readable && self.machine.wants_frames();
        let end = if still_reading { end.saturating_add(BACKLOG) } else { end };
        poll.now >= end
    }

    /// Returns the connection that can no longer be written to, and why. `None` while reading is paused, since what has
    /// arrived must be read first.
    fn broken(&mut self) -> Option<(ConnectionId, Failure)> {
        if !self.machine.wants_frames() {
            return None;
        }
        self.links.all_open().find_map(|(id, connection)| Some((id, connection.failed()?.clone())))
    }

    /// Sets the alarm if it must fire earlier than before, or has fired. Registers the waker with it.
    pub(super) fn park(
        &mut self,
        cx: &mut Context<'_>,
        poll: &PollState,
        comes_back: bool,
    ) -> Poll<StopReason> {
        // Commands that came meanwhile, or for which there is room again.
        if self.inbox.is_due(&self.machine) {
            cx.waker().wake_by_ref();
        }
        if poll.budget.is_spent() && self.machine.wants_frames() {
            if !comes_back {
                cx.waker().wake_by_ref();
            }
            return Poll::Pending;
        }
        let deadline = match self.verdict {
            Deadline::Never => poll.deadline,
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
            // The clock decides whether a deadline has passed, not the alarm. Poll again.
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}
