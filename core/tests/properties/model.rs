//! What must hold after every step: a second, much simpler view of the same feed, made from its actions alone.

use std::collections::BTreeMap;
use std::time::Duration;

use tidegate_core::{
    Action, ConnectionId, Deadline, Delivery, Event, Failure, Feed, Frame, Notice, Overflow, Phase, Stats,
    StopReason, TRANSITIONS, Timestamp,
};

use crate::setup::{Item, MAX_EMIT, MAX_WEIGHT, Numbers, Script, Setup, Then};

/// A rule that was broken.
pub(crate) type Broken = String;

macro_rules! hold {
    ($cond:expr, $($message:tt)+) => {
        if !$cond {
            return Err(format!($($message)+));
        }
    };
}

/// One call of the machine's interface.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    Handle(Event, Timestamp),
    Send(u64),
    Request(u64),
    Take(Timestamp),
    /// Take the actions that wait.
    Drain,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    Action(Action),
    Delivery(Delivery<Item>),
    Accepted(bool),
}

/// Everything that can be seen of a feed from outside.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct View {
    pub(crate) phase: Phase,
    pub(crate) connection: Option<ConnectionId>,
    pub(crate) deadline: Deadline,
    pub(crate) wants_frames: bool,
    pub(crate) stats: Stats,
}

impl View {
    pub(crate) fn of(feed: &Feed<Numbers>) -> Self {
        Self {
            phase: feed.phase(),
            connection: feed.connection(),
            deadline: feed.deadline(),
            wants_frames: feed.wants_frames(),
            stats: feed.stats(),
        }
    }

    fn is_linked(&self) -> bool {
        matches!(self.phase, Phase::Bootstrapping | Phase::Live)
    }
}

/// The connection that an event names.
pub(crate) fn named(event: &Event) -> Option<ConnectionId> {
    match event {
        Event::Connected { id }
        | Event::ConnectFailed { id, .. }
        | Event::Frame { id, .. }
        | Event::Heard { id, .. }
        | Event::ProtocolError { id, .. }
        | Event::Flushed { id }
        | Event::Lost { id, .. } => Some(*id),
        Event::Start | Event::Tick | Event::Shutdown | Event::HandlerPanicked => None,
    }
}

/// What the world's end of the connection looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Socket {
    None,
    Dialling(ConnectionId),
    Open(ConnectionId),
    Closing(ConnectionId),
}

/// What has been told of one connection (T2).
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    success: u32,
    failure: u32,
    ended: u32,
    /// The application ended it before it was Live: no failure is owed.
    excused: bool,
}

pub(crate) struct Model {
    setup: Setup,
    now: Timestamp,
    socket: Socket,
    last_id: u64,
    told: BTreeMap<ConnectionId, Told>,
    status: bool,
    /// No Connect before this (R7).
    waits_until: Timestamp,
    streak: u32,
    live_since: Timestamp,
    outgoing: Outgoing,
    messages: u64,
    heard: Timestamp,
    ready: bool,
    consumer: Consumer,
    held_back: bool,
}

/// The frames on their way out on the present connection.
#[derive(Default)]
struct Outgoing {
    /// Accepted from the application: number, and the connection it was accepted on (O1).
    accepted: std::collections::VecDeque<(u64, ConnectionId)>,
    /// Sent and not flushed, but for those of the bootstrap.
    unflushed: usize,
    bootstrap_sent: u64,
    bootstrap_unflushed: u64,
}

/// What the consumer has seen.
#[derive(Default)]
struct Consumer {
    requested: u64,
    delivered: u64,
    dropped: u64,
    next: u64,
    /// Of the last item.
    connection: Option<ConnectionId>,
    last_live: Option<ConnectionId>,
    /// Told as Live, and not as over.
    open: Option<ConnectionId>,
    last_mark: u64,
    /// Since the last item.
    interrupted: bool,
    /// Since the last item.
    dropped_since: u64,
}

impl Model {
    pub(crate) fn new(setup: Setup) -> Self {
        Self {
            setup,
            now: Timestamp::ZERO,
            socket: Socket::None,
            last_id: 0,
            told: BTreeMap::new(),
            status: false,
            waits_until: Timestamp::ZERO,
            streak: 0,
            live_since: Timestamp::ZERO,
            outgoing: Outgoing::default(),
            messages: 0,
            heard: Timestamp::ZERO,
            ready: false,
            consumer: Consumer::default(),
            held_back: false,
        }
    }

