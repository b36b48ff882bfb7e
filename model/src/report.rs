//! Runs the checker over the worlds, and prints what it came to.

use std::time::Instant;

use stateright::{Checker, Expectation, HasDiscoveries, Model};

use crate::world::{World, worlds};

/// Checks the worlds whose names contain `name`, with bounds wider by `extra`, as far as the first that does not hold; prints
/// states and depth of each, and what is broken with the way there. Whether all hold.
#[must_use]
pub fn check_all(extra: u8, name: &str) -> bool {
    let (mut unique, begun) = (0, Instant::now());
    for world in worlds(extra).into_iter().filter(|world| world.name.contains(name)) {
        let Some(states) = check(world) else { return false };
        unique += states;
    }
    println!("{unique} states in all, {:.1?}: all hold", begun.elapsed());
    true
}

/// How many states there are, if every property holds.
fn check(world: World) -> Option<usize> {
    let (name, begun) = (world.name.clone(), Instant::now());
    let checker = world
        .checker()
        .threads(std::thread::available_parallelism().map_or(1, Into::into))
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    let (states, unique, depth) = (checker.state_count(), checker.unique_state_count(), checker.max_depth());
    println!("{name}: states {states}, unique {unique}, depth {depth}, {:.1?}", begun.elapsed());
    // In order: those that must be found come last, since a failure ends the search for them.
    for property in checker.model().properties() {
        let found = checker.discovery(property.name);
        if found.is_some() == matches!(property.expectation, Expectation::Sometimes) {
            continue;
        }
        let rule = found.as_ref().and_then(|path| path.last_state().broken.as_ref());
        println!("  BROKEN: {}", rule.map_or_else(|| property.name.to_owned(), ToString::to_string));
        if let Some(path) = found {
            println!("{path}");
        }
        return None;
    }
    Some(unique)
}
