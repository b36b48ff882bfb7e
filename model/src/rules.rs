//! The rules of `docs/design.md`, as a second, much simpler machine that is made from what the feed says and does.

mod checks;
mod consumer;
mod telemetry;

use tidegate_core::{Action, ConnectionId, Frame, Phase, Stats};

use crate::op::{Op, Output};
use crate::rules::consumer::Consumer;
use crate::rules::telemetry::Told;
use crate::view::View;
use crate::world::{Millis, SEND_BUFFER, WAKE, World};

macro_rules! rules {
    ($($rule:ident $words:literal,)+) => {
        /// A rule that can be broken.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "the design has them by these names")]
        pub enum Rule { $($rule),+ }

        /// Each rule as a property that holds always.
        pub(crate) fn always() -> Vec<stateright::Property<World>> {
            vec![$(stateright::Property::always(
                concat!(stringify!($rule), ": ", $words),
                |_, state: &crate::check::State| !state.breaks(Rule::$rule),
            )),+]
        }
    };
}

rules! {
    P1 "every phase that must has a deadline",
    P2 "after a Tick the deadline lies ahead, and an early one changes nothing",
    P3 "the same events give the same machine",
    C1 "one connection at most",
    C2 "ids grow; a foreign event changes nothing and is counted",
    C3 "an attempt has connect_timeout",
    C5 "a closing socket is gone within close_timeout",
    R1 "every failure is followed by a retry or the end",
    R2 "as many retries as configured, then the end at once",
    R4 "only a stable connection ends the streak",
    R5 "Retry-After is a lower bound",
    R6 "fatal failures end the feed, and no others",
    R7 "no socket and no Connect while waiting",
    B1 "bootstrap frames come first, in order, on every connection",
    B2 "Live when all is flushed and the handler agrees, not before",
    B3 "bootstrap_timeout bounds the bootstrap",
    L2 "silence is seen at its deadline, neither late nor early",
    L3 "pong_timeout bounds the answer to a ping, and ends no connection early",
    L4 "a mute feed is seen at its deadline, neither late nor early",
    L5 "while reading is held back only max_pause counts; then the clocks start afresh",
    H2 "one call of the handler per data frame",
    H4 "the handler is woken at the time it asked for",
    H5 "no panic, and one that is reported ends the feed",
    D1 "no more items than requested",
    D2 "items in order, each once, interruptions told",
    D3 "the queue is bounded, and a frame beyond that ends the connection",
    D4 "reading is held back between full and half; drops are told",
    O1 "sending while Live only, and never on a later connection",
    O3 "what is on its way out is bounded",
    S1 "a shutdown says Close(1000) and ends in Stopped",
    S2 "Stopped absorbs",
    T1 "status follows Live, and moves are those of the table",
    T2 "each connection is told of exactly once",
}

/// The rules that have been broken so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Broken(u64);

impl Broken {
    pub(crate) const fn has(self, rule: Rule) -> bool {
        self.0 & 1 << rule as u32 != 0
    }

    pub(crate) const fn any(self) -> bool {
        self.0 != 0
    }

    pub(crate) fn unless(&mut self, holds: bool, rule: Rule) {
        if !holds {
            self.0 |= 1 << rule as u32;
        }
    }
}

/// The world's end of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Socket {
    None,
    Dialling(ConnectionId),
    Open(ConnectionId),
    Closing(ConnectionId),
}

/// How long ago things happened, in milliseconds. Ages rather than times: states that differ in the date alone are one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Ages {
    /// Since the phase began.
    phase: Millis,
    /// Since the bootstrap began, or went on after a pause.
    bootstrap: Millis,
    heard: Millis,
    emitted: Millis,
    live: Millis,
    /// Since a ping that is out, or since reading went on after it.
    ping: Millis,
    paused: Millis,
}

impl Ages {
    /// Longer than every span of the worlds; all that is older is the same.
    const MAX: Millis = 10;

    fn advance(&mut self, by: Millis) {
        let Self { phase, bootstrap, heard, emitted, live, ping, paused } = self;
        for age in [phase, bootstrap, heard, emitted, live, ping, paused] {
            *age = (*age + by).min(Self::MAX);
        }
    }
}

/// Frames on their way out on the present connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Outgoing {
    /// Accepted from the application and not yet taken: number, and the connection it was accepted on (O1).
    accepted: Vec<(u8, Option<ConnectionId>)>,
    unflushed: usize,
    bootstrap_sent: u8,
    bootstrap_unflushed: u8,
    /// The handler has declared that it is ready.
    ready: bool,
    /// The number of the ping that is out.
    ping: Option<u8>,
    /// How long until the handler is to be woken.
    wake: Option<Millis>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Rules {
    pub(crate) broken: Broken,
    socket: Socket,
    last_id: u64,
    ages: Ages,
    /// No Connect before that long from now (R7).
    wait: Millis,
    streak: u32,
    shut: bool,
    held_back: bool,
    outgoing: Outgoing,
    told: Told,
    consumer: Consumer,
}