    /// Judges one step.
    pub(crate) fn step(
        &mut self,
        call: &Call,
        before: &View,
        outputs: &[Output],
        after: &View,
    ) -> Result<(), Broken> {
        if let Call::Handle(event, now) = call {
            self.now = *now;
            self.check_stale_and_early(event, before, outputs, after)?;
            self.world(event, before);
        }
        match call {
            Call::Request(count) => self.consumer.requested += count,
            Call::Take(now) => self.now = *now,
            Call::Handle(..) | Call::Send(_) | Call::Drain => {}
        }
        for output in outputs {
            match output {
                Output::Action(action) => self.action(action, before)?,
                Output::Delivery(delivery) => self.delivery(delivery)?,
                Output::Accepted(accepted) => self.sent(call, *accepted, before)?,
            }
        }
        self.check_phases(before, after)?;
        self.check_deadline(after)?;
        self.check_queue(before, after)?;
        self.check_told(after)
    }

    /// C2, P2: what names another connection and what comes early changes nothing.
    fn check_stale_and_early(
        &self,
        event: &Event,
        before: &View,
        outputs: &[Output],
        after: &View,
    ) -> Result<(), Broken> {
        let foreign = named(event).is_some_and(|id| Some(id) != before.connection);
        let counted = after.stats.stale_events - before.stats.stale_events;
        hold!(!foreign || counted == 1, "C2: a foreign event was not counted");
        let early = matches!(event, Event::Tick) && before.deadline > Deadline::At(self.now);
        if counted > 0 || early {
            let stats = Stats { stale_events: before.stats.stale_events, ..after.stats };
            hold!(View { stats, ..after.clone() } == *before, "C2, P2: it changed something");
            let waiting = self.outgoing.accepted.len();
            hold!(outputs.len() == waiting, "C2, P2: it had consequences");
        }
        if matches!(event, Event::Tick) {
            hold!(after.deadline > Deadline::At(self.now), "P2: the deadline is due after a Tick");
        }
        Ok(())
    }

    /// What the event says about the world.
    fn world(&mut self, event: &Event, before: &View) {
        match (event, self.socket) {
            (Event::Connected { id }, Socket::Dialling(dialled)) if *id == dialled => {
                self.socket = Socket::Open(dialled);
                self.outgoing = Outgoing::default();
                self.heard = self.now;
                self.ready = false;
            }
            (Event::ConnectFailed { id, .. }, Socket::Dialling(gone))
            | (Event::Lost { id, .. }, Socket::Open(gone) | Socket::Closing(gone))
                if *id == gone =>
            {
                self.socket = Socket::None;
            }
            (Event::Frame { id, frame }, Socket::Open(open)) if *id == open && before.is_linked() => {
                self.heard = self.now;
                if let Frame::Binary(script) = frame
                    && before.wants_frames
                {
                    self.messages += 1;
                    self.ready |= script[2] == Then::Ready as u8;
                }
            }
            (Event::Heard { id, at }, Socket::Open(open)) if *id == open => {
                self.heard = self.heard.max(*at);
            }
            (Event::Flushed { id }, Socket::Open(open)) if *id == open => {
                self.outgoing.unflushed = 0;
                self.outgoing.bootstrap_unflushed = 0;
            }
            (Event::Shutdown | Event::HandlerPanicked, _) => {
                if let Some(told) = before.connection.and_then(|id| self.told.get_mut(&id)) {
                    told.excused = true;
                }
            }
            _ => {}
        }
    }

    fn action(&mut self, action: &Action, before: &View) -> Result<(), Broken> {
        hold!(before.phase != Phase::Stopped, "S2: {action:?} after the end");
        match action {
            Action::Connect { id } => {
                hold!(self.socket == Socket::None, "C1: {action:?} beside {:?}", self.socket);
                hold!(id.get() > self.last_id, "C2: {action:?} after {}", self.last_id);
                hold!(self.now >= self.waits_until, "R7: {action:?} before the delay is over");
                self.last_id = id.get();
                self.socket = Socket::Dialling(*id);
                self.told.insert(*id, Told::default());
            }
            Action::Send { id, frame } => {
                hold!(self.socket == Socket::Open(*id), "O1: {action:?} on {:?}", self.socket);
                self.send(*id, frame)?;
            }
            Action::Close { id, .. } => {
                hold!(self.socket == Socket::Open(*id), "C5: {action:?} on {:?}", self.socket);
                self.socket = Socket::Closing(*id);
            }
            // After a panic a socket that is gone already may be dropped once more.
            Action::Abort { id } => {
                let current = before.connection == Some(*id);
                hold!(current, "C1: {action:?} is not about the current connection");
                self.socket = Socket::None;
            }
            Action::Notify(notice) => self.notice(notice)?,
        }
        Ok(())
    }

