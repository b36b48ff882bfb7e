//! Events of an open connection, bootstrapping or Live: frames, the handler, and what it requests.

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::action::{Action, Notice};
use crate::bootstrap::Bootstrap;
use crate::demand::{Admission, Reading};
use crate::event::Event;
use crate::failure::{BootstrapFailure, ConnectionFailure, Failure, Fault, LocalFailure};
use crate::frame::{CloseFrame, ConnectionId, Frame, Message};
use crate::handler::{Context, FrameHandler, Requests, Upgrade, checked};
use crate::liveness::{Health, Liveness};
use crate::machine::{Common, End};
use crate::phase::{AfterClose, OpenConnection, Progress};
use crate::time::{Deadline, Timestamp};

impl<H: FrameHandler> Common<H> {
    /// Lets the handler create its session and send bootstrap frames (B1).
    pub(super) fn upgrade(&mut self, id: ConnectionId) -> Result<OpenConnection<H::Session>, End> {
        let (mut sends, mut requests) = (Vec::new(), None);
        let mut upgrade =
            Upgrade { now: self.now, connection: id, sends: &mut sends, requests: &mut requests };
        let refused =
            |fault| End::close(AfterClose::Retry(Failure::Bootstrap(BootstrapFailure::Fault(fault))));
        let session = self.handler.on_upgrade(&mut upgrade).map_err(refused)?;
        let sendable: Result<Vec<Message>, _> = sends.into_iter().map(checked).collect();
        let sends = sendable.map_err(|error| refused(Fault::fatal(alloc::format!("{error}"))))?;
        sends.into_iter().for_each(|message| self.outbox.push(message));
        let (readiness, last_frame) = (self.handler.readiness(), self.outbox.exempt());
        let bootstrap = Bootstrap::new(readiness, last_frame, self.config.bootstrap_timeout, self.now);
        let connection = OpenConnection {
            session,
            liveness: Liveness::new(self.config.liveness, self.now),
            progress: Progress::Bootstrapping(bootstrap),
            wake: requests.and_then(|requests| requests.wake_at).map_or(Deadline::Never, |at| self.wake(at)),
        };
        if let Reading::Paused { since } = &mut self.reading {
            *since = self.now;
            self.paused(id, &connection)?;
        }
        Ok(connection)
    }

    pub(super) fn on_open(
        &mut self,
        id: ConnectionId,
        connection: &mut OpenConnection<H::Session>,
        event: Event,
    ) -> Result<(), End> {
        match event {
            Event::Frame { frame, .. } => return self.on_frame(id, connection, frame),
            Event::Heard { at, .. } => connection.liveness.heard_part(at.min(self.now)),
            Event::ProtocolError { code, detail, .. } => {
                let failure = connection
                    .progress
                    .failure(Failure::Connection(ConnectionFailure::Protocol { code, detail }));
                return Err(End::Close(Some(CloseFrame::new(code)), AfterClose::Retry(failure)));
            }
            Event::Flushed { .. } => self.flushed(id, connection),
            Event::Lost { failure, .. } => return Err(End::Lost(connection.progress.failure(failure))),
            Event::Tick => return self.on_tick(id, connection),
            Event::Shutdown => return Err(End::close(AfterClose::ShutDown)),
            Event::Start | Event::HandlerPanicked => {}
            Event::Connected { .. } | Event::ConnectFailed { .. } => self.count_stale(),
        }
        Ok(())
    }

    /// Fast path: a message whose items fit, and that requests nothing. All else takes [`Self::carry_out`].
    #[inline(always)]
    pub(super) fn on_message(
        &mut self,
        id: ConnectionId,
        connection: &mut OpenConnection<H::Session>,
        message: Message,
    ) -> Result<(), End> {
        connection.liveness.heard(self.now);
        self.stats.messages += 1;
        let verdict =
            self.call(id, connection, |handler, session, cx| handler.on_message(session, message, cx));
        if verdict.is_ok()
            && self.requests.is_none()
            && let Some(items) = self.queue.commit()
        {
            if items > 0 {
                connection.liveness.emitted(self.now);
                self.stats.items += items as u64;
            }
            return Ok(());
        }
        self.carry_out(id, connection, verdict)
    }

