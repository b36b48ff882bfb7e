//! The worlds as models: which operations are possible in a state, and what each leads to.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use stateright::{Model, Property};
use tidegate_core::{Machine, Overflow, Phase, StopReason};
use tidegate_rules::{Broken, Numbers, Rule, Rules, Step, View};

use crate::environment::passing;
use crate::op::{Op, apply};
use crate::view::{at, digest, due_in};
use crate::world::{Budget, Millis, World};

/// What the environment does from here on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Mode {
    /// Anything.
    Free,
    /// Nothing fails any more: recovery must follow.
    Calm,
    /// Nothing comes any more, only time passes: nothing may hang.
    Silent,
}

/// A feed, as the list of what was done to it. Two states are the same if their digests are, and what the rules
/// remember, and what may still happen.
#[derive(Clone)]
pub struct State {
    history: Arc<[(Op, Millis)]>,
    now: Millis,
    pub(crate) view: View,
    digest: u64,
    pub(crate) rules: Rules,
    /// The first rule that was broken on the way here.
    pub(crate) broken: Option<Broken>,
    pub(crate) budget: Budget,
    pub(crate) mode: Mode,
    /// Steps since the environment was no longer free.
    pub(crate) steps: u8,
}

impl State {
    fn first(world: &World) -> Self {
        let feed = world.setup.feed();
        Self {
            history: Arc::new([]),
            now: 0,
            view: View::of(&feed, at(0)),
            digest: hash(&digest(&feed, 0)),
            rules: Rules::new(&world.setup),
            broken: None,
            budget: world.budget,
            mode: Mode::Free,
            steps: 0,
        }
    }

    /// The feed, made anew from what was done to it.
    pub(crate) fn feed(&self, world: &World) -> Machine<Numbers> {
        let mut feed = world.setup.feed();
        for (op, now) in self.history.iter() {
            apply(&mut feed, *op, *now);
        }
        feed
    }

    #[cfg(test)]
    pub(crate) const fn digest(&self) -> u64 {
        self.digest
    }

    #[cfg(test)]
    pub(crate) const fn now(&self) -> Millis {
        self.now
    }

    #[cfg(test)]
    pub(crate) fn history(&self) -> &[(Op, Millis)] {
        &self.history
    }

    #[cfg(test)]
    pub(crate) fn has_same_history(&self, other: &Self) -> bool {
        self.history == other.history
    }

    fn identity(&self) -> (u64, &Rules, &Option<Broken>, Budget, Mode, u8) {
        (self.digest, &self.rules, &self.broken, self.budget, self.mode, self.steps)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.view.phase == Phase::Stopped
    }

    /// Whether it has stopped, or a rule is broken, which is told as such and not followed further.
    fn is_settled(&self) -> bool {
        self.is_over() || self.broken.is_some()
    }

    /// P1: where a feed may stay for ever although nothing comes.
    fn may_rest(&self, world: &World) -> bool {
        match self.view.phase {
            Phase::Idle | Phase::Stopped => true,
            Phase::Connecting | Phase::Closing | Phase::Waiting => false,
            Phase::Bootstrapping => self.view.is_paused() && world.setup.config.max_pause().is_none(),
            Phase::Live if self.view.is_paused() => world.setup.config.max_pause().is_none(),
            Phase::Live => !world.setup.watches(),
        }
    }
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Hash for State {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let due_in = due_in(&self.view);
        write!(f, "{} at {} ms, deadline in {due_in:?} ms", self.view.phase, self.now)
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

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
        if op == Op::Take && outputs.is_empty() {
            return None;
        }
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
        Some(next)
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
