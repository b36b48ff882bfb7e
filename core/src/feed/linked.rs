//! Bootstrapping and Live: frames, the handler, and what it asks for.

use core::time::Duration;

use crate::action::{Action, Notice};
use crate::bootstrap::{Bootstrap, Readiness};
use crate::bugs::bug;
use crate::demand::Admission;
use crate::effects::Asks;
use crate::event::Event;
use crate::failure::{BootstrapFailure, Failure, Fault};
use crate::feed::Feed;
use crate::frame::{CloseFrame, ConnectionId, Frame, Message};
use crate::handler::{Context, FrameHandler, Upgrade, checked};
use crate::liveness::{Liveness, Pulse};
use crate::outbox::Outbox;
use crate::phase::{Link, Phase, State, Then};
use crate::time::{Deadline, Timestamp};

impl<H: FrameHandler> Feed<H> {
    /// The upgrade is complete: the handler makes its session, and says what must go out first (B1).
    pub(super) fn upgraded(&mut self, id: ConnectionId) {
        if bug!(StreakResetAtConnect) {
            self.retry.reset();
        }
        if bug!(NoticeAtUpgrade) {
            self.notify(Notice::Success { id });
        }
        let mut upgrade = Upgrade {
            now: self.now,
            connection: id,
            sends: &mut self.effects.sends,
            asks: &mut self.effects.asks,
        };
        let session = self.handler.on_upgrade(&mut upgrade).and_then(|session| {
            let sendable = self.effects.sends.drain(..).map(checked).collect::<Result<_, _>>();
            sendable.map(|frames| (session, frames)).map_err(|error| Fault::fatal(alloc::format!("{error}")))
        });
        let asks = self.effects.asks.take().unwrap_or_default();
        match session {
            Ok((session, frames)) => self.bootstrap(id, session, frames, asks),
            Err(fault) => {
                self.effects.sends.clear();
                let failure = Failure::Bootstrap(BootstrapFailure::Fault(fault));
                self.close(id, Some(CloseFrame::new(CloseFrame::NORMAL)), Then::Retry(failure));
            }
        }
    }

    fn bootstrap(
        &mut self,
        id: ConnectionId,
        session: H::Session,
        mut frames: alloc::vec::Vec<Message>,
        asks: Asks,
    ) {
        let mut outbox = Outbox::default();
        if bug!(NoBootstrapOnReconnect) && matches!(self.stats.connections, 1..) {
            frames.clear();
        }
        if bug!(BootstrapOutOfOrder) {
            frames.reverse();
        }
        for message in frames {
            outbox.accept();
            self.actions.push_back(Action::Send { id, frame: message.into() });
        }
        let readiness = bug!(LiveBeforeAcks: Readiness::WhenFlushed, not self.handler.readiness());
        let timeout = bug!(NoBootstrapDeadline: Duration::MAX, not self.settings.bootstrap_timeout);
        let mut bootstrap = Bootstrap::new(readiness, outbox.end_bootstrap(), timeout, self.now);
        bootstrap.flushed(outbox.last_flushed());
        let wake = asks.wake_at.map_or(Deadline::Never, |at| Deadline::At(at.max(self.now.next())));
        let started = bug!(OldTimerAlive: Timestamp::ZERO, not self.now);
        let liveness = Liveness::new(self.settings.liveness, started);
        let link = Link { id, session, liveness, outbox, wake };
        self.enter(State::Bootstrapping { link, bootstrap });
        self.hold_back_if_full();
        self.live_if_done();
    }

    pub(super) fn on_linked(&mut self, event: Event) {
        match event {
            Event::Frame { id, frame } => self.on_frame(id, frame),
            Event::Heard { at, .. } => {
                if let Some(link) = self.state.link_mut() {
                    link.liveness.heard_part(at.min(self.now));
                }
            }
            Event::ProtocolError { id, code, detail } => {
                let failure = self.of_link(Failure::Protocol { code, detail });
                self.close(id, Some(CloseFrame::new(code)), Then::Retry(failure));
            }
            Event::Flushed { .. } => self.on_flushed(),
            Event::Lost { failure, .. } => self.on_lost(failure),
            Event::Tick => self.on_tick(),
            Event::Shutdown => {
                if let Some(id) = self.state.connection() {
                    self.close(id, Some(CloseFrame::new(CloseFrame::NORMAL)), Then::ShutDown);
                }
            }
            Event::Start | Event::HandlerPanicked => {}
            Event::Connected { .. } | Event::ConnectFailed { .. } => self.count_stale(),
        }
    }

