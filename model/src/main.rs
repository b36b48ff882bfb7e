//! Checks all worlds and prints how many states there are. An argument widens the bounds; a second one picks the worlds
//! whose names contain it.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let extra = arguments.next().map_or(Ok(0), |extra| extra.parse());
    let Ok(extra) = extra else {
        eprintln!("usage: tidegate-model [EXTRA [NAME]]");
        return ExitCode::from(2);
    };
    let name = arguments.next().unwrap_or_default();
    if tidegate_model::check_all(extra, &name) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