    fn send(&mut self, id: ConnectionId, frame: &Frame) -> Result<(), Broken> {
        let payload = match frame {
            Frame::Text(payload) => std::str::from_utf8(payload).map_err(|error| error.to_string())?,
            Frame::Binary(_) | Frame::Ping(_) | Frame::Pong(_) | Frame::Close(_) => {
                self.outgoing.unflushed += 1;
                return Ok(());
            }
        };
        let words: Vec<&str> = payload.split(' ').collect();
        let [kind, number, connection] = words[..] else { return Err(format!("who sent {payload}?")) };
        hold!(connection == id.to_string(), "O1: {payload} was sent on {id}");
        match kind {
            "b" => {
                hold!(number == self.outgoing.bootstrap_sent.to_string(), "B1: {payload} out of order");
                self.outgoing.bootstrap_sent += 1;
                self.outgoing.bootstrap_unflushed += 1;
            }
            "r" => self.outgoing.unflushed += 1,
            _ => {
                let accepted = self.outgoing.accepted.pop_front().map(|(number, _)| number.to_string());
                hold!(accepted.as_deref() == Some(number), "O1: {payload} out of order");
                self.outgoing.unflushed += 1;
            }
        }
        // One ping may be out beyond the bound.
        hold!(self.outgoing.unflushed <= self.setup.send_buffer + 1, "O3: too many frames are out");
        Ok(())
    }

    fn sent(&mut self, call: &Call, accepted: bool, before: &View) -> Result<(), Broken> {
        let (Call::Send(number), Some(id)) = (call, before.connection) else {
            hold!(!accepted, "O1: accepted without a connection");
            return Ok(());
        };
        let pending = self.outgoing.unflushed + self.outgoing.accepted.len();
        let has_room = before.phase == Phase::Live && pending < self.setup.send_buffer;
        hold!(accepted == has_room, "O1, O3: accepted: {accepted}, in {}, {pending} pending", before.phase);
        if accepted {
            self.outgoing.accepted.push_back((*number, id));
        }
        Ok(())
    }

    fn notice(&mut self, notice: &Notice) -> Result<(), Broken> {
        match notice {
            Notice::Success { id } => {
                self.told(*id)?.success += 1;
                self.live_since = self.now;
                let owed = self.setup.handler.bootstrap.into();
                hold!(self.outgoing.bootstrap_sent == owed, "B2: Live before all bootstrap frames are out");
                hold!(self.outgoing.bootstrap_unflushed == 0, "B2: Live before the flush");
                hold!(self.ready || !self.setup.handler.declares, "B2: Live before the handler's word");
                hold!(self.setup.handler.accepts(*id), "B4: success after a refusal");
            }
            Notice::Failure { id, failure } => {
                self.told(*id)?.failure += 1;
                self.check_idle(failure)?;
            }
            Notice::Disconnected { id, failure } => {
                hold!(
                    !failure.as_ref().is_some_and(Failure::is_timeout),
                    "T2: a timeout told as disconnected"
                );
                self.ended(*id)?;
            }
            Notice::Timeout { id, failure } => {
                hold!(failure.is_timeout(), "T2: told as a timeout: {failure}");
                self.check_idle(failure)?;
                self.ended(*id)?;
            }
            Notice::Status { live } => {
                hold!(*live != self.status, "T1: status told twice");
                self.status = *live;
            }
            Notice::Retry { attempt, delay } => {
                self.streak += 1;
                hold!(*attempt == self.streak, "R4: retry {attempt} is the {}. of its streak", self.streak);
                hold!(self.setup.retry.max.is_none_or(|max| *attempt <= max), "R2: one retry too many");
                self.waits_until = self.now.saturating_add(*delay);
            }
            Notice::Stopped { reason: StopReason::RetriesExhausted { .. } } => {
                hold!(Some(self.streak) == self.setup.retry.max, "R2: stopped after {} retries", self.streak);
            }
            Notice::Resumed { .. } => self.heard = self.now,
            Notice::Pong { .. }
            | Notice::Dropped { .. }
            | Notice::Paused { .. }
            | Notice::Connecting { .. }
            | Notice::Stopped { .. } => {}
        }
        Ok(())
    }