    /// The short way: a message that makes items, for which there is room, and nothing else. What else it makes goes the long
    /// way, by [`Self::carry_out`].
    // Always: to call it, and what it calls, takes an eighth of all that the machine does with a message.
    #[inline(always)]
    pub(super) fn on_message(&mut self, id: ConnectionId, message: Message) {
        let Some(link) = self.state.reading(id) else {
            return self.route(Event::Frame { id, frame: message.into() });
        };
        link.liveness.heard(self.now);
        if bug!(MuteUnnoticed) {
            link.liveness.emitted(self.now);
        }
        self.stats.messages += 1;
        let mut cx = Context {
            now: self.now,
            connection: id,
            outbox: &link.outbox,
            send_buffer: self.settings.send_buffer,
            queue: &mut self.queue,
            weigh: H::weight,
            effects: &mut self.effects,
        };
        let verdict = self.handler.on_message(&mut link.session, message, &mut cx);
        if verdict.is_ok()
            && self.effects.is_empty()
            && let Some(items) = self.queue.take_in()
        {
            if items > 0 {
                link.liveness.emitted(self.now);
                self.stats.items += items as u64;
            }
            return;
        }
        self.carry_out(id, verdict);
    }

    /// A control frame, or a message that comes although it should not.
    fn on_frame(&mut self, id: ConnectionId, frame: Frame) {
        let Some(link) = self.state.link_mut() else { return };
        if !bug!(ControlFramesNotHeard) {
            link.liveness.heard(self.now);
        }
        match frame {
            // Reading is held back, or it would have gone the short way (D3).
            Frame::Text(_) | Frame::Binary(_) => self.abort(id, Failure::Overflow),
            Frame::Ping(_) => {}
            Frame::Pong(payload) => {
                if let Some(round_trip) = link.liveness.pong(&payload, self.now) {
                    self.stats.round_trip = Some(round_trip);
                    self.notify(Notice::Pong { id, round_trip });
                }
            }
            Frame::Close(frame) => {
                // The answer carries the code that was received, without the reason (RFC 6455 §5.5.1).
                let answer = frame.as_ref().map(|frame| CloseFrame::new(frame.code));
                self.close(id, answer, Then::Retry(Failure::Closed(frame)));
            }
        }
    }

    fn on_flushed(&mut self) {
        let Some(link) = self.state.link_mut() else { return };
        let flushed = link.outbox.flush();
        if let State::Bootstrapping { bootstrap, .. } = &mut self.state {
            bootstrap.flushed(flushed);
        }
        self.live_if_done();
    }

    fn on_lost(&mut self, failure: Failure) {
        #[cfg(tidegate_bugs)]
        if bug!(DropBypassesRetry) {
            return self.redial(&failure);
        }
        let failure = self.of_link(failure);
        self.fail(failure);
    }

    /// What ends the connection while its bootstrap frames are still owed has kept them from being sent (B4).
    fn of_link(&self, failure: Failure) -> Failure {
        if matches!(&self.state, State::Bootstrapping { bootstrap, .. } if bootstrap.owes_frames()) {
            Failure::Bootstrap(BootstrapFailure::Lost(alloc::boxed::Box::new(failure)))
        } else {
            failure
        }
    }

    fn on_tick(&mut self) {
        if let State::Bootstrapping { link, bootstrap } = &self.state
            && bootstrap.deadline().is_due(self.now)
        {
            let id = link.id;
            return self.abort(id, Failure::Bootstrap(BootstrapFailure::Timeout));
        }
        let Some(link) = self.state.link_mut() else { return };
        let id = link.id;
        match link.liveness.tick(self.now) {
            Pulse::Alive => {}
            Pulse::Ping(payload) => {
                link.outbox.accept();
                let frame = Frame::Ping(bytes::Bytes::copy_from_slice(&payload));
                self.actions.push_back(Action::Send { id, frame });
            }
            // Frames still come: such a peer answers a Close.
            Pulse::Dead(Failure::Stale) => {
                return self.close(
                    id,
                    Some(CloseFrame::new(CloseFrame::NORMAL)),
                    Then::Retry(Failure::Stale),
                );
            }
            #[cfg(tidegate_bugs)]
            Pulse::Dead(failure) if bug!(TimeoutBypassesRetry) => {
                self.drop_socket(id);
                return self.redial(&failure);
            }
            Pulse::Dead(failure) => return self.abort(id, failure),
        }
        self.wake_handler(id);
    }

