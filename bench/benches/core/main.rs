//! What each decision of the core takes: `cargo bench -p tidegate-bench`. See `docs/benchmarks.md`.

mod backoff;
mod events;
mod fixture;
mod queue;

fn main() {
    // One run of an event is too short for a clock.
    divan::Divan::default().sample_size(64).config_with_args().main();
}
