//! Every world, within the bounds that a build has time for: no rule is ever broken, and what must come in the end comes.

use stateright::{Checker, Model};
use tidegate_model::{World, worlds};

fn check(names: &[&str]) {
    for name in names {
        let world = worlds(0).into_iter().find(|world| world.name == *name);
        check_world(world.unwrap_or_else(|| panic!("there is no world {name}")));
    }
}

fn check_world(world: World) {
    let name = world.name;
    let checker = world.checker().threads(2).spawn_bfs().join();
    let (states, unique, depth) = (checker.state_count(), checker.unique_state_count(), checker.max_depth());
    println!("{name}: states {states}, unique {unique}, depth {depth}");
    checker.assert_properties();
}

#[test]
fn connections() {
    check(&["connections", "no retries"]);
}

#[test]
fn bootstrap() {
    check(&["acknowledged bootstrap", "slow consumer, acknowledged bootstrap"]);
}

#[test]
fn clocks() {
    check(&["silence, pings and mute feeds", "slow consumer, pings"]);
}

#[test]
fn queue() {
    check(&["slow consumer, pause", "slow consumer, disconnect", "slow consumer, woken handler"]);
}

#[test]
fn drops() {
    check(&["slow consumer, drop oldest", "slow consumer, drop newest"]);
}

#[test]
fn sending() {
    check(&["sending"]);
}

#[test]
fn every_world_is_checked() {
    // One more world needs its name in a test above.
    assert_eq!(worlds(0).len(), 12);
}
