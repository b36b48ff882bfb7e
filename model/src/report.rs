//! Runs the checker over the worlds, and prints what it came to.

use std::time::Instant;

use stateright::{Checker, Expectation, HasDiscoveries, Model};

use crate::world::{World, worlds};

/// Checks the worlds whose names contain `name`, with bounds wider by `extra`; prints states and depth of each, and whatever
/// is broken with the way there. Whether all hold.
#[must_use]
pub fn check_all(extra: u8, name: &str) -> bool {
    let (mut unique, mut holds, begun) = (0, true, Instant::now());
    for world in worlds(extra).into_iter().filter(|world| world.name.contains(name)) {
        let (states, held) = check(world);
        unique += states;
        holds &= held;
    }
    println!(
        "{unique} states in all, {:.1?}: {}",
        begun.elapsed(),
        if holds { "all hold" } else { "BROKEN" }
    );
    holds
}

/// How many states there are, and whether every property holds.
fn check(world: World) -> (usize, bool) {
    let (name, begun) = (world.name.clone(), Instant::now());
    let checker = world
        .checker()
        .threads(std::thread::available_parallelism().map_or(1, Into::into))
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    let (states, unique, depth) = (checker.state_count(), checker.unique_state_count(), checker.max_depth());
    println!("{name}: states {states}, unique {unique}, depth {depth}, {:.1?}", begun.elapsed());
    let mut holds = unique > 0;
    for property in checker.model().properties() {
        let found = checker.discovery(property.name);
        if found.is_some() == matches!(property.expectation, Expectation::Sometimes) {
            continue;
        }
        holds = false;
        println!("  BROKEN: {}", property.name);
        if let Some(path) = found {
            if let Some(broken) = &path.last_state().broken {
                println!("  {broken}");
            }
            println!("{path}");
        }
    }
    (unique, holds)
}
