//! The environment: what may happen in a state, free, calm or silent, and what is left of the bounds afterwards.

use tidegate_core::Phase;
use tidegate_rules::{Ask, Call, Script, Then, View, is_stray};

use crate::op::{Op, Refusal, STRAYS, Who};
use crate::state::{Mode, State};
use crate::view::due_in;
use crate::world::{LATE, Millis, WAKE, World};

impl World {
    /// Everything that can happen, within the bounds.
    pub(crate) fn free(&self, state: &State, ops: &mut Vec<Op>) {
        let (view, budget) = (&state.view, &state.budget);
        match view.phase {
            Phase::Idle => ops.push(Op::Start),
            Phase::Connecting => {
                ops.push(Op::Connected);
                ops.extend([Refusal::Tcp, Refusal::Busy, Refusal::NotFound].map(Op::Refused));
            }
            Phase::Bootstrapping | Phase::Live | Phase::Closing => self.connected(state, ops),
            Phase::Waiting | Phase::Stopped => {}
        }
        if !state.is_over() {
            ops.extend([Op::Calm, Op::Silence]);
            passing_free(state, ops);
            if !state.rules.was_shut_down() {
                ops.push(Op::Shutdown);
            }
            if budget.panics > 0 {
                ops.push(Op::Panicked);
            }
            if budget.asks > 0 {
                ops.push(Op::RuntimeStopped);
            }
        }
        if budget.sends > 0 {
            ops.push(Op::Send(budget.sends));
        }
        if budget.commands > 0 {
            ops.extend(
                [Script::emit(1), Script::then(Then::Reply), Script::then(Then::Fatal)].map(Op::Command),
            );
        }
        if budget.asks > 0 {
            ops.extend([Ask::Reconnect, Ask::RetryNow, Ask::Probe].map(Op::Ask));
        }
        if state.rules.has_waiting_sends() {
            ops.push(Op::Drain);
        }
        if budget.requests > 0 {
            // One item, and more than there can be at a time.
            ops.extend([Op::Request(1), Op::Request(4)]);
        }
        ops.push(Op::Take);
        if budget.early > 0 && due_in(view).is_none_or(|due_in| due_in > 0) {
            ops.push(Op::Tick);
        }
        if budget.idle > 0 {
            self.unheeded(view, ops);
        }
    }

    /// What may come on a connection.
    fn connected(&self, state: &State, ops: &mut Vec<Op>) {
        let (view, budget) = (&state.view, &state.budget);
        ops.extend([Op::Flushed, Op::Lost]);
        if view.wants_frames && budget.data > 0 {
            ops.extend(self.messages(view).map(Op::Data));
        }
        if view.is_paused() && budget.rude > 0 {
            ops.push(Op::Data(Script::emit(1)));
        }
        if budget.control > 0 {
            ops.extend([Op::Ping, Op::Heard, Op::ProtocolError, Op::PeerClose]);
            if let Some(number) = state.rules.ping() {
                ops.extend([Op::Pong(number), Op::Pong(number + 1)]);
            }
        }
    }

    /// Messages that have to do with what this world is about: others belong to other worlds.
    fn messages(&self, view: &View) -> impl Iterator<Item = Script> {
        let consumer = self.budget.requests > 0;
        let held_back = self.setup.handler.declares && view.phase == Phase::Bootstrapping;
        let messages = [
            (Script::emit(1), true),
            (Script::emit(2), consumer),
            (Script::emit(0), self.setup.config.stale_after().is_some()),
            (Script::then(Then::Ready), held_back),
            (Script::then(Then::Reply), self.budget.sends > 0),
            (Script::wake(WAKE), self.wakes),
            (Script::wake(WAKE + 1), self.wakes),
            (Script::then(Then::Cancel), self.wakes),
            (Script::then(Then::Reconnect), !consumer),
            (Script::then(Then::Fault), !consumer),
            (Script::then(Then::Fatal), !consumer),
        ];
        messages.into_iter().filter_map(|(script, tried)| tried.then_some(script))
    }

