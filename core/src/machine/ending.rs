//! How attempts, connections and the feed end. All ends of connections take one path (R1).

use crate::action::Notice;
use crate::failure::{Failure, StopReason};
use crate::frame::{CloseFrame, ConnectionId, Frame};
use crate::handler::FrameHandler;
use crate::machine::{Common, End, Machine};
use crate::phase::{AfterClose, OpenConnection, Progress, Slot, Stage, State};
use crate::retry::{Decision, Retry};

impl<H: FrameHandler> Machine<H> {
    /// Ends the current attempt or connection.
    pub(super) fn end(&mut self, id: ConnectionId, end: End) {
        match end {
            End::Lost(failure) => {
                let next = self.decide(&failure);
                self.report_end(Some(&failure));
                self.common.outbox.clear();
                self.retry_or_stop(next, failure);
            }
            End::Abort(failure) => {
                let next = self.decide(&failure);
                self.report_end(Some(&failure));
                self.common.drop_socket(id);
                self.retry_or_stop(next, failure);
            }
            End::Close(frame, then) => self.close(id, frame, then),
        }
    }

    /// Starts the closing handshake, or answers the peer's. The socket is dropped within `close_timeout` (C5).
    fn close(&mut self, id: ConnectionId, frame: Option<CloseFrame>, then: AfterClose) {
        self.end_streak_if_stable();
        self.report_end(then.failure());
        let common = &mut self.common;
        common.outbox.push(Frame::Close(frame));
        common.outbox.exempt();
        let deadline = common.now.saturating_add(common.config.close_timeout);
        let why = then.failure().cloned();
        self.enter(State::Active(Slot { id, stage: Stage::Closing { deadline, then } }), why.as_ref());
    }

    /// Ends the connection after its closing handshake, or after the time limit.
    pub(super) fn closed(&mut self, then: AfterClose) {
        self.common.outbox.clear();
        match then {
            AfterClose::Retry(failure) => {
                let next = self.decide(&failure);
                self.retry_or_stop(next, failure);
            }
            AfterClose::ShutDown => self.stop(StopReason::Shutdown),
        }
    }

    pub(super) fn stop(&mut self, reason: StopReason) {
        let (notice, state) = stopped(reason);
        self.common.notify(notice);
        self.state = state;
    }

    /// Enters a state without an open connection. The handler is told last, since it may panic.
    fn enter(&mut self, state: State<H::Session>, why: Option<&Failure>) {
        if let State::Active(Slot { stage: Stage::Open(connection), .. }) =
            core::mem::replace(&mut self.state, state)
        {
            self.common.handler.on_end(connection.session, why);
        }
    }

    /// Stops the feed without its runtime. A shutdown that had begun remains one (S3).
    pub(super) fn runtime_stopped(&mut self) {
        let reason = match &self.state {
            State::Stopped { .. } => return,
            State::Active(Slot { stage: Stage::Closing { then: AfterClose::ShutDown, .. }, .. }) => {
                StopReason::Shutdown
            }
            State::Idle | State::Active(_) | State::Waiting { .. } => StopReason::RuntimeStopped,
        };
        self.cut_off();
        let (notice, state) = stopped(reason);
        self.common.notify(notice);
        self.enter(state, None);
    }

    /// Stops the feed: a function of the application panicked, so its values cannot be trusted (H5).
    pub(super) fn handler_panicked(&mut self) {
        self.common.requests = None;
        self.common.queue.discard_staged();
        if self.stopped().is_some() {
            return;
        }
        self.cut_off();
        self.stop(StopReason::HandlerPanicked);
    }

    /// Drops the connection without a closing handshake.
    fn cut_off(&mut self) {
        self.report_end(None);
        if let Some(id) = self.state.connection() {
            self.common.drop_socket(id);
        }
    }

    /// Asks the retry policy. It may call functions of the application, so it is asked before the end is reported: if
    /// one panics, the end is still reported once (H5, T2).
    fn decide(&mut self, failure: &Failure) -> Decision {
        self.end_streak_if_stable();
        let Common { config, retry, rng, now, .. } = &mut self.common;
        retry.next(&config.retry, failure, rng, *now)
    }

    /// Ends the streak if the connection was Live for long enough (R4).
    fn end_streak_if_stable(&mut self) {
        if let State::Active(Slot { stage: Stage::Open(connection), .. }) = &self.state
            && let Progress::Live { since } = connection.progress
            && self.common.now.saturating_since(since) >= self.common.config.stable_after
        {
            self.common.retry = Retry::new(&self.common.config.retry.policy);
        }
    }

    fn retry_or_stop(&mut self, next: Decision, failure: Failure) {
        let (notice, state) = match next {
            Decision::RetryAt { at, attempt, delay } => {
                (Notice::Retry { attempt, delay }, State::Waiting { until: at })
            }
            Decision::Exhausted => stopped(StopReason::RetriesExhausted { last: failure.clone() }),
            Decision::Fatal => stopped(StopReason::Fatal { failure: failure.clone() }),
        };
        self.common.notify(notice);
        self.enter(state, Some(&failure));
    }

    /// Reports the end of the current attempt or connection to consumer and observers, once (T2). `None` means that the
    /// application ended it.
    fn report_end(&mut self, failure: Option<&Failure>) {
        let State::Active(Slot { id, stage }) = &self.state else { return };
        let id = *id;
        let common = &mut self.common;
        match stage {
            Stage::Connecting { .. } => common.notify_failed(id, failure),
            Stage::Open(OpenConnection { progress: Progress::Bootstrapping(_), .. }) => {
                common.queue.mark_interrupted(id, failure);
                common.notify_failed(id, failure);
            }
            Stage::Open(OpenConnection { progress: Progress::Live { .. }, .. }) => {
                common.queue.mark_interrupted(id, failure);
                common.notify(Notice::Status { live: false });
                common.notify(match failure.cloned() {
                    Some(failure) if failure.is_timeout() => Notice::Timeout { id, failure },
                    failure => Notice::Disconnected { id, failure },
                });
            }
            // Reported when the closing began.
            Stage::Closing { .. } => {}
        }
    }
}

fn stopped<S>(reason: StopReason) -> (Notice, State<S>) {
    (Notice::Stopped { reason: reason.clone() }, State::Stopped { reason })
}

impl<H: FrameHandler> Common<H> {
    fn notify_failed(&mut self, id: ConnectionId, failure: Option<&Failure>) {
        if let Some(failure) = failure.cloned() {
            self.notify(Notice::Failure { id, failure });
        }
    }
}