/// One step, as the rules see it.
pub(crate) struct Step<'a> {
    pub(crate) world: &'a World,
    pub(crate) op: Op,
    pub(crate) before: &'a View,
    pub(crate) after: &'a View,
    pub(crate) outputs: &'a [Output],
    /// Whether the machine is as it was, figures apart.
    pub(crate) unchanged: bool,
}

impl Rules {
    pub(crate) fn new() -> Self {
        Self {
            broken: Broken::default(),
            socket: Socket::None,
            last_id: 0,
            ages: Ages::default(),
            wait: 0,
            streak: 0,
            shut: false,
            held_back: false,
            outgoing: Outgoing::default(),
            told: Told::default(),
            consumer: Consumer::default(),
        }
    }

    pub(crate) fn advance(&mut self, by: Millis) {
        self.ages.advance(by);
        self.wait = self.wait.saturating_sub(by);
        self.outgoing.wake = self.outgoing.wake.map(|wake| wake.saturating_sub(by));
    }

    /// The number of the ping that is out.
    pub(crate) const fn ping(&self) -> Option<u8> {
        self.outgoing.ping
    }

    /// Whether frames that the application sent wait to be taken.
    pub(crate) fn has_waiting_sends(&self) -> bool {
        !self.outgoing.accepted.is_empty()
    }

    /// Whether the bootstrap waits for a flush, and for the handler's word.
    pub(crate) const fn owes(&self) -> (bool, bool) {
        (self.outgoing.bootstrap_unflushed > 0, !self.outgoing.ready)
    }

    pub(crate) const fn was_shut_down(&self) -> bool {
        self.shut
    }

    /// Judges one step.
    pub(crate) fn step(&mut self, step: &Step<'_>) {
        self.check_unheeded(step);
        self.world(step);
        for output in step.outputs {
            match output {
                Output::Action(action) => self.action(action, step),
                Output::Delivery(delivery) => {
                    self.consumer.delivery(delivery, step.world.overflow, &mut self.broken)
                }
                Output::Accepted(accepted) => self.sent(*accepted, step),
            }
        }
        if step.before.phase != step.after.phase {
            self.ages.phase = 0;
        }
        if step.after.stats.items > step.before.stats.items {
            self.ages.emitted = 0;
            // The consumer's room is what a paused handler must not use up.
            self.broken.unless(!step.before.is_held_back(), Rule::D3);
            if step.op == Op::Tick {
                self.broken.unless(self.outgoing.wake == Some(0), Rule::H4);
                self.outgoing.wake = None;
            }
        }
        self.check_phase(step);
        self.check_deadline(step);
        self.check_clocks(step);
        self.check_queue(step);
        self.check_end(step);
        self.told.check(step, &mut self.broken);
        self.forget(step.after);
    }

    /// C2, P2: what names another connection, cannot happen or comes early changes nothing.
    fn check_unheeded(&mut self, Step { op, before, after, outputs, unchanged, .. }: &Step<'_>) {
        let counted = after.stats.stale_events - before.stats.stale_events;
        let idle = *unchanged
            && outputs.len() == self.outgoing.accepted.len()
            && Stats { stale_events: before.stats.stale_events, ..after.stats } == before.stats;
        let harmless = idle || self.has_waiting_sends();
        let stray = matches!(op, Op::Stray(..));
        self.broken.unless(counted == u64::from(stray), Rule::C2);
        if stray {
            self.broken.unless(harmless && before.phase == after.phase, Rule::C2);
        }
        if *op == Op::Tick {
            let early = before.due_in.is_none_or(|due_in| due_in > 0);
            self.broken.unless(!early || harmless && before.phase == after.phase, Rule::P2);
            self.broken.unless(after.due_in.is_none_or(|due_in| due_in > 0), Rule::P2);
        }
    }

