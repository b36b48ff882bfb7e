//! What must hold of the state that a step has led to, and of the way there.

use tidegate_core::{Action, CloseFrame, Overflow, Phase, TRANSITIONS};

use crate::op::{Op, Output, Refusal};
use crate::rules::{Ages, Rule, Rules, Socket, Step};
use crate::view::{End, View};
use crate::world::{BOOTSTRAP, BUFFER, CLOSE, CONNECT, Millis, RETRY_AFTER};

impl Rules {
    pub(super) fn check_phase(&mut self, Step { op, before, after, .. }: &Step<'_>) {
        let (from, to) = (before.phase, after.phase);
        let is_move = |from, to| TRANSITIONS.iter().any(|row| (row.from, row.to) == (from, to));
        let through = is_move(from, Phase::Bootstrapping) && is_move(Phase::Bootstrapping, to);
        self.broken.unless(from == to || is_move(from, to) || through, Rule::T1);
        let socket = match to {
            Phase::Idle | Phase::Waiting | Phase::Stopped => self.socket == Socket::None,
            Phase::Connecting => after.connection.map(Socket::Dialling) == Some(self.socket),
            Phase::Bootstrapping | Phase::Live => after.connection.map(Socket::Open) == Some(self.socket),
            Phase::Closing => after.connection.map(Socket::Closing) == Some(self.socket),
        };
        self.broken.unless(socket, if to == Phase::Waiting { Rule::R7 } else { Rule::C1 });
        let owed = self.owes();
        self.broken.unless(to != Phase::Bootstrapping || owed != (false, false), Rule::B2);
        let rude = before.is_held_back() && matches!(op, Op::Data(_));
        self.broken.unless(!rude || matches!(to, Phase::Waiting | Phase::Stopped), Rule::D3);
        let heard = matches!(op, Op::Data(_)) && before.is_linked() && before.wants_frames;
        let calls = after.stats.messages - before.stats.messages;
        self.broken.unless(calls == u64::from(heard), Rule::H2);
    }

    /// P1, and the deadline of each phase that has one of its own.
    pub(super) fn check_deadline(&mut self, Step { world, after, .. }: &Step<'_>) {
        let must = match after.phase {
            Phase::Idle | Phase::Stopped => false,
            Phase::Connecting | Phase::Closing | Phase::Waiting => true,
            Phase::Bootstrapping if after.wants_frames => true,
            Phase::Live if after.wants_frames => world.is_watched(),
            Phase::Bootstrapping | Phase::Live => world.clocks.max_pause.is_some(),
        };
        self.broken.unless(!must || after.due_in.is_some(), Rule::P1);
        let ages = self.ages;
        match after.phase {
            Phase::Idle | Phase::Stopped => self.broken.unless(after.due_in.is_none(), Rule::S2),
            Phase::Connecting => self.due_within(after, Some(CONNECT), ages.phase, Rule::C3),
            Phase::Closing => self.due_within(after, Some(CLOSE), ages.phase, Rule::C5),
            Phase::Waiting => self.due_within(after, Some(self.wait), 0, Rule::R7),
            Phase::Bootstrapping if after.wants_frames => {
                self.due_within(after, Some(BOOTSTRAP), ages.bootstrap, Rule::B3);
            }
            Phase::Bootstrapping | Phase::Live => {}
        }
    }

    /// L2-L5: the deadline is that of the clock that runs out first, and none counts while reading is held back.
    pub(super) fn check_clocks(&mut self, Step { world, after, .. }: &Step<'_>) {
        if !after.is_linked() {
            return;
        }
        let (ages, clocks) = (self.ages, world.clocks);
        if after.is_held_back() {
            let left = clocks.max_pause.map(|pause| i64::from(pause) - i64::from(ages.paused));
            let known = ages.paused < Ages::MAX;
            return self.broken.unless(after.due_in == left || !known, Rule::L5);
        }
        self.due_within(after, self.outgoing.wake, 0, Rule::H4);
        self.due_within(after, clocks.idle, ages.heard, Rule::L2);
        if let (Some((_, timeout)), Some(_)) = (clocks.ping, self.outgoing.ping) {
            self.due_within(after, Some(timeout), ages.ping, Rule::L3);
        }
        if after.phase == Phase::Live {
            self.due_within(after, clocks.stale, ages.emitted, Rule::L4);
        }
    }

    fn due_within(&mut self, view: &View, span: Option<Millis>, age: Millis, rule: Rule) {
        let Some(span) = span else { return };
        let holds = view.due_in.is_some_and(|due_in| due_in <= i64::from(span) - i64::from(age));
        self.broken.unless(holds, rule);
    }

    /// D3, D4: the bounds, and reading held back between full and half.
    pub(super) fn check_queue(&mut self, Step { world, before, after, .. }: &Step<'_>) {
        let (was, queued) = (before.stats.queued, after.stats.queued);
        let pause = world.overflow == Overflow::Pause;
        // These policies take a frame whole; the largest here has one item more than fits beside the others.
        let whole_frames = matches!(world.overflow, Overflow::Pause | Overflow::Disconnect);
        self.broken.unless(queued <= BUFFER + u64::from(whole_frames), Rule::D3);
        if queued > was && pause && queued >= BUFFER {
            self.held_back = true;
        }
        if queued < was && queued <= BUFFER / 2 {
            self.held_back = false;
        }
        if after.is_linked() {
            self.broken.unless(after.wants_frames != self.held_back, Rule::D4);
        }
        let accounted = after.stats.delivered + after.stats.dropped + queued;
        let lossless = world.overflow != Overflow::Disconnect;
        self.broken.unless(!lossless || accounted == after.stats.items, Rule::D2);
        self.broken.unless(after.stats.demand == self.consumer.credit(), Rule::D1);
    }

    /// How the feed ends, and that it stays so.
    pub(super) fn check_end(&mut self, Step { op, before, after, outputs, .. }: &Step<'_>) {
        if before.phase == Phase::Stopped {
            self.broken.unless(after.end == before.end && after.phase == Phase::Stopped, Rule::S2);
            return;
        }
        let polite = outputs.iter().any(|output| {
            matches!(output, Output::Action(Action::Close { frame: Some(frame), .. })
                if *frame == CloseFrame::new(CloseFrame::NORMAL))
        });
        if *op == Op::Shutdown && before.is_linked() {
            self.broken.unless(polite && after.phase == Phase::Closing, Rule::S1);
        } else if *op == Op::Shutdown && before.phase != Phase::Closing {
            self.broken.unless(after.end == Some(End::Shutdown), Rule::S1);
        }
        self.broken.unless(*op != Op::Panicked || after.end == Some(End::Panicked), Rule::H5);
        let not_found = *op == Op::Refused(Refusal::NotFound);
        self.broken.unless(!not_found || after.end == Some(End::Fatal), Rule::R6);
        if *op == Op::Refused(Refusal::Busy) && after.phase == Phase::Waiting {
            self.broken.unless(after.due_in >= Some(RETRY_AFTER.into()), Rule::R5);
        }
        let closed = before.phase == Phase::Closing && after.phase != Phase::Closing;
        if closed && self.shut {
            self.broken.unless(matches!(after.end, Some(End::Shutdown | End::Panicked)), Rule::S1);
        }
        let gone = matches!(op, Op::Refused(_) | Op::Lost);
        let settled = matches!(after.phase, Phase::Waiting | Phase::Stopped);
        self.broken.unless(!gone || settled, Rule::R1);
    }
}