    fn wake_handler(&mut self, id: ConnectionId) {
        let Some(link) = self.state.link_mut() else { return };
        if link.wake.is_due(self.now) && !link.liveness.is_paused() {
            link.wake = Deadline::Never;
            let mut cx = Context {
                now: self.now,
                connection: id,
                outbox: &link.outbox,
                send_buffer: self.settings.send_buffer,
                queue: &mut self.queue,
                weigh: H::weight,
                effects: &mut self.effects,
            };
            let verdict = self.handler.on_wake(&mut link.session, &mut cx);
            self.carry_out(id, verdict);
        }
    }

    /// Carries out what the handler asked for, in the order: items, frames, then the rest.
    #[inline(never)]
    fn carry_out(&mut self, id: ConnectionId, verdict: Result<(), Fault>) {
        let queued = self.queue_items();
        self.queue_sends(id);
        let asks = self.effects.asks.take().unwrap_or_default();
        if let Err(fault) = verdict {
            // Before Live, a subscription that is refused, say: the bootstrap has failed (B4).
            let failure = if matches!(self.state, State::Bootstrapping { .. }) {
                Failure::Bootstrap(BootstrapFailure::Fault(fault))
            } else {
                Failure::Fault(fault)
            };
            return self.close(id, Some(CloseFrame::new(CloseFrame::NORMAL)), Then::Retry(failure));
        }
        if queued == Admission::Overflow {
            return self.abort(id, Failure::Overflow);
        }
        if asks.reconnect {
            let frame = Some(CloseFrame::new(CloseFrame::NORMAL));
            return self.close(id, frame, Then::Retry(Failure::Reconnect));
        }
        self.heed(asks);
        self.hold_back_if_full();
        self.live_if_done();
    }

    fn heed(&mut self, asks: Asks) {
        let Some(link) = self.state.link_mut() else { return };
        if let Some(at) = asks.wake_at {
            link.wake = Deadline::At(at.max(self.now.next()));
        }
        if let (true, State::Bootstrapping { bootstrap, .. }) = (asks.ready, &mut self.state) {
            bootstrap.declared();
        }
    }

    fn queue_items(&mut self) -> Admission {
        let items = self.queue.staged();
        if items == 0 {
            return Admission::Granted;
        }
        if let Some(link) = self.state.link_mut() {
            link.liveness.emitted(self.now);
        }
        self.stats.items += items as u64;
        let dropped_before = self.queue.dropped();
        let admission = self.queue.admit();
        self.notify_dropped(self.queue.dropped() - dropped_before);
        admission
    }

    /// One notice for all that is dropped before it is taken: a flood must not become a flood of notices.
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

    fn queue_sends(&mut self, id: ConnectionId) {
        let Some(link) = self.state.link_mut() else { return };
        for message in self.effects.sends.drain(..) {
            link.outbox.accept();
            self.actions.push_back(Action::Send { id, frame: message.into() });
        }
    }

    fn hold_back_if_full(&mut self) {
        if !self.queue.is_held_back() {
            return;
        }
        let Some(link) = self.state.link_mut().filter(|link| !link.liveness.is_paused()) else { return };
        let id = link.id;
        link.liveness.pause(self.now);
        if let State::Bootstrapping { bootstrap, .. } = &mut self.state {
            if bootstrap.has_run_out(self.now) {
                return self.abort(id, Failure::Bootstrap(BootstrapFailure::Timeout));
            }
            bootstrap.pause(self.now);
        }
        self.notify(Notice::Paused { id });
    }

    /// The queue has room again: read on, if reading was held back (D4, L5).
    pub(super) fn resume_reading(&mut self) {
        let Some(link) = self.state.link_mut() else { return };
        let id = link.id;
        let Some(paused_for) = link.liveness.resume(self.now) else { return };
        if let State::Bootstrapping { bootstrap, .. } = &mut self.state {
            bootstrap.resume(self.now);
        }
        self.notify(Notice::Resumed { id, paused_for });
    }

    /// Turns Live once nothing is owed any more (B2).
    fn live_if_done(&mut self) {
        if !matches!(&self.state, State::Bootstrapping { bootstrap, .. } if bootstrap.is_done()) {
            return;
        }
        let State::Bootstrapping { mut link, .. } = core::mem::replace(&mut self.state, State::Idle) else {
            return;
        };
        let id = link.id;
        link.liveness.live(self.now);
        self.stats.connections += 1;
        self.enter_from(Phase::Bootstrapping, State::Live { link, since: self.now });
        self.queue.mark_live(id);
        self.notify(Notice::Success { id });
        self.notify(Notice::Status { live: true });
    }
}
