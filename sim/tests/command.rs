//! The command: what it prints, its exit code, and that what it prints for a failure repeats it.

use std::process::{Command, Output};

fn run(options: &str) -> (Output, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tidegate-sim"))
        .args(options.split_whitespace())
        .output()
        .expect("the command was built for this test");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output, text)
}

#[test]
fn runs_that_hold_exit_with_0_and_show_what_came() {
    let (output, text) = run("--seeds 5");
    assert_eq!(output.status.code(), Some(0), "{text}");
    for word in [
        "seeds/s",
        "virtual hours",
        "faults injected",
        "handler_panicked",
        "bootstrapping",
        "NEVER",
        "0 failures",
    ] {
        assert!(text.contains(word), "{word} not in {text}");
    }
}

#[test]
fn failure_exits_with_1_and_its_command_line_repeats_it() {
    let (output, text) = run("--seeds 20 --mode safety --max-attempts 3");
    assert_eq!(output.status.code(), Some(1), "{text}");
    let failure = text.lines().find(|line| line.starts_with("FAILURE of seed")).expect("there is a failure");
    assert!(failure.contains("max_attempts: attempt 4"), "{failure}");
    let again = text.lines().find_map(|line| line.strip_prefix("all of it: ")).expect("a command line");
    let (_, options) = again.split_once(" -- ").expect("the options of the command");
    assert!(options.contains("--only-faults") && options.contains("--max-attempts 3"), "{options}");

    let (output, trace) = run(options);
    assert_eq!(output.status.code(), Some(1), "{trace}");
    let last = trace.lines().take_while(|line| !line.starts_with("FAILURE")).last();
    assert!(last.is_some_and(|line| line.contains("VIOLATION max_attempts")), "{trace}");
    let (_, twice) = run(options);
    let steps = |text: &str| {
        text.lines().take_while(|line| !line.starts_with("FAILURE")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(steps(&trace).len() > 10);
    assert_eq!(steps(&trace), steps(&twice), "to the byte");
}

#[test]
fn faults_are_left_out_by_kind_and_by_number() {
    let (_, text) = run("--seeds 1 --seed 7 --mode safety --only-faults 0");
    let injected: u64 = text
        .lines()
        .skip_while(|line| !line.starts_with("faults injected"))
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        .filter_map(|line| line.split_whitespace().last()?.parse::<u64>().ok())
        .sum();
    assert_eq!(injected, 0, "{text}");
    let (output, _) = run("--without no_such_fault");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn quiet_scenario_prints_its_figure() {
    let (output, text) = run("--quiet-scenario 100000");
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("a quiet feed: 1001") && text.contains(" a second"), "{text}");
}
