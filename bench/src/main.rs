//! `cargo run -r -p tidegate-bench`: see `docs/benchmarks.md`.

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    tidegate_bench::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    eprintln!("the benchmarks read /proc: they run on Linux alone");
    std::process::ExitCode::FAILURE
}