    fn told(&mut self, id: ConnectionId) -> Result<&mut Told, Broken> {
        self.told.get_mut(&id).ok_or_else(|| format!("T2: {id} was never dialled"))
    }

    fn ended(&mut self, id: ConnectionId) -> Result<(), Broken> {
        self.told(id)?.ended += 1;
        let stable = Duration::from_millis(self.setup.spans.stable_after);
        if self.now.saturating_since(self.live_since) >= stable {
            self.streak = 0;
        }
        Ok(())
    }

    fn check_idle(&self, failure: &Failure) -> Result<(), Broken> {
        if matches!(failure, Failure::IdleTimeout) {
            let silent = self.now >= self.idle_deadline().unwrap_or(Timestamp::ZERO);
            hold!(silent, "L2: an idle timeout that was none");
        }
        Ok(())
    }

    fn idle_deadline(&self) -> Option<Timestamp> {
        let idle = self.setup.clocks.idle?;
        Some(self.heard.saturating_add(Duration::from_millis(idle)))
    }

    fn delivery(&mut self, delivery: &Delivery<Item>) -> Result<(), Broken> {
        let overflow = self.setup.overflow;
        let seen = &mut self.consumer;
        match delivery {
            Delivery::Item(item) => {
                seen.delivered += 1;
                hold!(seen.delivered <= seen.requested, "D1: more than was requested");
                let gap = item.number.checked_sub(seen.next).ok_or("D2: out of order, or twice")?;
                let lost = gap - seen.dropped_since.min(gap);
                hold!(
                    seen.dropped_since <= gap,
                    "D4: {} told as dropped, {gap} are missing",
                    seen.dropped_since
                );
                let may_lose = overflow == Overflow::Disconnect && seen.interrupted;
                hold!(lost == 0 || may_lose, "D2: {lost} items before {} are missing", item.number);
                let same = seen.connection.is_none_or(|connection| connection == item.connection);
                hold!(same || seen.interrupted, "D2: the consumer was not told of a new connection");
                let since = seen.connection == Some(item.connection) && seen.interrupted;
                hold!(!since, "D2: an interruption within a connection");
                seen.next = item.number + 1;
                seen.connection = Some(item.connection);
                seen.interrupted = false;
                seen.dropped_since = 0;
            }
            Delivery::Live { id } => {
                hold!(id.get() > seen.last_live.map_or(0, ConnectionId::get), "D2: Live {id} twice");
                hold!(id.get() >= seen.last_mark, "D2: Live {id} out of order");
                seen.last_mark = id.get();
                seen.last_live = Some(*id);
                seen.open = Some(*id);
            }
            Delivery::Interrupted { id, .. } => {
                hold!(id.get() >= seen.last_mark, "D2: Interrupted {id} out of order");
                seen.last_mark = id.get();
                seen.interrupted = true;
                seen.open = None;
            }
            Delivery::Dropped { count } => {
                let drops = matches!(overflow, Overflow::DropOldest | Overflow::DropNewest);
                hold!(drops && *count > 0, "D4: {count} dropped under {overflow:?}");
                seen.dropped_since += count;
                seen.dropped += count;
            }
        }
        Ok(())
    }

    fn check_phases(&mut self, before: &View, after: &View) -> Result<(), Broken> {
        let (from, to) = (before.phase, after.phase);
        let is_move = |from, to| TRANSITIONS.iter().any(|row| (row.from, row.to) == (from, to));
        let through_bootstrap = is_move(from, Phase::Bootstrapping) && is_move(Phase::Bootstrapping, to);
        hold!(from == to || is_move(from, to) || through_bootstrap, "{from} to {to} is no transition");
        hold!(self.status == (to == Phase::Live), "T1: status is {} while {to}", self.status);
        let socket = match to {
            Phase::Idle | Phase::Waiting | Phase::Stopped => self.socket == Socket::None,
            Phase::Connecting => after.connection.map(Socket::Dialling) == Some(self.socket),
            Phase::Bootstrapping | Phase::Live => after.connection.map(Socket::Open) == Some(self.socket),
            Phase::Closing => after.connection.map(Socket::Closing) == Some(self.socket),
        };
        hold!(socket, "C1, R7: {:?} while {to}", self.socket);
        if !matches!(to, Phase::Live) {
            self.outgoing.accepted.clear();
        }
        hold!(after.stats.messages == self.messages, "H2: {} of {}", after.stats.messages, self.messages);
        Ok(())
    }

