//! Events of an open connection, bootstrapping or Live: frames, the handler, and what it requests.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::convert::Infallible;

use bytes::Bytes;

use crate::action::{Action, Notice};
use crate::bootstrap::Bootstrap;
use crate::demand::{Admission, Reading};
use crate::event::{Connected, Event};
use crate::failure::{BootstrapFailure, ConnectionFailure, Failure, Fault, LocalFailure};
use crate::frame::{CloseFrame, ConnectionId, Frame, Message};
use crate::handler::{Context, Emission, Emitter, FrameHandler, InnerTimer, Requests, Upgrade, checked};
use crate::liveness::{Health, Liveness};
use crate::machine::{Common, End};
use crate::phase::{AfterClose, OpenConnection, Progress};
use crate::time::Timestamp;
use crate::timers::Timers;

impl<H: FrameHandler> Common<H> {
    /// Lets the handler create its session and send bootstrap frames (B1).
    pub(super) fn upgrade(
        &mut self,
        id: ConnectionId,
        connected: &Connected,
    ) -> Result<OpenConnection<H::Session>, End> {
        let (mut sends, mut timers, mut awaited) = (Vec::new(), Timers::default(), BTreeSet::new());
        let mut upgrade = Upgrade {
            now: self.now,
            connection: id,
            depth: 0,
            connected,
            sends: &mut sends,
            timers: &mut timers,
            awaited: &mut awaited,
        };
        let refused = |fault| Failure::Bootstrap(BootstrapFailure::Fault(fault));
        let session = self
            .handler
            .on_upgrade(&mut upgrade)
            .map_err(|fault| End::close(AfterClose::Retry(refused(fault))))?;
        let sendable: Result<Vec<Message>, _> = sends.into_iter().map(checked).collect();
        let sends = match sendable {
            Ok(sends) => sends,
            Err(error) => {
                let failure = refused(Fault::fatal(alloc::format!("{error}")));
                self.handler.on_end(session, Some(&failure));
                return Err(End::close(AfterClose::Retry(failure)));
            }
        };
        sends.into_iter().for_each(|message| self.outbox.push(message));
        let last_frame = self.outbox.exempt();
        let bootstrap = Bootstrap::new(awaited, last_frame, self.config.bootstrap_timeout, self.now);
        let connection = OpenConnection {
            session,
            liveness: Liveness::new(self.config.liveness, self.now),
            progress: Progress::Bootstrapping(bootstrap),
            timers,
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
            Event::Flushed { .. } => return self.flushed(id, connection),
            Event::Lost { failure, .. } => return Err(End::Lost(connection.progress.failure(failure))),
            Event::Tick => return self.on_tick(id, connection),
            Event::Shutdown => return Err(End::close(AfterClose::ShutDown)),
            Event::Start | Event::HandlerPanicked | Event::RuntimeStopped => {}
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
    pub(super) fn call(
        &mut self,
        id: ConnectionId,
        connection: &mut OpenConnection<H::Session>,
        method: impl FnOnce(&mut H, &mut H::Session, &mut Context<'_, H::Item>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut cx = Context {
            now: self.now,
            connection: id,
            depth: 0,
            emitter: Emitter(Emission::Queue { queue: &mut self.queue, weigh: H::weight }),
            outbox: Some(&mut self.outbox),
            timers: &mut connection.timers,
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
    fn flushed(&mut self, id: ConnectionId, connection: &mut OpenConnection<H::Session>) -> Result<(), End> {
        let flushed = self.outbox.flush();
        if let Progress::Bootstrapping(bootstrap) = &mut connection.progress {
            bootstrap.flushed(flushed);
        }
        self.live_if_done(id, connection)
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
        while self.reading == Reading::On
            && let Some(timer) = connection.timers.pop_due(self.now)
        {
            let verdict = self.call(id, connection, |handler, session, cx| {
                InnerTimer::from(timer).fire(handler, session, cx)
            });
            self.carry_out(id, connection, verdict)?;
        }
        Ok(())
    }

    /// Carries out what the handler requested.
    #[inline(never)]
    pub(super) fn carry_out(
        &mut self,
        id: ConnectionId,
        connection: &mut OpenConnection<H::Session>,
        verdict: Result<(), Fault>,
    ) -> Result<(), End> {
        if self.queue.staged() > 0 {
            connection.liveness.emitted(self.now);
        }
        let admission = self.queue_items();
        // The queue is full even if this connection ends (D4).
        let pauses = self.pause_if_full();
        let requests = self.requests.take();
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
        if let Some(Requests { ready, reconnect }) = requests {
            if reconnect {
                return Err(End::close(AfterClose::Retry(Failure::Local(LocalFailure::Reconnect))));
            }
            if let Progress::Bootstrapping(bootstrap) = &mut connection.progress {
                bootstrap.declared(&ready);
            }
        }
        if pauses {
            self.paused(id, connection)?;
        }
        self.live_if_done(id, connection)
    }

    /// Returns whether a pause begins.
    pub(super) fn pause_if_full(&mut self) -> bool {
        let pauses = self.reading == Reading::On && self.queue.pauses();
        if pauses {
            self.reading = Reading::Paused { since: self.now };
        }
        pauses
    }

    pub(super) fn queue_items(&mut self) -> Admission {
        let items = self.queue.staged();
        if items == 0 {
            return Admission::Granted;
        }
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
        connection.timers.resume(paused_for);
        if let Progress::Bootstrapping(bootstrap) = &mut connection.progress {
            bootstrap.resume(paused_for);
        }
        self.notify(Notice::Resumed { id, paused_for });
    }

    /// Turns Live once the bootstrap is done (B2).
    fn live_if_done(
        &mut self,
        id: ConnectionId,
        connection: &mut OpenConnection<H::Session>,
    ) -> Result<(), End> {
        if !matches!(&connection.progress, Progress::Bootstrapping(bootstrap) if bootstrap.is_done()) {
            return Ok(());
        }
        connection.progress = Progress::Live { since: self.now };
        connection.liveness.live(self.now);
        self.stats.connections += 1;
        self.queue.mark_live(id);
        self.notify(Notice::Success { id });
        self.notify(Notice::Status { live: true });
        let mut cx = Context {
            now: self.now,
            connection: id,
            depth: 0,
            emitter: Emitter(Emission::Outer(&mut |item: Infallible| match item {})),
            outbox: Some(&mut self.outbox),
            timers: &mut connection.timers,
            requests: &mut self.requests,
        };
        let verdict = self.handler.on_live(&mut connection.session, &mut cx);
        self.carry_out(id, connection, verdict)
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
