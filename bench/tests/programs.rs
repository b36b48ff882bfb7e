//! The harness with its processes: what it prints and writes, never how fast anything is.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a panic fails the test that uses this")]

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

/// Runs the program, which must succeed, and returns what it prints.
fn bench(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_tidegate-bench")).args(arguments).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    assert!(!error.contains(" at 64 B:"), "a client failed: {error}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_client_of_our_own_is_in_the_table_and_in_the_file() {
    let json = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("rows.json");
    let printed =
        bench(&["--quick", "--no-peers", "--sizes=64", "--rounds=1", "--json", json.to_str().unwrap()]);

    let rows: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(json).unwrap()).unwrap();
    assert_eq!(rows.len(), 23);
    let expected = BTreeSet::from([
        "client",
        "cpu_ns_per_msg",
        "mode",
        "msgs_per_s",
        "peak_rss_kib",
        "rounds",
        "runtime",
        "size",
        "transport",
    ]);
    for row in &rows {
        let row = row.as_object().unwrap();
        assert_eq!(row.keys().map(String::as_str).collect::<BTreeSet<_>>(), expected);
        for figure in ["cpu_ns_per_msg", "msgs_per_s", "peak_rss_kib"] {
            assert!(row[figure].as_f64().unwrap() > 0.0, "{row:?}");
        }
        assert!(printed.contains(row["client"].as_str().unwrap()));
    }
    assert!(printed.contains("(1.00)"), "async-tungstenite is what it is compared with: {printed}");
}

#[test]
fn reconnects_are_reported_for_every_adapter() {
    let printed = bench(&["reconnect", "--count=2", "--delay-ms=10"]);
    for runtime in ["tokio", "smol", "async-std"] {
        let rows = printed.lines().filter(|line| line.starts_with(&format!("| {runtime} ")));
        assert_eq!(rows.count(), 2, "{printed}");
    }
}

#[test]
fn an_impossible_size_is_refused() {
    let output = Command::new(env!("CARGO_BIN_EXE_tidegate-bench")).arg("--sizes=3").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}
