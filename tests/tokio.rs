//! The suite on tokio, over real sockets.
#![cfg(feature = "tokio")]

mod common;
#[path = "common/runtime_tokio.rs"]
mod runtime;
mod suite;
