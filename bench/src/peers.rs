//! Clients of other authors: programs in `bench/peers`, a workspace of its own since what they need is heavy.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;

/// Where their workspace is.
const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/Cargo.toml");

/// Builds the programs and says where each is; nothing for one that does not build.
pub(crate) fn build(packages: &[&'static str]) -> Result<Vec<Option<PathBuf>>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    // Beside the workspace of tidegate: the directory may have been chosen by an option that is not seen here.
    let program = std::env::current_exe()?;
    let profile = program.parent().ok_or("a program without a directory")?;
    let target = profile.parent().ok_or("a program without a target directory")?;
    let mut command = Command::new(cargo);
    // All of them, whichever are wanted: features of what they share would differ, and so would the programs.
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
    // `cargo run` sets what tells of this package. Build scripts look at it, and would run anew whenever it differs.
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
    // Whether it failed shows in what is missing.
    command.status()?;
    Ok(packages.iter().map(|package| Some(path(target, package)).filter(|path| path.exists())).collect())
}

fn path(target: &Path, package: &str) -> PathBuf {
    target.join("release").join(binary(package))
}

fn binary(package: &str) -> String {
    format!("tidegate-bench-{package}")
}

/// What was built once may not build any more: the program of then would pass for that of now. Cargo puts it back from
/// its own copy without a build.
fn remove(program: &Path) -> Result<()> {
    match std::fs::remove_file(program) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}
