//! What must hold after every step.

mod clocks;
mod queue;
mod sending;
mod told;

use std::time::Duration;

use tidegate_core::{
    Action, CloseFrame, ConnectionId, Continuity, Deadline, Delivery, Event, Frame, Overflow, Phase,
    StopReason, TRANSITIONS,
};

use crate::call::{Ask, Call, Output, View, is_stray};
use crate::numbers::{Script, Then};
use crate::rule::{Verdict, hold};
use crate::setup::Setup;
use clocks::Ages;
use sending::Outgoing;
use told::Told;

/// The least time there is: deadlines lie in the future by this at least (P2).
const NEXT: Duration = Duration::from_nanos(1);

/// The world's end of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Socket {
    None,
    Dialing(ConnectionId),
    Open(ConnectionId),
    Closing(ConnectionId),
}

/// What is known of a feed by what it was told and what it asked for. Times are ages: what differs in the date alone is equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rules {
    socket: Socket,
    last_id: u64,
    ages: Ages,
    /// No Connect before that long from now (R7).
    wait: Duration,
    streak: u32,
    shut: bool,
    held_back: bool,
    credit: u64,
    outgoing: Outgoing,
    told: Told,
    continuity: Continuity,
    /// The last marker of this step.
    marker: Option<Marker>,
}

/// Markers between the same two items, in the order in which they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Marker {
    Interrupted,
    Opened,
    Live,
    Dropped,
}

/// One call, and the feed before and after it, at the same time.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// Of the feed.
    pub setup: &'a Setup,
    /// What was called.
    pub call: &'a Call,
    /// The feed before.
    pub before: &'a View,
    /// What came of it.
    pub outputs: &'a [Output],
    /// The feed after.
    pub after: &'a View,
}

impl<'a> Step<'a> {
    /// The event, unless the machine must ignore it.
    fn event(&self) -> Option<&'a Event> {
        match self.call {
            Call::Handle(event) if !is_stray(event, self.before) => Some(event),
            _ => None,
        }
    }

    /// Whether the machine must be the same without it (C2, P2).
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let Call::Handle(event) = self.call else { return false };
        is_stray(event, self.before) || *event == Event::Tick && !self.before.deadline.is_due(self.before.now)
    }

    fn message(&self) -> Option<Script> {
        match self.event()? {
            Event::Frame { frame: Frame::Message(message), .. } => {
                self.before.is_linked().then(|| Script::read(message.payload()))
            }
            _ => None,
        }
    }

    /// The message that the handler is called with.
    fn heard(&self) -> Option<Script> {
        self.message().filter(|_| self.before.wants_frames)
    }

    /// The message or command that the handler is called with.
    fn script(&self) -> Option<Script> {
        match self.call {
            Call::Command(script) => self.outputs.contains(&Output::Commanded(true)).then_some(*script),
            _ => self.heard(),
        }
    }

    fn has_stopped(&self, reason: &StopReason) -> bool {
        self.after.stopped.as_ref() == Some(reason)
    }
}

impl Rules {
    /// Nothing has happened yet.
    #[must_use]
    pub fn new(setup: &Setup) -> Self {
        Self {
            socket: Socket::None,
            last_id: 0,
            ages: Ages::default(),
            wait: Duration::ZERO,
            streak: 0,
            shut: false,
            held_back: false,
            credit: 0,
            outgoing: Outgoing::default(),
            told: Told::default(),
            continuity: Continuity::numbered_by_handler(setup.config.overflow(), setup.handler.next),
            marker: None,
        }
    }

    /// Time passes.
    pub fn advance(&mut self, by: Duration, setup: &Setup) {
        self.ages.advance(by, setup.ages_end());
        self.wait = self.wait.saturating_sub(by);
        self.outgoing.advance(by, self.ages.paused.is_some());
    }

    /// The number of the ping that is out.
    #[must_use]
    pub const fn ping(&self) -> Option<u64> {
        self.outgoing.ping
    }

