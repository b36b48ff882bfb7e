//! `tidegate` on the async-io family of runtimes: its sockets and timers, TLS through rustls, and WebSocket
//! connections.
//!
//! There is a module for each runtime, with the same names as in `tidegate-tokio`: `smol`, and `async_std`. They differ in
//! where a spawned feed's task runs, and in nothing else. async-std is discontinued (RUSTSEC-2025-0052): it is kept
//! working here for applications that still are on it; new ones are better off on smol.
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
//! tidegate itself shows no header value, query or payload. tungstenite, through the `log` crate, prints messages at
//! `trace` and reasons for closing at `debug`: where such lines are kept, filter them out (`tungstenite=off`).
//!
//! # Features
//! - `smol` (default), `async-std`: the runtimes.
//! - `ring` (default), `aws-lc-rs`: which cryptography TLS uses; with both, `ring`.
//! - `metrics`: see `tidegate_driver`.

mod net;

#[cfg(feature = "async-std")]
pub mod async_std;
#[cfg(feature = "smol")]
pub mod smol;

pub use net::{AsyncIoNet, Spawner, WebSocket, connect_once};
pub use tidegate_driver::net::names::*;
