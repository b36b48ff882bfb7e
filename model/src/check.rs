//! The worlds as models: which operations are possible in a state, and what each leads to.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use stateright::{Model, Property};
use tidegate_core::{Overflow, Phase, StopReason};
use tidegate_rules::{Broken, Rule, Step, View};

use crate::environment::passing;
use crate::op::{Op, apply};
use crate::state::{Mode, State, hash};
use crate::view::{at, digest, due_in};
use crate::world::World;

/// A recovery, or an end, within so many steps of an environment that is calm or silent.
const MAX_STEPS: u8 = 40;

impl Model for World {
    type State = State;
    type Action = Op;

    fn init_states(&self) -> Vec<State> {
        vec![State::first(self)]
    }

    fn actions(&self, state: &State, ops: &mut Vec<Op>) {
        if state.broken.is_some() || state.steps >= MAX_STEPS {
            return;
        }
        match state.mode {
            Mode::Free => self.free(state, ops),
            Mode::Calm => self.calm(state, ops),
            Mode::Silent => passing(state, ops),
        }
    }

    fn next_state(&self, last: &State, op: Op) -> Option<State> {
        let mut feed = last.feed(self);
        let mut next = last.clone();
        next.spend(op);
        let moved = next.moved(op);
        next.rules.advance(Duration::from_millis(moved.into()), &self.setup);
        next.now += moved;
        let known = digest(&feed, next.now);
        if moved == 0 && hash(&known) != last.digest {
            next.broken = Some(Broken { rule: Rule::P3, detail: "replayed, it is another machine".into() });
        }
        let call = op.call(feed.stats().attempts, at(next.now));
        let Ok(outputs) = catch_unwind(AssertUnwindSafe(|| apply(&mut feed, op, next.now))) else {
            next.broken = Some(Broken { rule: Rule::H5, detail: "panic".into() });
            return Some(next);
        };
        next.history = last.history.iter().copied().chain([(op, next.now)]).collect();
        next.view = View::of(&feed, at(next.now));
        let digest = digest(&feed, next.now);
        next.digest = hash(&digest);
        let Some(call) = call else { return Some(next) };
        let before = View { now: at(next.now), ..last.view.clone() };
        let step =
            Step { setup: &self.setup, call: &call, before: &before, outputs: &outputs, after: &next.view };
        // The machine has seen the time, which changes nothing.
        if step.is_idle() && !last.rules.has_waiting_sends() && without_now(&known) != without_now(&digest) {
            next.broken = Some(Broken { rule: Rule::C2, detail: format!("{op:?} changed the machine") });
        }
        next.broken = next.rules.step(&step).err().or(next.broken.take());
        let idle = op == Op::Take && outputs.is_empty() && next.broken.is_none();
        (!idle).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("the rules hold", |_: &Self, state: &State| state.broken.is_none()),
            Property::eventually(
                "recovery: once nothing fails any more the feed turns Live, or has stopped",
                |_: &Self, state: &State| {
                    let live = state.mode == Mode::Calm && state.view.phase == Phase::Live;
                    live || state.is_settled() || state.mode == Mode::Silent
                },
            ),
            Property::eventually(
                "P1: nothing hangs: in silence the feed stops, or rests where it may",
                |world: &Self, state: &State| {
                    let rests =
                        state.mode == Mode::Silent && due_in(&state.view).is_none() && state.may_rest(world);
                    rests || state.is_settled() || state.mode == Mode::Calm
                },
            ),
            Property::eventually("S1: a shutdown ends in Stopped", |_: &Self, state: &State| {
                state.is_settled() || (state.mode != Mode::Free && !state.rules.was_shut_down())
            }),
            Property::sometimes("Live", |_: &Self, state: &State| state.view.phase == Phase::Live),
            Property::sometimes("stopped: shutdown", |_: &Self, state: &State| {
                state.view.stopped == Some(StopReason::Shutdown)
            }),
            Property::sometimes("stopped: retries exhausted", |_: &Self, state: &State| {
                matches!(state.view.stopped, Some(StopReason::RetriesExhausted { .. }))
            }),
            Property::sometimes("stopped: fatal", |_: &Self, state: &State| {
                matches!(state.view.stopped, Some(StopReason::Fatal { .. }))
            }),
            Property::sometimes(
                "an item is delivered, or none is asked for",
                |world: &Self, state: &State| state.view.stats.delivered > 0 || world.budget.requests == 0,
            ),
            Property::sometimes(
                "reading is paused or items are dropped, or the bounds are too small",
                |world: &Self, state: &State| {
                    state.view.is_paused()
                        || state.view.stats.dropped > 0
                        || world.budget.data < 2
                        || world.setup.config.overflow() == Overflow::Disconnect
                },
            ),
        ]
    }
}

/// A digest without the time that the machine has seen last.
fn without_now(digest: &str) -> &str {
    digest.split_once(", ").map_or(digest, |(_now, rest)| rest)
}