    /// What the machine must ignore.
    fn unheeded(&self, view: &View, ops: &mut Vec<Op>) {
        let known = view.stats.attempts > 0;
        for op in &STRAYS {
            ops.push(Op::Stray(Who::Later, op));
            if known {
                ops.push(Op::Stray(Who::Earlier, op));
            }
            let call = op.call(view.stats.attempts, view.now);
            if known && matches!(&call, Some(Call::Handle(event)) if is_stray(event, view)) {
                ops.push(Op::Stray(Who::Current, op));
            }
        }
        if view.phase != Phase::Idle {
            ops.push(Op::Start);
        }
    }

    /// What a network without faults, a willing peer and a willing consumer do.
    pub(crate) fn calm(&self, state: &State, ops: &mut Vec<Op>) {
        let view = &state.view;
        match view.phase {
            Phase::Idle => ops.push(Op::Start),
            Phase::Connecting => ops.push(Op::Connected),
            Phase::Bootstrapping => {
                let (flush, word) = state.rules.owes();
                ops.push(if flush {
                    Op::Flushed
                } else if word && view.wants_frames {
                    Op::Data(Script::then(Then::Ready))
                } else if view.stats.demand == 0 {
                    Op::Request(2)
                } else {
                    Op::Take
                });
            }
            Phase::Closing => {
                ops.push(Op::Lost);
                passing(state, ops);
            }
            Phase::Waiting => passing(state, ops),
            Phase::Live | Phase::Stopped => {}
        }
    }
}

/// Time passes as far as the deadline, and the feed is told.
pub(crate) fn passing(state: &State, ops: &mut Vec<Op>) {
    match due_in(&state.view) {
        Some(due_in) if due_in > 0 => ops.push(Op::Due),
        Some(_) => ops.push(Op::Tick),
        None => {}
    }
}

/// The same, or less far, within the bounds. The last attempt is not followed by another.
fn passing_free(state: &State, ops: &mut Vec<Op>) {
    let (view, budget) = (&state.view, &state.budget);
    if view.phase == Phase::Waiting && budget.attempts == 0 {
        return;
    }
    passing(state, ops);
    if budget.detours > 0 && view.phase != Phase::Idle {
        ops.push(Op::Late);
        if due_in(view).is_some_and(|due_in| due_in >= 2) {
            ops.push(Op::Half);
        }
    }
}

impl State {
    /// How far time moves.
    pub(crate) fn moved(&self, op: Op) -> Millis {
        let due_in = due_in(&self.view).and_then(|due_in| Millis::try_from(due_in).ok()).unwrap_or(0);
        if op == Op::Half {
            due_in / 2
        } else if op == Op::Due {
            due_in
        } else if op == Op::Late {
            due_in + LATE
        } else {
            0
        }
    }

    /// Takes the operation off what may still happen.
    pub(crate) fn spend(&mut self, op: Op) {
        if self.mode != Mode::Free {
            self.steps += 1;
            return;
        }
        let (view, budget) = (&self.view, &mut self.budget);
        let early = due_in(view).is_none_or(|due_in| due_in > 0);
        let left = match op {
            Op::Calm => return self.mode = Mode::Calm,
            Op::Silence => return self.mode = Mode::Silent,
            Op::Start if view.phase == Phase::Idle => &mut budget.attempts,
            Op::Tick if view.phase == Phase::Waiting && !early => &mut budget.attempts,
            Op::Tick if !early => return,
            Op::Tick => &mut budget.early,
            Op::Start | Op::Stray(..) => &mut budget.idle,
            Op::Data(_) if view.is_paused() => &mut budget.rude,
            Op::Data(_) => &mut budget.data,
            Op::Ping | Op::Pong(_) | Op::Heard | Op::ProtocolError | Op::PeerClose => &mut budget.control,
            Op::Send(_) => &mut budget.sends,
            Op::Request(_) => &mut budget.requests,
            Op::Command(_) => &mut budget.commands,
            Op::Ask(_) => &mut budget.asks,
            Op::Panicked => &mut budget.panics,
            Op::RuntimeStopped => &mut budget.asks,
            Op::Half | Op::Late => &mut budget.detours,
            _ => return,
        };
        *left = left.saturating_sub(1);
    }
}