    #[inline(always)]
    fn call(
        &mut self,
        id: ConnectionId,
        connection: &mut OpenConnection<H::Session>,
        method: impl FnOnce(&mut H, &mut H::Session, &mut Context<'_, H::Item>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut cx = Context {
            now: self.now,
            connection: id,
            outbox: &mut self.outbox,
            queue: &mut self.queue,
            weigh: H::weight,
            requests: &mut self.requests,
        };
        method(&mut self.handler, &mut connection.session, &mut cx)
    }

    /// Handles a control frame, or a message that arrived although reading is paused.
    fn on_frame(
        &mut self,
        id: ConnectionId,
        connection: &mut OpenConnection<H::Session>,
        frame: Frame,
    ) -> Result<(), End> {
        connection.liveness.heard(self.now);
        match frame {
            // Reading is paused: otherwise the message would have taken the fast path (D3).
            Frame::Message(_) => Err(End::Abort(Failure::Local(LocalFailure::Overflow))),
            Frame::Ping(_) => Ok(()),
            Frame::Pong(payload) => {
                if let Some(round_trip) = connection.liveness.pong(&payload, self.now) {
                    self.stats.round_trip = Some(round_trip);
                    self.notify(Notice::Pong { id, round_trip });
                }
                Ok(())
            }
            Frame::Close(frame) => {
                // The answer repeats the code, without the reason (RFC 6455 §5.5.1).
                let answer = frame.as_ref().map(|frame| CloseFrame::new(frame.code));
                Err(End::Close(
                    answer,
                    AfterClose::Retry(Failure::Connection(ConnectionFailure::Closed(frame))),
                ))
            }
        }
    }

    /// Notes that all frames taken are with the operating system.
    fn flushed(&mut self, id: ConnectionId, connection: &mut OpenConnection<H::Session>) {
        let flushed = self.outbox.flush();
        if let Progress::Bootstrapping(bootstrap) = &mut connection.progress {
            bootstrap.flushed(flushed);
        }
        self.live_if_done(id, connection);
    }

    fn on_tick(&mut self, id: ConnectionId, connection: &mut OpenConnection<H::Session>) -> Result<(), End> {
        if connection.progress.deadline(self.reading).is_due(self.now) {
            return Err(End::Abort(Failure::Bootstrap(BootstrapFailure::Timeout)));
        }
        match connection.liveness.tick(self.reading, self.now) {
            Health::Alive => {}
            Health::Ping(payload) => self.outbox.push(Frame::Ping(Bytes::copy_from_slice(&payload))),
            // Frames still arrive, so the peer can answer a Close.
            Health::Dead(Failure::Connection(ConnectionFailure::Stale)) => {
                return Err(End::close(AfterClose::Retry(Failure::Connection(ConnectionFailure::Stale))));
            }
            Health::Dead(failure) => return Err(End::Abort(failure)),
        }
        if self.reading == Reading::On && connection.wake.is_due(self.now) {
            connection.wake = Deadline::Never;
            let verdict = self.call(id, connection, |handler, session, cx| handler.on_wake(session, cx));
            return self.carry_out(id, connection, verdict);
        }
        Ok(())
    }