    fn check_deadline(&self, after: &View) -> Result<(), Broken> {
        let clocks = &self.setup.clocks;
        let watched = clocks.idle.is_some() || clocks.ping.is_some() || clocks.stale.is_some();
        let must = match after.phase {
            Phase::Idle | Phase::Stopped => false,
            Phase::Connecting | Phase::Closing | Phase::Waiting => true,
            Phase::Bootstrapping if after.wants_frames => true,
            Phase::Live if after.wants_frames => watched,
            Phase::Bootstrapping | Phase::Live => clocks.max_pause.is_some(),
        };
        hold!(!must || after.deadline != Deadline::Never, "P1: {} has no deadline", after.phase);
        let dead = matches!(after.phase, Phase::Idle | Phase::Stopped);
        hold!(!dead || after.deadline == Deadline::Never, "S2: {} has a deadline", after.phase);
        if let (true, true, Some(idle)) = (after.is_linked(), after.wants_frames, self.idle_deadline()) {
            hold!(after.deadline <= Deadline::At(idle), "L2: silence would be seen late");
        }
        Ok(())
    }

    /// D3, D4: the bounds, and reading held back between full and half.
    fn check_queue(&mut self, before: &View, after: &View) -> Result<(), Broken> {
        let (items, bytes) = (self.setup.buffer as u64, self.setup.buffer_bytes as u64);
        let (queued, weight) = (after.stats.queued, after.stats.queued_bytes);
        let pause = self.setup.overflow == Overflow::Pause;
        let whole_frames = matches!(self.setup.overflow, Overflow::Pause | Overflow::Disconnect);
        let extra = if whole_frames { MAX_EMIT } else { 1 };
        hold!(queued < items + extra, "D3: {queued} items queued");
        hold!(weight < bytes + extra * MAX_WEIGHT, "D3: {weight} bytes queued");
        if queued > before.stats.queued && pause && (queued >= items || weight >= bytes) {
            self.held_back = true;
        }
        if queued < before.stats.queued && queued <= items / 2 && weight <= bytes / 2 {
            self.held_back = false;
        }
        if after.is_linked() {
            hold!(after.wants_frames != self.held_back, "D4: held back: {}", self.held_back);
        }
        let accounted = after.stats.delivered + after.stats.dropped + queued;
        let lossless = self.setup.overflow != Overflow::Disconnect;
        hold!(!lossless || accounted == after.stats.items, "D2: {accounted} of {}", after.stats.items);
        hold!(after.stats.delivered == self.consumer.delivered, "D1: stats");
        Ok(())
    }

    /// T2, as far as it can be told while a connection lasts.
    fn check_told(&self, after: &View) -> Result<(), Broken> {
        for (id, told) in self.told.iter().rev().take(2) {
            let current = after.connection == Some(*id) && after.phase != Phase::Closing;
            let fine = match (current, after.phase == Phase::Live) {
                (true, true) => (told.success, told.failure, told.ended) == (1, 0, 0),
                (true, false) => (told.success, told.failure, told.ended) == (0, 0, 0),
                (false, _) if told.success == 1 => (told.failure, told.ended) == (0, 1),
                (false, _) => told.ended == 0 && (told.failure == 1 || told.failure == 0 && told.excused),
            };
            hold!(fine, "T2: {id} is {}, and told was {told:?}", if current { "current" } else { "over" });
        }
        Ok(())
    }

    /// Once the consumer has taken everything.
    pub(crate) fn finish(&self, last: &View) -> Result<(), Broken> {
        let seen = &self.consumer;
        hold!(last.stats.queued == 0, "D1: requested, and not delivered");
        hold!(
            seen.dropped == last.stats.dropped,
            "D4: {} of {} drops told",
            seen.dropped,
            last.stats.dropped
        );
        if self.setup.overflow != Overflow::Disconnect {
            hold!(seen.delivered + seen.dropped == last.stats.items, "D2: items are missing at the end");
        }
        let linked = last.connection.filter(|_| last.is_linked());
        let over = |id: Option<ConnectionId>| id.is_some() && id != linked;
        hold!(!over(seen.connection) || seen.interrupted, "D2: the last item's connection ended unseen");
        hold!(!over(seen.open), "D2: the last Live's connection ended unseen");
        Ok(())
    }
}

pub(crate) fn data(script: Script) -> Frame {
    Frame::Binary(script.encode())
}
