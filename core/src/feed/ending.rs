//! How attempts and connections end: one path for all of them (R1), and the end of the feed itself.

use core::time::Duration;

use crate::action::{Action, Notice};
use crate::bugs::bug;
use crate::effects::Effects;
use crate::failure::{Failure, StopReason};
use crate::feed::Feed;
use crate::frame::{CloseFrame, ConnectionId};
use crate::handler::FrameHandler;
use crate::phase::{State, Then};
use crate::retry::Next;

impl<H: FrameHandler> Feed<H> {
    /// The attempt or connection is gone.
    pub(super) fn fail(&mut self, failure: Failure) {
        let next = self.decide(&failure);
        self.report_end(Some(&failure));
        self.forget_sends();
        self.retry_or_stop(next, failure);
    }

    /// The attempt or connection is of no use any more: drop it, then as if it were gone.
    pub(super) fn abort(&mut self, id: ConnectionId, failure: Failure) {
        let next = self.decide(&failure);
        self.report_end(Some(&failure));
        self.drop_socket(id);
        self.retry_or_stop(next, failure);
    }

    /// Starts the closing handshake, or answers the peer's; the socket is gone within `close_timeout` (C5).
    pub(super) fn close(&mut self, id: ConnectionId, frame: Option<CloseFrame>, then: Then) {
        self.end_streak_if_stable();
        self.report_end(match &then {
            Then::Retry(failure) => Some(failure),
            Then::ShutDown => None,
        });
        self.actions.push_back(Action::Close { id, frame });
        if bug!(DuplicateConnect) {
            self.stats.attempts = self.stats.attempts.saturating_add(1);
            self.actions.push_back(Action::Connect { id: ConnectionId::new(self.stats.attempts) });
        }
        let timeout = bug!(NoCloseDeadline: Duration::MAX, not self.settings.close_timeout);
        let deadline = self.now.saturating_add(timeout);
        self.enter(State::Closing { id, deadline, then });
    }

    /// The closing handshake is over, or has had its time.
    pub(super) fn closed(&mut self) {
        let State::Closing { then, .. } = &mut self.state else { return };
        match core::mem::replace(then, Then::ShutDown) {
            Then::Retry(failure) => {
                let next = self.decide(&failure);
                self.forget_sends();
                self.retry_or_stop(next, failure);
            }
            Then::ShutDown => self.stop(StopReason::Shutdown),
        }
    }

    pub(super) fn drop_socket(&mut self, id: ConnectionId) {
        self.forget_sends();
        self.actions.push_back(Action::Abort { id });
    }

    pub(super) fn stop(&mut self, reason: StopReason) {
        self.forget_sends();
        self.notify(Notice::Stopped { reason: reason.clone() });
        self.enter(State::Stopped { reason });
    }

    /// A function of the application panicked: nothing it owns can be trusted any more (H5).
    pub(super) fn handler_panicked(&mut self) {
        self.effects = Effects::default();
        self.queue.unstage();
        if self.stopped().is_some() {
            return;
        }
        self.report_end(None);
        if let Some(id) = self.state.connection() {
            self.drop_socket(id);
        }
        self.stop(StopReason::HandlerPanicked);
    }

    /// Asks the retry policy. The application's own functions run in here, so it comes before anything is reported: if
    /// one panics, the end is still to be told, and is told once (H5, T2).
    fn decide(&mut self, failure: &Failure) -> Next {
        self.end_streak_if_stable();
        self.retry.next(failure, &mut self.rng, self.now)
    }

    /// A connection that was Live for long enough ends the streak (R4).
    fn end_streak_if_stable(&mut self) {
        if let State::Live { since, .. } = &self.state
            && self.now.saturating_since(*since) >= self.settings.stable_after
            && !bug!(StreakNeverReset)
        {
            self.retry.reset();
        }
    }

    /// A bug's way back: past the one path for all (R1).
    #[cfg(tidegate_bugs)]
    pub(super) fn redial(&mut self, failure: &Failure) {
        self.report_end(Some(failure));
        self.forget_sends();
        self.enter(State::Waiting { until: self.now });
        self.connect();
    }

    fn retry_or_stop(&mut self, next: Next, failure: Failure) {
        match next {
            Next::RetryAt { at, attempt, delay } => {
                self.notify(Notice::Retry { attempt, delay });
                self.enter(State::Waiting { until: at });
            }
            Next::Exhausted => self.stop(StopReason::RetriesExhausted { last: failure }),
            Next::Fatal => self.stop(StopReason::Fatal { failure }),
        }
    }

    /// Tells consumer and watchers that the present attempt or connection has ended, once (T2). No failure means that
    /// the application ended it.
    fn report_end(&mut self, failure: Option<&Failure>) {
        match &self.state {
            State::Connecting { id, .. } => {
                let id = *id;
                self.notify_failed(id, failure);
            }
            State::Bootstrapping { link, .. } => {
                let id = link.id;
                self.queue.mark_interrupted(id, failure);
                self.notify_failed(id, failure);
            }
            State::Live { link, .. } => {
                let id = link.id;
                self.queue.mark_interrupted(id, failure);
                if !bug!(StatusStaysUp) {
                    self.notify(Notice::Status { live: false });
                }
                self.notify(match failure.cloned() {
                    Some(failure) if failure.is_timeout() => Notice::Timeout { id, failure },
                    failure => Notice::Disconnected { id, failure },
                });
            }
            // A closing connection has been reported when its closing began.
            State::Idle | State::Closing { .. } | State::Waiting { .. } | State::Stopped { .. } => {}
        }
    }

    fn notify_failed(&mut self, id: ConnectionId, failure: Option<&Failure>) {
        if let Some(failure) = failure.cloned() {
            self.notify(Notice::Failure { id, failure });
        }
    }

    /// What was accepted on a connection is sent on that one or not at all (O1).
    fn forget_sends(&mut self) {
        self.actions.retain(|action| match action {
            Action::Send { .. } | Action::Close { .. } => false,
            Action::Connect { .. } | Action::Abort { .. } | Action::Notify(_) => true,
        });
    }
}
