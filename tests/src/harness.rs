//! Runs the cases of a suite for every adapter, under the arguments that test binaries have (libtest's).

use std::cell::{Cell, RefCell};
use std::panic::{self, PanicHookInfo};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::thread;

use libtest_mimic::{Arguments, Completion, Failed, FormatSetting, Trial};

use crate::adapter;
use crate::case::{Case, Cases, Suite};
use crate::needs::absent;
use crate::report::{self, Detail, Outcome};

/// In the message of a panic that is part of a case, in whatever thread it comes: it is not shown.
pub const EXPECTED_PANIC: &str = "as it should";

/// How many cases run at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concurrency {
    /// As many as the arguments say, or twice the number of processors.
    Any,
    /// As many as the arguments say, or one for each processor: they are busy.
    Processors,
    /// One, since a case looks at the whole process.
    One,
}

/// Runs the suite, and reports: one line for each group, or with the argument `--table` one for each case.
pub fn main<S: Suite>(concurrency: Concurrency) -> ExitCode {
    let mut detail = Detail::Groups;
    let args = std::env::args().filter(|arg| {
        let table = arg == "--table";
        if table {
            detail = Detail::Cases;
        }
        !table
    });
    let mut args = Arguments::from_iter(args.collect::<Vec<_>>());
    args.test_threads = match concurrency {
        Concurrency::Any => args.test_threads.or_else(twice_the_processors),
        Concurrency::Processors => args.test_threads,
        Concurrency::One => Some(1),
    };
    panic::set_hook(Box::new(keep_panic));

    let mut cases = Cases::default();
    adapter::each::<S>(&mut cases);
    let cases = cases.into_vec();
    let outcomes = Arc::new(Mutex::new(vec![None; cases.len()]));
    let trials = cases.iter().cloned().enumerate().map(|(number, case)| {
        let outcomes = Arc::clone(&outcomes);
        Trial::ignorable_test(case.path(), move || {
            let (outcome, result) = run_case(&case);
            outcomes.lock().unwrap()[number] = Some(outcome);
            result
        })
    });
    let conclusion = libtest_mimic::run(&args, trials.collect());
    // Those who list, who run one case by its name, or who want JSON are programs.
    if !args.list && !args.exact && args.format != Some(FormatSetting::Json) {
        print!("{}", report::render(&cases, &outcomes.lock().unwrap(), detail));
    }
    conclusion.exit_code()
}

/// Cases wait for most of their time.
fn twice_the_processors() -> Option<usize> {
    Some(2 * thread::available_parallelism().ok()?.get())
}

fn run_case(case: &Case) -> (Outcome, Result<Completion, Failed>) {
    let missing = case.needs.iter().find_map(|need| Some((need.name(), need.find().err()?)));
    if let Some((name, why)) = missing {
        let result = absent(format!("{name}: {why}"));
        return (if result.is_ok() { Outcome::Skipped } else { Outcome::Failed }, result);
    }
    LAST_PANIC.take();
    RUNS_A_CASE.set(true);
    let result = panic::catch_unwind(case.body);
    RUNS_A_CASE.set(false);
    match result {
        Ok(()) => (Outcome::Passed, Ok(Completion::Completed)),
        Err(_) => (Outcome::Failed, Err(LAST_PANIC.take().into())),
    }
}

thread_local! {
    static RUNS_A_CASE: Cell<bool> = const { Cell::new(false) };
    /// Where and why this thread last panicked.
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// The panic hook: of a case's own panic the harness tells; one in another thread, as a server's, is told at once.
fn keep_panic(info: &PanicHookInfo<'_>) {
    let text = info.to_string();
    if RUNS_A_CASE.get() {
        LAST_PANIC.set(text);
    } else if !text.contains(EXPECTED_PANIC) {
        eprintln!("in the thread {:?}: {text}", thread::current().name().unwrap_or("(without a name)"));
    }
}
