//! Checks all worlds and prints how many states there are. An argument widens the bounds; a second one picks the worlds
//! whose names contain it.

use std::process::ExitCode;
use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model};
use tidegate_model::worlds;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let extra = arguments.next().map_or(Ok(0), |extra| extra.parse());
    let Ok(extra) = extra else {
        eprintln!("usage: tidegate-model [EXTRA [NAME]]");
        return ExitCode::from(2);
    };
    let name = arguments.next().unwrap_or_default();
    let mut holds = true;
    for world in worlds(extra).into_iter().filter(|world| world.name.contains(&name)) {
        let (name, begun) = (world.name, Instant::now());
        let checker = world
            .checker()
            .threads(std::thread::available_parallelism().map_or(1, Into::into))
            .finish_when(HasDiscoveries::AnyFailures)
            .spawn_bfs()
            .join();
        let (states, unique, depth) =
            (checker.state_count(), checker.unique_state_count(), checker.max_depth());
        println!("{name}: states {states}, unique {unique}, depth {depth}, {:.1?}", begun.elapsed());
        let broken = checker
            .model()
            .properties()
            .into_iter()
            .filter(|property| {
                let found = checker.discovery(property.name).is_some();
                found != matches!(property.expectation, stateright::Expectation::Sometimes)
            })
            .map(|property| property.name)
            .collect::<Vec<_>>();
        for name in &broken {
            println!("  BROKEN: {name}");
            if let Some(path) = checker.discovery(name) {
                println!("{path}");
            }
        }
        holds &= broken.is_empty();
    }
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
