//! The states of a world.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use tidegate_core::{Machine, Phase};
use tidegate_rules::{Broken, Numbers, Rules, View};

use crate::op::{Op, apply};
use crate::view::{at, digest, due_in};
use crate::world::{Budget, Millis, World};

/// The environment from here on.
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
    pub(crate) history: Arc<[(Op, Millis)]>,
    pub(crate) now: Millis,
    pub(crate) view: View,
    pub(crate) digest: u64,
    pub(crate) rules: Rules,
    /// The first rule that was broken on the way here.
    pub(crate) broken: Option<Broken>,
    pub(crate) budget: Budget,
    pub(crate) mode: Mode,
    /// Steps since the environment was no longer free.
    pub(crate) steps: u8,
}

impl State {
    pub(crate) fn first(world: &World) -> Self {
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

    fn identity(&self) -> (u64, &Rules, &Option<Broken>, Budget, Mode, u8) {
        (self.digest, &self.rules, &self.broken, self.budget, self.mode, self.steps)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.view.phase == Phase::Stopped
    }

    /// Whether it has stopped or broken a rule. Neither is followed further.
    pub(crate) fn is_settled(&self) -> bool {
        self.is_over() || self.broken.is_some()
    }

    /// P1: where a feed may stay for ever although nothing comes.
    pub(crate) fn may_rest(&self, world: &World) -> bool {
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

pub(crate) fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