    /// Whether frames that the application sent wait to be taken.
    #[must_use]
    pub fn has_waiting_sends(&self) -> bool {
        !self.outgoing.accepted.is_empty()
    }

    /// Whether the bootstrap waits for a flush, and for the handler's word.
    #[must_use]
    pub const fn owes(&self) -> (bool, bool) {
        (self.outgoing.bootstrap_unflushed > 0, !self.outgoing.ready)
    }

    /// Whether the application has shut the feed down.
    #[must_use]
    pub const fn was_shut_down(&self) -> bool {
        self.shut
    }

    /// Judges one step.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn step(&mut self, step: &Step<'_>) -> Verdict {
        self.check_idle(step)?;
        self.world(step);
        self.marker = None;
        for output in step.outputs {
            match output {
                Output::Action(action) => self.action(action, step)?,
                Output::Send(id, frame) => self.send(*id, frame, step)?,
                Output::Delivery(delivery) => self.delivery(delivery, step.setup.config.overflow())?,
                Output::Accepted(accepted) => self.sent(*accepted, step)?,
                Output::Commanded(passed) => self.commanded(*passed, step)?,
            }
        }
        if step.before.phase != step.after.phase {
            self.ages.phase = Duration::ZERO;
        }
        self.check_handler(step)?;
        self.check_phase(step)?;
        self.check_deadline(step)?;
        self.check_clocks(step)?;
        self.check_queue(step)?;
        self.check_sending(step)?;
        self.check_asked(step)?;
        self.check_end(step)?;
        self.check_told(step)?;
        self.check_taken(step)?;
        self.forget(step.after);
        Ok(())
    }

    /// A consumer that finds no item to take has been told of everything.
    fn check_taken(&self, Step { setup, call, outputs, after, .. }: &Step<'_>) -> Verdict {
        let found = outputs.iter().any(|output| matches!(output, Output::Delivery(Delivery::Item(_))));
        if !matches!(call, Call::Take) || found {
            return Ok(());
        }
        let waits = after.stats.queued > 0;
        hold!(!waits || after.stats.demand == 0, D1, "requested, and not delivered");
        if waits {
            return Ok(());
        }
        let (numbers, next) = (after.stats.items + setup.handler.next, self.continuity.next());
        let whole = setup.config.overflow() == Overflow::Disconnect || next == Some(numbers);
        hold!(whole, D2, "{next:?} is to come, and {numbers} were emitted");
        let live = after.connection.filter(|_| after.phase == Phase::Live);
        let told = self.continuity.connection();
        let fine = live.is_none() || told == live && self.continuity.is_live();
        hold!(fine, D2, "{live:?} is Live, and no marker says so");
        let open = after.connection.filter(|_| after.is_linked());
        hold!(told.is_none() || told == open, D2, "{told:?} has ended, and no marker says so");
        Ok(())
    }

    /// C2, P2: what names another connection, cannot happen or comes early changes nothing.
    fn check_idle(&self, step: &Step<'_>) -> Verdict {
        let Step { call, before, outputs, after, .. } = step;
        let stray = matches!(call, Call::Handle(event) if is_stray(event, before));
        let counted = after.stats.stale_events - before.stats.stale_events;
        hold!(counted == u64::from(stray), C2, "counted {counted} stale events of {}", u64::from(stray));
        if step.is_idle() {
            let mut stats = after.stats;
            stats.stale_events = before.stats.stale_events;
            let same = View { stats, ..(*after).clone() } == **before;
            let idle = same && outputs.len() == self.outgoing.accepted.len();
            hold!(idle || !stray, C2, "{call:?} had consequences: {outputs:?}, {after:?}");
            hold!(idle, P2, "an early Tick had consequences: {outputs:?}, {after:?}");
        }
        let ahead = after.deadline > Deadline::At(after.now);
        hold!(ahead || !call.is_tick(), P2, "the deadline is due after a Tick");
        Ok(())
    }

    /// What the event says about the world.
    fn world(&mut self, step: &Step<'_>) {
        let Step { setup, call, before, .. } = step;
        if let Call::Request(count) = call {
            self.credit = self.credit.saturating_add(*count);
        }
        match step.script() {
            Some(script) if before.is_linked() => self.outgoing.told(script),
            Some(Script { then: Then::Fatal, .. }) => self.told.excused |= before.connection.is_some(),
            _ => {}
        }
        match call {
            Call::Ask(Ask::RetryNow) if before.phase == Phase::Waiting => self.wait = Duration::ZERO,
            Call::Ask(Ask::Probe) if before.wants_frames && before.is_linked() => self.outgoing.probe(),
            _ => {}
        }
        match (step.event(), self.socket) {
            (Some(Event::Connected { id, .. }), Socket::Dialing(_)) => {
                self.socket = Socket::Open(*id);
                self.outgoing = Outgoing::new(setup, *id);
                self.ages = Ages::default();
            }
            (Some(Event::ConnectFailed { .. } | Event::Lost { .. }), _) => self.socket = Socket::None,
            (Some(Event::Frame { frame, .. }), Socket::Open(_)) => {
                self.ages.heard = Duration::ZERO;
                if let Frame::Pong(payload) = frame {
                    self.outgoing.pong(payload);
                }
            }
            (Some(Event::Heard { at, .. }), Socket::Open(_)) => {
                let age = before.now.saturating_since(*at);
                self.ages.heard = self.ages.heard.min(age);
                self.ages.answer = self.ages.answer.min(age);
            }
            (Some(Event::Flushed { .. }), Socket::Open(_)) => self.outgoing.flushed(),
            (Some(Event::Shutdown), _) => {
                self.shut = true;
                self.told.excused |= before.connection.is_some();
            }
            (Some(Event::HandlerPanicked | Event::RuntimeStopped), _) => {
                self.told.excused |= before.connection.is_some()
            }
            _ => {}
        }
    }

    fn action(&mut self, action: &Action, step: &Step<'_>) -> Verdict {
        let socket = self.socket;
        hold!(step.before.phase != Phase::Stopped, S2, "{action:?} after the end");
        match action {
            Action::Connect { id } => {
                hold!(socket == Socket::None, C1, "{action:?} beside {socket:?}");
                hold!(id.get() > self.last_id, C2, "{action:?} after {}", self.last_id);
                hold!(self.wait.is_zero(), R7, "{action:?} {:?} before the delay is over", self.wait);
                hold!(!self.shut, S1, "{action:?} after a shutdown");
                self.last_id = id.get();
                self.socket = Socket::Dialing(*id);
                self.told = self.told.of_next();
            }
            // After a panic a socket that is gone already may be dropped once more.
            Action::Abort { id } => {
                hold!(step.before.connection == Some(*id), C1, "{action:?} of another connection");
                self.socket = Socket::None;
            }
            Action::Notify(notice) => self.notice(notice, step)?,
        }
        Ok(())
    }

    fn check_phase(&self, step: &Step<'_>) -> Verdict {
        let Step { before, after, .. } = step;
        let (from, to) = (before.phase, after.phase);
        let is_move = |from, to| TRANSITIONS.iter().any(|row| (row.from, row.to) == (from, to));
        let through = is_move(from, Phase::Bootstrapping) && is_move(Phase::Bootstrapping, to);
        hold!(from == to || is_move(from, to) || through, T1, "{from} to {to} is no transition");
        let socket = match to {
            Phase::Idle | Phase::Waiting | Phase::Stopped => self.socket == Socket::None,
            Phase::Connecting => after.connection.map(Socket::Dialing) == Some(self.socket),
            Phase::Bootstrapping | Phase::Live => after.connection.map(Socket::Open) == Some(self.socket),
            Phase::Closing => after.connection.map(Socket::Closing) == Some(self.socket),
        };
        hold!(socket || to != Phase::Waiting, R7, "{:?} while {to}", self.socket);
        hold!(socket, C1, "{:?} while {to}", self.socket);
        let done = self.owes() == (false, false);
        hold!(to != Phase::Bootstrapping || !done, B2, "nothing is owed, and it is not Live");
        let rude = before.is_paused() && step.message().is_some();
        let over = matches!(to, Phase::Waiting | Phase::Stopped);
        hold!(!rude || over, D3, "{to} after a message while reading is paused");
        Ok(())
    }

    /// What the application asks for happens, where it can.
    fn check_asked(&self, Step { call, before, after, .. }: &Step<'_>) -> Verdict {
        let Call::Ask(ask) = call else { return Ok(()) };
        let to = match ask {
            Ask::Reconnect if before.is_linked() => Phase::Closing,
            Ask::RetryNow if before.phase == Phase::Waiting => Phase::Connecting,
            Ask::Reconnect | Ask::RetryNow | Ask::Probe => before.phase,
        };
        hold!(after.phase == to, S5, "{} after {ask:?} while {}", after.phase, before.phase);
        Ok(())
    }

    /// How the feed ends, and that it stays so.
    fn check_end(&self, step: &Step<'_>) -> Verdict {
        let Step { before, after, outputs, .. } = step;
        if before.phase == Phase::Stopped {
            hold!(after.stopped == before.stopped, S2, "stopped by {:?}", after.stopped);
            return Ok(());
        }
        match step.event() {
            Some(Event::Shutdown) if before.is_linked() => {
                let polite = outputs.iter().any(|output| {
                    matches!(output, Output::Send(_, Frame::Close(Some(frame)))
                        if *frame == CloseFrame::new(CloseFrame::NORMAL))
                });
                hold!(polite && after.phase == Phase::Closing, S1, "{} after a shutdown", after.phase);
            }
            Some(Event::Shutdown) if before.phase != Phase::Closing => {
                hold!(step.has_stopped(&StopReason::Shutdown), S1, "{} after a shutdown", after.phase);
            }
            Some(Event::HandlerPanicked) => {
                hold!(step.has_stopped(&StopReason::HandlerPanicked), H5, "{} after a panic", after.phase);
            }
            Some(Event::RuntimeStopped) => {
                let reason = if self.shut { StopReason::Shutdown } else { StopReason::RuntimeStopped };
                hold!(step.has_stopped(&reason), S3, "{} without a runtime", after.phase);
            }
            Some(Event::ConnectFailed { .. } | Event::Lost { .. }) => {
                let settled = matches!(after.phase, Phase::Waiting | Phase::Stopped);
                hold!(settled, R1, "{} after a failure", after.phase);
            }
            _ => {}
        }
        if before.phase == Phase::Closing && after.phase != Phase::Closing && self.shut {
            let over =
                step.has_stopped(&StopReason::Shutdown) || step.has_stopped(&StopReason::HandlerPanicked);
            hold!(over, S1, "{} after a shutdown", after.phase);
        }
        Ok(())
    }

    /// What no longer matters, so that what differs in it alone is equal.
    fn forget(&mut self, after: &View) {
        if after.phase == Phase::Live {
            self.ages.bootstrap = Duration::ZERO;
        } else {
            self.outgoing.accepted.clear();
            (self.ages.live, self.ages.emitted) = (Duration::ZERO, Duration::ZERO);
        }
        if !after.is_linked() {
            self.ages = Ages { phase: self.ages.phase, ..Ages::default() };
            self.outgoing = Outgoing::default();
        }
        if self.outgoing.ping.is_none() {
            self.ages.answer = Duration::ZERO;
        }
        // It has no deadline of its own.
        if after.is_linked() || matches!(after.phase, Phase::Idle | Phase::Stopped) {
            self.ages.phase = Duration::ZERO;
        }
    }
}
