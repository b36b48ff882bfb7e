//! States are merged when their digests are equal: two feeds with the same digest must do the same from there on.

use std::collections::HashMap;

use fastrand::Rng;
use stateright::Model;
use tidegate_rules::{Script, Then, View};

use crate::op::{Op, Refusal, Who, apply};
use crate::state::State;
use crate::view::{at, due_in};
use crate::world::{Budget, Millis, World, worlds};

/// Everything that can be done to a feed whatever its phase; messages of the application have one name, since frames
/// that wait show their length alone.
const OPS: [Op; 24] = [
    Op::Start,
    Op::Connected,
    Op::Connected,
    Op::Refused(Refusal::Tcp),
    Op::Refused(Refusal::Busy),
    Op::Data(Script::emit(1)),
    Op::Data(Script::emit(2)),
    Op::Data(Script::then(Then::Ready)),
    Op::Data(Script::then(Then::Reply)),
    Op::Data(Script::then(Then::Reconnect)),
    Op::Ping,
    Op::Pong(0),
    Op::Pong(1),
    Op::PeerClose,
    Op::Flushed,
    Op::Flushed,
    Op::Lost,
    Op::Stray(Who::Earlier, &Op::Lost),
    Op::Tick,
    Op::Tick,
    Op::Send(1),
    Op::Request(1),
    Op::Take,
    Op::Take,
];

#[test]
fn equal_digests_behave_equally() {
    let mut rng = Rng::with_seed(7);
    let mut pairs = 0;
    for world in worlds(0) {
        // Wider than any run could go, so that walks are long and meet often.
        let budget = Budget {
            data: 30,
            control: 30,
            sends: 0,
            requests: 9,
            idle: 9,
            rude: 3,
            panics: 0,
            ..world.budget
        };
        let world = World { budget: Budget { attempts: 9, detours: 30, ..budget }, ..world };
        let mut seen: HashMap<u64, State> = HashMap::new();
        for _ in 0..150 {
            for state in walk(&world, &mut rng) {
                let known = seen.entry(state.digest).or_insert_with(|| state.clone());
                if known.history != state.history {
                    pairs += 1;
                    continue_both(&world, known, &state, &mut rng);
                }
            }
        }
    }
    assert!(pairs > 1000, "only {pairs} pairs of states have the same digest");
}

/// The states along a random walk.
fn walk(world: &World, rng: &mut Rng) -> Vec<State> {
    let mut states = world.init_states();
    let mut ops = Vec::new();
    for _ in 0..30 {
        let Some(last) = states.last() else { break };
        ops.clear();
        world.actions(last, &mut ops);
        ops.retain(|op| !matches!(op, Op::Calm | Op::Silence | Op::Shutdown));
        let next = rng.choice(&ops).and_then(|op| world.next_state(last, *op));
        states.extend(next);
    }
    states
}

fn continue_both(world: &World, a: &State, b: &State, rng: &mut Rng) {
    let (mut feed_a, mut feed_b) = (a.feed(world), b.feed(world));
    let mut passed: Millis = 0;
    let mut log = Vec::new();
    for _ in 0..25 {
        passed += rng.u32(0..4) / 2 * rng.u32(0..4);
        let op = OPS[rng.usize(..OPS.len())];
        log.push((op, passed));
        let (now_a, now_b) = (a.now + passed, b.now + passed);
        let (out_a, out_b) = (apply(&mut feed_a, op, now_a), apply(&mut feed_b, op, now_b));
        assert_eq!(out_a, out_b, "{}: {:?}\n{:?}\nthen {log:?}", world.name, a.history, b.history);
        // Figures count what was; only those of what is decide anything.
        let face = |feed, now| {
            let View { phase, connection, wants_frames, stopped, .. } = View::of(feed, at(now));
            (phase, connection, due_in(&View::of(feed, at(now))), wants_frames, stopped)
        };
        assert_eq!(face(&feed_a, now_a), face(&feed_b, now_b), "{}: {log:?}", world.name);
    }
}
