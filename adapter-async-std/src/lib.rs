//! `tidegate` on smol and async-std: sockets and timers of async-io, TLS through rustls, and WebSocket connections.
//!
//! Each runtime has a module, `smol` and `async_std`, with the same names as `tidegate-tokio`. They differ only in
//! where the task of a spawned feed runs. async-std is discontinued (RUSTSEC-2025-0052). Its module is for applications
//! that still use it; use smol for new ones.
//!
//! ```no_run
//! # #[cfg(feature = "smol")]
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let mut feed = tidegate_async_std::smol::feed("wss://exchange.example/ws").spawn()?;
//! while let Some(delivery) = feed.recv().await {
//!     println!("{:?}", delivery?);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Logs
//! tidegate shows no header value, query or payload. tungstenite logs through the `log` crate: messages at `trace`, and
//! reasons for closing at `debug`. Filter them out (`tungstenite=off`) where such logs are kept.
//!
//! # Features
//! - `smol` (default), `async-std`: the runtimes.
//! - `ring` (default), `aws-lc-rs`: the cryptography of TLS. With both, `ring` is used.
//! - `metrics`: counters, gauges and histograms through the `metrics` facade.

mod net;

#[cfg(feature = "async-std")]
pub mod async_std;
#[cfg(feature = "smol")]
pub mod smol;

pub use net::{AsyncIoNet, Spawner, WebSocket, connect_once};
pub use tidegate_driver::net::names::*;