    /// Carries out what the handler requested.
    #[inline(never)]
    fn carry_out(
        &mut self,
        id: ConnectionId,
        connection: &mut OpenConnection<H::Session>,
        verdict: Result<(), Fault>,
    ) -> Result<(), End> {
        let admission = self.queue_items(connection);
        let pauses = self.reading == Reading::On && self.queue.pauses();
        if pauses {
            // The queue is full even if this connection ends (D4).
            self.reading = Reading::Paused { since: self.now };
        }
        let requests = self.requests.take().unwrap_or_default();
        if let Err(fault) = verdict {
            return Err(End::close(AfterClose::Retry(match connection.progress {
                // For instance, a subscription was refused (B4).
                Progress::Bootstrapping(_) => Failure::Bootstrap(BootstrapFailure::Fault(fault)),
                Progress::Live { .. } => Failure::Local(LocalFailure::Fault(fault)),
            })));
        }
        if admission == Admission::Overflow {
            return Err(End::Abort(Failure::Local(LocalFailure::Overflow)));
        }
        if requests.reconnect {
            return Err(End::close(AfterClose::Retry(Failure::Local(LocalFailure::Reconnect))));
        }
        self.apply(connection, requests);
        if pauses {
            self.paused(id, connection)?;
        }
        self.live_if_done(id, connection);
        Ok(())
    }

    fn apply(&self, connection: &mut OpenConnection<H::Session>, requests: Requests) {
        if let Some(at) = requests.wake_at {
            connection.wake = self.wake(at);
        }
        if let (true, Progress::Bootstrapping(bootstrap)) = (requests.ready, &mut connection.progress) {
            bootstrap.declared();
        }
    }

    /// Replaces a time in the past by the next instant (P2).
    fn wake(&self, at: Timestamp) -> Deadline {
        Deadline::At(at.max(self.now.next()))
    }

    fn queue_items(&mut self, connection: &mut OpenConnection<H::Session>) -> Admission {
        let items = self.queue.staged();
        if items == 0 {
            return Admission::Granted;
        }
        connection.liveness.emitted(self.now);
        self.stats.items += items as u64;
        let dropped_before = self.queue.dropped();
        let admission = self.queue.admit();
        self.notify_dropped(self.queue.dropped() - dropped_before);
        admission
    }

    /// Adds to the last notice if it is of the same kind: a flood of messages must not become a flood of notices.
    fn notify_dropped(&mut self, more: u64) {
        if more == 0 {
            return;
        }
        if let Some(Action::Notify(Notice::Dropped { count })) = self.actions.back_mut() {
            *count += more;
        } else {
            self.notify(Notice::Dropped { count: more });
        }
    }

    /// Reports the start of a pause (D4).
    fn paused(&mut self, id: ConnectionId, connection: &OpenConnection<H::Session>) -> Result<(), End> {
        if let Progress::Bootstrapping(bootstrap) = &connection.progress
            && bootstrap.has_run_out(self.now)
        {
            return Err(End::Abort(Failure::Bootstrap(BootstrapFailure::Timeout)));
        }
        self.notify(Notice::Paused { id });
        Ok(())
    }

    /// Resumes reading (D4, L5).
    pub(super) fn resume(
        &mut self,
        id: ConnectionId,
        connection: &mut OpenConnection<H::Session>,
        paused: Timestamp,
    ) {
        let paused_for = self.now.saturating_since(paused);
        connection.liveness.resume(self.now);
        if let Progress::Bootstrapping(bootstrap) = &mut connection.progress {
            bootstrap.resume(paused_for);
        }
        self.notify(Notice::Resumed { id, paused_for });
    }

    /// Turns Live once the bootstrap is done (B2).
    fn live_if_done(&mut self, id: ConnectionId, connection: &mut OpenConnection<H::Session>) {
        if !matches!(&connection.progress, Progress::Bootstrapping(bootstrap) if bootstrap.is_done()) {
            return;
        }
        connection.progress = Progress::Live { since: self.now };
        connection.liveness.live(self.now);
        self.stats.connections += 1;
        self.queue.mark_live(id);
        self.notify(Notice::Success { id });
        self.notify(Notice::Status { live: true });
    }
}

impl Progress {
    /// Returns the failure to report. A failure while bootstrap frames are not flushed is reported as theirs (B4).
    fn failure(&self, failure: Failure) -> Failure {
        match self {
            Self::Bootstrapping(bootstrap) if bootstrap.owes_frames() => {
                Failure::Bootstrap(BootstrapFailure::Lost(Box::new(failure)))
            }
            Self::Bootstrapping(_) | Self::Live { .. } => failure,
        }
    }
}