    /// What the operation says about the world.
    fn world(&mut self, Step { world, op, before, .. }: &Step<'_>) {
        match (op, self.socket) {
            (Op::Connected, Socket::Dialling(id)) => {
                self.socket = Socket::Open(id);
                self.outgoing = Outgoing::default();
                self.outgoing.ready = world.readiness == tidegate_core::Readiness::WhenFlushed;
                self.ages = Ages::default();
            }
            (Op::Refused(_), Socket::Dialling(_)) | (Op::Lost, Socket::Open(_) | Socket::Closing(_)) => {
                self.socket = Socket::None;
            }
            (Op::Data(_) | Op::Ping | Op::Pong(_) | Op::Heard | Op::PeerClose, Socket::Open(_)) => {
                self.ages.heard = 0;
                if *op == Op::Heard {
                    self.ages.ping = 0;
                }
                self.outgoing.ready |= matches!(op, Op::Data(crate::Script::Ready)) && before.wants_frames;
                if matches!(op, Op::Data(crate::Script::Wake)) && before.wants_frames {
                    self.outgoing.wake = Some(WAKE);
                }
                if matches!(op, Op::Pong(number) if self.outgoing.ping == Some(*number)) {
                    self.outgoing.ping = None;
                }
            }
            (Op::Flushed, Socket::Open(_)) => {
                self.outgoing.unflushed = 0;
                self.outgoing.bootstrap_unflushed = 0;
            }
            (Op::Shutdown, _) => self.shut = true,
            _ => {}
        }
        if let Op::Request(count) = op {
            self.consumer.request(*count);
        }
    }

    fn action(&mut self, action: &Action, step: &Step<'_>) {
        self.broken.unless(step.before.phase != Phase::Stopped, Rule::S2);
        match action {
            Action::Connect { id } => {
                self.broken.unless(self.socket == Socket::None, Rule::C1);
                self.broken.unless(id.get() > self.last_id, Rule::C2);
                self.broken.unless(self.wait == 0, Rule::R7);
                self.broken.unless(!self.shut, Rule::S1);
                self.last_id = id.get();
                self.socket = Socket::Dialling(*id);
                self.told = Told::default();
            }
            Action::Send { id, frame } => {
                self.broken.unless(self.socket == Socket::Open(*id), Rule::O1);
                self.send(*id, frame, step.world);
            }
            Action::Close { id, .. } => {
                self.broken.unless(self.socket == Socket::Open(*id), Rule::C5);
                self.socket = Socket::Closing(*id);
            }
            Action::Abort { id } => {
                self.broken.unless(step.before.connection == Some(*id), Rule::C1);
                self.socket = Socket::None;
            }
            Action::Notify(notice) => self.notice(notice, step),
        }
    }

    fn send(&mut self, id: ConnectionId, frame: &Frame, world: &World) {
        let out = &mut self.outgoing;
        let payload = match frame {
            Frame::Text(payload) => String::from_utf8_lossy(payload).into_owned(),
            Frame::Ping(payload) => {
                self.broken.unless(out.bootstrap_sent == world.bootstrap, Rule::B1);
                self.broken.unless(out.ping.is_none(), Rule::L3);
                out.ping = payload.last().copied();
                out.unflushed += 1;
                self.ages.ping = 0;
                return;
            }
            Frame::Binary(_) | Frame::Pong(_) | Frame::Close(_) => {
                return self.broken.unless(false, Rule::O1);
            }
        };
        let words: Vec<&str> = payload.split(' ').collect();
        let [kind, number, connection] = words[..] else { return self.broken.unless(false, Rule::O1) };
        self.broken.unless(connection == id.to_string(), Rule::O1);
        if kind == "b" {
            self.broken.unless(number == out.bootstrap_sent.to_string(), Rule::B1);
            out.bootstrap_sent += 1;
            out.bootstrap_unflushed += 1;
            return;
        }
        self.broken.unless(out.bootstrap_sent == world.bootstrap, Rule::B1);
        if kind == "s" {
            let expected = (!out.accepted.is_empty()).then(|| out.accepted.remove(0));
            let fits = expected.is_some_and(|(n, on)| n.to_string() == number && on == Some(id));
            self.broken.unless(fits, Rule::O1);
        }
        out.unflushed += 1;
        // One ping may be out beyond the bound.
        self.broken.unless(out.unflushed <= SEND_BUFFER + 1, Rule::O3);
    }

    fn sent(&mut self, accepted: bool, Step { op, before, .. }: &Step<'_>) {
        let pending = self.outgoing.unflushed + self.outgoing.accepted.len();
        self.broken.unless(!accepted || before.phase == Phase::Live, Rule::O1);
        if before.phase == Phase::Live {
            self.broken.unless(accepted == (pending < SEND_BUFFER), Rule::O3);
        }
        if let (true, Op::Send(number)) = (accepted, op) {
            self.outgoing.accepted.push((*number, before.connection));
        }
    }

    /// What no longer matters, so that states that differ in it alone are one.
    fn forget(&mut self, after: &View) {
        if after.phase != Phase::Live {
            self.outgoing.accepted.clear();
            self.ages.live = 0;
            self.ages.emitted = 0;
        }
        if !after.is_linked() {
            self.ages = Ages { phase: self.ages.phase, ..Ages::default() };
            self.outgoing = Outgoing::default();
        }
        if !after.is_held_back() {
            self.ages.paused = 0;
        }
        if self.outgoing.ping.is_none() {
            self.ages.ping = 0;
        }
    }
}
