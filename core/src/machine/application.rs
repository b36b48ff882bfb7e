//! What the application asks for: commands to its handler (H6), a new connection, a ping, the end.

use core::fmt;

use crate::demand::{Admission, Reading};
use crate::event::Event;
use crate::failure::{Failure, Fault, LocalFailure, StopReason};
use crate::frame::{CloseFrame, ConnectionId};
use crate::handler::{CommandHandler, Context, Emission, Emitter, FrameHandler};
use crate::machine::{Common, End, Machine};
use crate::phase::{AfterClose, Slot, Stage, State};
use crate::time::Timestamp;
use crate::timers::{TimerKey, Timers};

impl<H: FrameHandler> Machine<H> {
    /// Returns the outermost handler's timers, the earliest first.
    pub(crate) fn timers(&self) -> impl Iterator<Item = (TimerKey, Timestamp)> {
        let timers = match &self.state {
            State::Active(Slot { stage: Stage::Open(connection), .. }) => Some(&connection.timers),
            State::Idle | State::Active(_) | State::Waiting { .. } | State::Stopped { .. } => None,
        };
        timers.into_iter().flat_map(Timers::outermost)
    }

    /// Replaces the connection: this one is closed, and the retry policy decides when the next attempt is made. Has no
    /// effect without an open connection.
    ///
    /// # Panics
    /// Panics if a function of the application does. See [`handle`](Self::handle).
    pub fn reconnect(&mut self, now: Timestamp) {
        self.close_open(
            now,
            CloseFrame::new(CloseFrame::NORMAL),
            AfterClose::Retry(Failure::Local(LocalFailure::Reconnect)),
        );
    }

    /// Ends the feed like [`Event::Shutdown`](crate::Event::Shutdown), with this Close frame, which has passed
    /// [`CloseFrame::check`](crate::CloseFrame::check).
    ///
    /// # Panics
    /// Panics if a function of the application does. See [`handle`](Self::handle).
    pub fn shutdown_with(&mut self, close: CloseFrame, now: Timestamp) {
        self.close_open(now, close, AfterClose::ShutDown);
        self.handle(Event::Shutdown, now);
    }

    fn close_open(&mut self, now: Timestamp, close: CloseFrame, then: AfterClose) {
        self.common.now = self.common.now.max(now);
        if let State::Active(Slot { id, stage: Stage::Open(_) }) = self.state {
            self.end(id, End::Close(Some(close), then));
        }
    }

    /// Ends the delay before the next attempt. Has no effect in another phase than [`Phase::Waiting`](crate::Phase).
    pub fn retry_now(&mut self, now: Timestamp) {
        self.common.now = self.common.now.max(now);
        if let State::Waiting { .. } = self.state {
            self.connect();
        }
    }

    /// Checks the connection, for instance after the network has changed: a ping is sent at the next
    /// [`deadline`](Self::deadline), which is now, and judged by `pong_timeout`, even if `ping_interval` is off. Has no
    /// effect without an open connection, while a ping is out, or while reading is paused.
    pub fn probe(&mut self, now: Timestamp) {
        self.common.now = self.common.now.max(now);
        if let State::Active(Slot { stage: Stage::Open(connection), .. }) = &mut self.state
            && self.common.reading == Reading::On
        {
            connection.liveness.probe(self.common.now);
        }
    }
}

impl<H: CommandHandler> Machine<H> {
    /// Passes a command to the handler, in every phase. If `now` is earlier than before, the previous time is used.
    ///
    /// # Errors
    /// Returns the command if the queue of items is full, since the handler may emit, or if the feed has stopped.
    ///
    /// # Panics
    /// Panics if the handler does. See [`handle`](Self::handle).
    pub fn command(&mut self, command: H::Command, now: Timestamp) -> Result<(), CommandError<H::Command>> {
        self.common.now = self.common.now.max(now);
        if self.stopped().is_some() {
            return Err(CommandError::Stopped(command));
        }
        if !self.takes_commands() {
            return Err(CommandError::Full(command));
        }
        if let State::Active(Slot { id, stage: Stage::Open(connection) }) = &mut self.state {
            let id = *id;
            let verdict = self
                .common
                .call(id, connection, |handler, session, cx| handler.on_command(Some(session), command, cx));
            if let Err(end) = self.common.carry_out(id, connection, verdict) {
                self.end(id, end);
            }
        } else if let Err(fault) = self.common.without_connection(command)
            && fault.is_fatal()
            && !self.shuts_down()
        {
            let failure = Failure::Local(LocalFailure::Fault(fault));
            if let Some(id) = self.connection() {
                self.common.drop_socket(id);
            }
            self.stop(StopReason::Fatal { failure });
        }
        Ok(())
    }

    /// Returns whether the feed ends after its closing handshake, as the application requested (S1).
    const fn shuts_down(&self) -> bool {
        matches!(
            self.state,
            State::Active(Slot { stage: Stage::Closing { then: AfterClose::ShutDown, .. }, .. })
        )
    }

    /// Returns whether [`command`](Self::command) accepts a command. While this is `false`, the queue of items is full.
    #[must_use]
    pub fn takes_commands(&self) -> bool {
        self.stopped().is_none() && self.common.reading == Reading::On && !self.common.queue.refuses()
    }
}

impl<H: CommandHandler> Common<H> {
    /// Passes a command to the handler while there is no open connection: only what it emits has an effect.
    fn without_connection(&mut self, command: H::Command) -> Result<(), Fault> {
        let mut cx = Context {
            now: self.now,
            connection: ConnectionId::new(self.stats.attempts),
            depth: 0,
            emitter: Emitter(Emission::Queue { queue: &mut self.queue, weigh: H::weight }),
            outbox: None,
            timers: &mut Timers::default(),
            requests: &mut None,
        };
        let verdict = self.handler.on_command(None, command, &mut cx);
        let admission = self.queue_items();
        debug_assert_eq!(admission, Admission::Granted, "a full queue takes no commands");
        self.pause_if_full();
        verdict
    }
}

/// Why a handler did not get a command.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommandError<C> {
    /// Too many commands wait, or the queue of items is full. Try again after the consumer has taken some.
    Full(C),
    /// The feed has stopped.
    Stopped(C),
}

impl<C> CommandError<C> {
    /// Returns the command.
    #[must_use]
    pub fn into_command(self) -> C {
        match self {
            Self::Full(command) | Self::Stopped(command) => command,
        }
    }
}

impl<C> fmt::Display for CommandError<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the command was not passed on: the queue is full",
            Self::Stopped(_) => "the command was not passed on: the feed has stopped",
        })
    }
}

impl<C: fmt::Debug> core::error::Error for CommandError<C> {}
