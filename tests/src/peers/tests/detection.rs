//! What is found, and what is said of what is not.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;

use crate::peers::{all, detect};

const IMPORTS: &str = "import websockets as module";

#[test]
fn each_peer_is_found_or_told_missing_by_its_name() {
    let names = ["Python websockets", "Python aiohttp", "node ws", "nginx", "tinyproxy", "microsocks"];
    let found = all();
    assert_eq!(found.len(), names.len());
    for (name, found) in names.into_iter().zip(found) {
        match found {
            Ok(available) => {
                assert_eq!(available.name, name);
                let version = available.version.as_deref().unwrap_or("0");
                assert!(version.starts_with(|first: char| first.is_ascii_digit()), "{available}");
                assert!(available.to_string().starts_with(name));
            }
            Err(missing) => {
                assert_eq!(missing.name, name);
                assert!(!missing.why.is_empty());
            }
        }
    }
}

#[test]
fn a_missing_program_is_named() {
    let program = OsStr::new("/nowhere/program");
    let table = [
        ("Python websockets", detect::python("Python websockets", IMPORTS, program)),
        ("node ws", detect::node(program)),
        ("nginx", detect::nginx_at(program)),
    ];
    for (name, found) in table {
        let missing = found.unwrap_err();
        assert_eq!(missing.name, name);
        assert!(missing.why.starts_with("/nowhere/program cannot be run: No such file"), "{missing}");
        assert!(missing.to_string().starts_with(&format!("{name} is missing: ")), "{missing}");
    }
}

/// A program that says this and fails.
fn failing(directory: &std::path::Path, says: &str) -> std::path::PathBuf {
    let path = directory.join("program");
    std::fs::write(&path, format!("#!/bin/sh\necho \"{says}\" >&2\nexit 1\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn a_missing_module_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let program = failing(directory.path(), "Traceback:\nModuleNotFoundError: No module named 'websockets'");
    let missing = detect::python("Python websockets", IMPORTS, program.as_ref()).unwrap_err();
    let expected = format!("{}: ModuleNotFoundError: No module named 'websockets'", program.display());
    assert_eq!(missing.why, expected);

    let program = failing(directory.path(), "Cannot find module 'ws'");
    let missing = detect::node(program.as_ref()).unwrap_err();
    assert_eq!(missing.why, format!("{}: Cannot find module 'ws'", program.display()));
}

#[test]
fn an_nginx_without_tls_does_not_do() {
    let directory = tempfile::tempdir().unwrap();
    let program = failing(directory.path(), "nginx version: nginx/1.0.0\nconfigure arguments: none");
    let missing = detect::nginx_at(program.as_ref()).unwrap_err();
    assert_eq!(missing.why, "it was built without http_ssl_module");
}
