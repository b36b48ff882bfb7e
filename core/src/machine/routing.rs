//! Which event has which effect in which phase (C1-C5).

use crate::action::{Action, Notice};
use crate::event::{Connected, Event};
use crate::failure::{ConnectFailure, Failure, StopReason};
use crate::frame::ConnectionId;
use crate::handler::FrameHandler;
use crate::machine::{Common, End, Machine};
use crate::phase::{AfterClose, Slot, Stage, State};
use crate::time::Timestamp;

impl<H: FrameHandler> Machine<H> {
    #[inline(never)]
    pub(super) fn route(&mut self, event: Event) {
        if event.connection().is_some_and(|id| self.state.connection() != Some(id)) {
            return self.common.count_stale();
        }
        if matches!(event, Event::HandlerPanicked) {
            return self.handler_panicked();
        }
        if matches!(event, Event::RuntimeStopped) {
            return self.runtime_stopped();
        }
        match &mut self.state {
            State::Idle if matches!(event, Event::Start) => self.connect(),
            State::Active(Slot { id, stage }) => {
                let id = *id;
                match stage {
                    Stage::Connecting { deadline } => {
                        let deadline = *deadline;
                        self.on_connecting(id, deadline, event);
                    }
                    Stage::Open(connection) => {
                        if let Err(end) = self.common.on_open(id, connection, event) {
                            self.end(id, end);
                        }
                    }
                    Stage::Closing { deadline, then } => {
                        if self.common.on_closing(id, *deadline, then, &event) {
                            let then = then.clone();
                            self.closed(then);
                        }
                    }
                }
            }
            State::Waiting { until } if matches!(event, Event::Tick) && *until <= self.common.now => {
                self.connect()
            }
            State::Idle | State::Waiting { .. } if matches!(event, Event::Shutdown) => {
                self.stop(StopReason::Shutdown);
            }
            // Without a connection its events are stale, and counted above.
            State::Idle | State::Waiting { .. } | State::Stopped { .. } => {}
        }
    }

    fn on_connecting(&mut self, id: ConnectionId, deadline: Timestamp, event: Event) {
        match event {
            Event::Connected { connected, .. } => self.upgraded(id, &connected),
            Event::ConnectFailed { failure, .. } => self.end(id, End::Lost(failure)),
            Event::Tick if deadline <= self.common.now => {
                self.end(id, End::Abort(Failure::Connect(ConnectFailure::Timeout)))
            }
            Event::Shutdown => {
                self.common.drop_socket(id);
                self.stop(StopReason::Shutdown);
            }
            Event::Tick | Event::Start | Event::HandlerPanicked | Event::RuntimeStopped => {}
            Event::Frame { .. }
            | Event::Heard { .. }
            | Event::ProtocolError { .. }
            | Event::Flushed { .. }
            | Event::Lost { .. } => self.common.count_stale(),
        }
    }

    fn upgraded(&mut self, id: ConnectionId, connected: &Connected) {
        match self.common.upgrade(id, connected) {
            Ok(connection) => {
                self.state = State::Active(Slot { id, stage: Stage::Open(connection) });
                self.common.queue.open(id);
                // Without bootstrap frames there is nothing to wait for.
                self.route(Event::Flushed { id });
            }
            Err(end) => self.end(id, end),
        }
    }

    pub(super) fn connect(&mut self) {
        let common = &mut self.common;
        common.stats.attempts += 1;
        let id = ConnectionId::new(common.stats.attempts);
        let deadline = common.now.saturating_add(common.config.connect_timeout);
        common.notify(Notice::Connecting { id });
        common.actions.push_back(Action::Connect { id });
        self.state = State::Active(Slot { id, stage: Stage::Connecting { deadline } });
    }
}

impl<H: FrameHandler> Common<H> {
    /// Returns whether the closing handshake is over, or has run out of time.
    fn on_closing(
        &mut self,
        id: ConnectionId,
        deadline: Timestamp,
        then: &mut AfterClose,
        event: &Event,
    ) -> bool {
        match event {
            Event::Lost { .. } => return true,
            Event::Tick if deadline > self.now => {}
            // The peer will not send a Close.
            Event::Tick | Event::ProtocolError { .. } => {
                self.drop_socket(id);
                return true;
            }
            Event::Shutdown => *then = AfterClose::ShutDown,
            // Frames may still arrive ahead of the peer's Close.
            Event::Frame { .. }
            | Event::Heard { .. }
            | Event::Flushed { .. }
            | Event::Start
            | Event::HandlerPanicked
            | Event::RuntimeStopped => {}
            Event::Connected { .. } | Event::ConnectFailed { .. } => self.count_stale(),
        }
        false
    }
}
