//! The pictures of the state machine are what its transition table says.

use std::path::Path;

#[path = "../examples/state_diagram.rs"]
#[allow(dead_code, reason = "only its drawing functions are wanted here")]
mod state_diagram;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_readme_shows_the_state_machine_as_it_is() {
    let readme = read("../README.md");
    let (_, rest) =
        readme.split_once("<!-- state machine: begin -->").expect("the README has a begin marker");
    let (block, _) = rest.split_once("<!-- state machine: end -->").expect("the README has an end marker");
    let hint = "put in what `cargo run -p tidegate-core --example state_diagram` prints";
    assert_eq!(block.trim(), state_diagram::mermaid().trim(), "{hint}");
}

#[test]
fn the_crate_documentation_lists_every_move() {
    let docs = read("src/lib.rs");
    let shown: Vec<&str> = docs.lines().filter_map(|line| line.strip_prefix("//! ")).collect();
    let shown: Vec<&str> = shown.into_iter().filter(|line| line.contains("-->")).collect();
    let listing = state_diagram::listing();
    let hint = "put in what `cargo run -p tidegate-core --example state_diagram -- text` prints";
    assert_eq!(shown, listing.lines().collect::<Vec<_>>(), "{hint}");
}
