//! Clients of other authors: programs in `bench/peers`, a workspace of its own for their many dependencies.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;

/// The manifest of their workspace.
const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/Cargo.toml");

/// Builds the programs. Returns the path of each, or `None` for one that does not build.
pub(crate) fn build(packages: &[&'static str]) -> Result<Vec<Option<PathBuf>>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    // The target directory of this program: it may have been chosen by an option.
    let program = std::env::current_exe()?;
    let profile = program.parent().ok_or("a program without a directory")?;
    let target = profile.parent().ok_or("a program without a target directory")?;
    let mut command = Command::new(cargo);
    // Always all of them: a part would unify the features of shared dependencies in another way.
    command.args([
        "build",
        "--release",
        "--locked",
        "--keep-going",
        "--workspace",
        "--manifest-path",
        WORKSPACE,
    ]);
    command.arg("--target-dir").arg(target);
    // `cargo run` sets variables about this package. Build scripts that read them would run again.
    let of_this_package = std::env::vars_os().map(|(name, _)| name).filter(|name| {
        let name = name.to_string_lossy();
        name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
    });
    for name in of_this_package {
        command.env_remove(name);
    }
    eprintln!("building the clients of other authors");
    for package in packages {
        remove(&path(target, package))?;
    }
    // A failed build shows by the program that is missing.
    command.status()?;
    Ok(packages.iter().map(|package| Some(path(target, package)).filter(|path| path.exists())).collect())
}

fn path(target: &Path, package: &str) -> PathBuf {
    target.join("release").join(binary(package))
}

fn binary(package: &str) -> String {
    format!("tidegate-bench-{package}")
}

/// Removes the program of an earlier build, which would hide that the client no longer builds. Cargo restores it from its own
/// copy if nothing has changed.
fn remove(program: &Path) -> Result<()> {
    match std::fs::remove_file(program) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}
