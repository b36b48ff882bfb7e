//! What must hold after every step: a simple view of the same feed, made from its actions alone. The property suite of
//! the core has a stricter one; this one takes any configuration and any time.

use std::collections::{BTreeMap, VecDeque};

use tidegate_core::{
    Action, ConnectionId, Deadline, Delivery, Event, Feed, Frame, Notice, Overflow, Phase, Stats,
    TRANSITIONS, Timestamp,
};

use crate::scripted::{Item, MAX_EMIT, Numbers};

/// What the rules need to know of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    pub items: usize,
    pub bytes: usize,
    pub overflow: Overflow,
    pub send_buffer: usize,
    /// Whether any liveness clock is on.
    pub watched: bool,
    pub max_pause: bool,
    pub max_retries: Option<u32>,
}

/// Everything that can be seen of a feed from outside.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    phase: Phase,
    connection: Option<ConnectionId>,
    deadline: Deadline,
    wants_frames: bool,
    stats: Stats,
}

impl View {
    pub fn of(feed: &Feed<Numbers>) -> Self {
        Self {
            phase: feed.phase(),
            connection: feed.connection(),
            deadline: feed.deadline(),
            wants_frames: feed.wants_frames(),
            stats: feed.stats(),
        }
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

/// What the consumer has seen.
#[derive(Default)]
struct Consumer {
    requested: u64,
    delivered: u64,
    dropped: u64,
    /// The number after that of the last item.
    next: Option<u64>,
    connection: Option<ConnectionId>,
    last_live: u64,
    interrupted: bool,
    /// Since the last item.
    dropped_since: u64,
}

pub struct Rules {
    facts: Facts,
    now: Timestamp,
    socket: Socket,
    last_id: u64,
    told: BTreeMap<ConnectionId, Told>,
    live: bool,
    waits_until: Timestamp,
    streak: u32,
    /// Accepted from the application, and not yet taken: number, and the connection it was accepted on (O1).
    accepted: VecDeque<(u64, ConnectionId)>,
    consumer: Consumer,
}

impl Rules {
    pub fn new(facts: Facts) -> Self {
        Self {
            facts,
            now: Timestamp::ZERO,
            socket: Socket::None,
            last_id: 0,
            told: BTreeMap::new(),
            live: false,
            waits_until: Timestamp::ZERO,
            streak: 0,
            accepted: VecDeque::new(),
            consumer: Consumer::default(),
        }
    }

    /// Time that runs backwards counts as standing still.
    pub fn time(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
    }

    pub fn requested(&mut self, count: u64) {
        self.consumer.requested = self.consumer.requested.saturating_add(count);
    }

    /// O1, O3: only while Live, and not beyond the bound.
    pub fn sent(&mut self, number: u64, accepted: bool, before: &View) {
        if !accepted {
            return;
        }
        assert_eq!(before.phase, Phase::Live, "O1: accepted");
        let id = before.connection.expect("a Live feed has a connection");
        self.accepted.push_back((number, id));
        assert!(self.accepted.len() <= self.facts.send_buffer, "O3: more accepted than the bound");
    }

    /// Judges one step.
    pub fn step(&mut self, event: Option<&Event>, before: &View, actions: &[Action], after: &View) {
        if let Some(event) = event {
            self.stale_and_early(event, before, actions, after);
            self.world(event, before);
        }
        for action in actions {
            self.action(action, before);
        }
        self.phases(before, after);
        self.deadline(after);
        self.queue(after);
        self.all_told(after);
    }

    /// C2, P2: what names another connection and what comes early changes nothing.
    fn stale_and_early(&self, event: &Event, before: &View, actions: &[Action], after: &View) {
        let foreign = named(event).is_some_and(|id| Some(id) != before.connection);
        let counted = after.stats.stale_events - before.stats.stale_events;
        assert!(!foreign || counted == 1, "C2: a foreign event was not counted");
        let tick = matches!(event, Event::Tick);
        if counted > 0 || tick && before.deadline > Deadline::At(self.now) {
            let stats = Stats { stale_events: before.stats.stale_events, ..after.stats };
            assert_eq!(View { stats, ..after.clone() }, *before, "C2, P2: {event:?} changed something");
            assert_eq!(actions.len(), self.accepted.len(), "C2, P2: {event:?} had consequences");
        }
        assert!(!tick || after.deadline > Deadline::At(self.now), "P2: the deadline is due after a Tick");
    }

    /// What the event says about the world.
    fn world(&mut self, event: &Event, before: &View) {
        match (event, self.socket) {
            (Event::Connected { id }, Socket::Dialling(dialled)) if *id == dialled => {
                self.socket = Socket::Open(dialled);
            }
            (Event::ConnectFailed { id, .. }, Socket::Dialling(gone))
            | (Event::Lost { id, .. }, Socket::Open(gone) | Socket::Closing(gone))
                if *id == gone =>
            {
                self.socket = Socket::None;
            }
            (Event::Shutdown | Event::HandlerPanicked, _) => {
                if let Some(told) = before.connection.and_then(|id| self.told.get_mut(&id)) {
                    told.excused = true;
                }
            }
            (_, _) => {}
        }
    }

    fn action(&mut self, action: &Action, before: &View) {
        assert_ne!(before.phase, Phase::Stopped, "S2: {action:?} after the end");
        match action {
            Action::Connect { id } => {
                assert_eq!(self.socket, Socket::None, "C1: {action:?}");
                assert!(id.get() > self.last_id, "C2: {action:?} after {}", self.last_id);
                assert!(self.now >= self.waits_until, "R7: {action:?} before the delay is over");
                self.last_id = id.get();
                self.socket = Socket::Dialling(*id);
                self.told.insert(*id, Told::default());
            }
            Action::Send { id, frame } => {
                assert_eq!(self.socket, Socket::Open(*id), "O1: {action:?}");
                self.send(*id, frame);
            }
            Action::Close { id, .. } => {
                assert_eq!(self.socket, Socket::Open(*id), "C5: {action:?}");
                self.socket = Socket::Closing(*id);
            }
            Action::Abort { id } => {
                assert_eq!(before.connection, Some(*id), "C1: {action:?}");
                self.socket = Socket::None;
            }
            Action::Notify(notice) => self.notice(notice),
        }
    }

    /// O1: in order, and on the connection that it was accepted on.
    fn send(&mut self, on: ConnectionId, frame: &Frame) {
        let Frame::Text(payload) = frame else { return };
        let payload = std::str::from_utf8(payload).expect("text that is sent is UTF-8");
        let (rest, connection) = payload.rsplit_once(' ').expect("three words");
        assert_eq!(connection, on.to_string(), "O1: {payload} was sent on {on}");
        if let Some(number) = rest.strip_prefix("s ") {
            let (next, accepted_on) = self.accepted.pop_front().expect("O1: it was never accepted");
            assert_eq!((number, on), (next.to_string().as_str(), accepted_on), "O1: out of order");
        }
    }

    fn notice(&mut self, notice: &Notice) {
        match notice {
            Notice::Success { id } => self.told(*id).success += 1,
            Notice::Failure { id, .. } => self.told(*id).failure += 1,
            Notice::Disconnected { id, failure } => {
                assert!(!failure.as_ref().is_some_and(|why| why.is_timeout()), "T2: a timeout");
                self.told(*id).ended += 1;
            }
            Notice::Timeout { id, failure } => {
                assert!(failure.is_timeout(), "T2: told as a timeout: {failure}");
                self.told(*id).ended += 1;
            }
            Notice::Status { live } => {
                assert_ne!(*live, self.live, "T1: status told twice");
                self.live = *live;
            }
            Notice::Retry { attempt, delay } => {
                assert!(*attempt == 1 || *attempt == self.streak + 1, "R4: {attempt} after {}", self.streak);
                assert!(self.facts.max_retries.is_none_or(|max| *attempt <= max), "R2: one retry too many");
                self.streak = *attempt;
                self.waits_until = self.now.saturating_add(*delay);
            }
            Notice::Pong { .. }
            | Notice::Dropped { .. }
            | Notice::Paused { .. }
            | Notice::Resumed { .. }
            | Notice::Connecting { .. }
            | Notice::Stopped { .. } => {}
        }
    }

    fn told(&mut self, id: ConnectionId) -> &mut Told {
        self.told.get_mut(&id).expect("T2: it was never dialled")
    }

    /// D1, D2, D4.
    pub fn delivery(&mut self, delivery: &Delivery<Item>) {
        let seen = &mut self.consumer;
        match delivery {
            Delivery::Item(item) => {
                seen.delivered += 1;
                assert!(seen.delivered <= seen.requested, "D1: more than was requested");
                let next = seen.next.unwrap_or(item.number);
                let gap = item.number.checked_sub(next).expect("D2: out of order, or twice");
                let may_lose = self.facts.overflow == Overflow::Disconnect && seen.interrupted;
                let first = seen.next.is_none();
                assert!(gap == seen.dropped_since || may_lose || first, "D2, D4: {gap} items are missing");
                let same = seen.connection.is_none_or(|connection| connection == item.connection);
                assert!(same || seen.interrupted, "D2: the consumer was not told of a new connection");
                seen.next = Some(item.number + 1);
                seen.connection = Some(item.connection);
                seen.interrupted = false;
                seen.dropped_since = 0;
            }
            Delivery::Live { id } => {
                assert!(id.get() > seen.last_live, "D2: Live {id} twice, or out of order");
                seen.last_live = id.get();
            }
            Delivery::Interrupted { .. } => seen.interrupted = true,
            Delivery::Dropped { count } => {
                let drops = matches!(self.facts.overflow, Overflow::DropOldest | Overflow::DropNewest);
                assert!(drops && *count > 0, "D4: {count} dropped under {:?}", self.facts.overflow);
                seen.dropped_since += count;
                seen.dropped += count;
            }
        }
    }

    fn phases(&mut self, before: &View, after: &View) {
        let (from, to) = (before.phase, after.phase);
        let is_move = |from, to| TRANSITIONS.iter().any(|row| (row.from, row.to) == (from, to));
        let through_bootstrap = is_move(from, Phase::Bootstrapping) && is_move(Phase::Bootstrapping, to);
        assert!(from == to || is_move(from, to) || through_bootstrap, "{from} to {to} is no transition");
        assert_eq!(self.live, to == Phase::Live, "T1: status while {to}");
        let socket = match to {
            Phase::Idle | Phase::Waiting | Phase::Stopped => self.socket == Socket::None,
            Phase::Connecting => after.connection.map(Socket::Dialling) == Some(self.socket),
            Phase::Bootstrapping | Phase::Live => after.connection.map(Socket::Open) == Some(self.socket),
            Phase::Closing => after.connection.map(Socket::Closing) == Some(self.socket),
        };
        assert!(socket, "C1, R7: {:?} while {to}", self.socket);
        if to != Phase::Live {
            self.accepted.clear();
        }
    }

    /// P1, S2.
    fn deadline(&self, after: &View) {
        let must = match after.phase {
            Phase::Idle | Phase::Stopped => {
                assert_eq!(after.deadline, Deadline::Never, "S2: {}", after.phase);
                false
            }
            Phase::Connecting | Phase::Closing | Phase::Waiting => true,
            Phase::Bootstrapping if after.wants_frames => true,
            Phase::Live if after.wants_frames => self.facts.watched,
            Phase::Bootstrapping | Phase::Live => self.facts.max_pause,
        };
        assert!(!must || after.deadline != Deadline::Never, "P1: {} has no deadline", after.phase);
    }

    /// D3: the bounds, and what the one frame in hand emits.
    fn queue(&self, after: &View) {
        let extra = match self.facts.overflow {
            Overflow::Pause | Overflow::Disconnect => u128::from(MAX_EMIT),
            Overflow::DropOldest | Overflow::DropNewest => 1,
        };
        let (queued, weight) = (u128::from(after.stats.queued), u128::from(after.stats.queued_bytes));
        assert!(queued < self.facts.items as u128 + extra, "D3: {queued} items queued");
        let heaviest = u128::from(u16::MAX) + size_of::<Item>() as u128;
        assert!(weight < self.facts.bytes as u128 + extra * heaviest, "D3: {weight} bytes queued");
        let accounted = after.stats.delivered + after.stats.dropped + after.stats.queued;
        let lossless = self.facts.overflow != Overflow::Disconnect;
        assert!(!lossless || accounted == after.stats.items, "D2: {accounted} of {}", after.stats.items);
        assert_eq!(after.stats.delivered, self.consumer.delivered, "D1: stats");
    }

    /// T2, as far as it can be told while a connection lasts.
    fn all_told(&self, after: &View) {
        for (id, told) in self.told.iter().rev().take(2) {
            let current = after.connection == Some(*id) && after.phase != Phase::Closing;
            let fine = match (current, after.phase == Phase::Live) {
                (true, true) => (told.success, told.failure, told.ended) == (1, 0, 0),
                (true, false) => (told.success, told.failure, told.ended) == (0, 0, 0),
                (false, _) if told.success == 1 => (told.failure, told.ended) == (0, 1),
                (false, _) => {
                    told.success == 0
                        && told.ended == 0
                        && (told.failure == 1 || told.failure == 0 && told.excused)
                }
            };
            assert!(fine, "T2: {id} is {}, and told was {told:?}", if current { "current" } else { "over" });
        }
    }

    /// Once the consumer has taken everything.
    pub fn finish(&self, last: &View) {
        let seen = &self.consumer;
        assert_eq!(last.stats.queued, 0, "D1: requested, and not delivered");
        assert_eq!(seen.dropped, last.stats.dropped, "D4: drops told");
    }
}

/// The connection that an event names.
fn named(event: &Event) -> Option<ConnectionId> {
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
