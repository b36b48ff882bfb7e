//! On tokio, what concerns the whole process: open files, tasks, logs. One case at a time.
#![cfg(feature = "tokio")]

mod alone;
mod common;
#[path = "common/runtime_tokio.rs"]
mod runtime;
