//! `tidegate` on tokio: its clock, timers and sockets, TLS through rustls, and WebSocket connections.
//!
//! [`SocketRuntime`] is the runtime that feeds run on, and [`Connector`] says how connections are made. A single connection,
//! without a feed around it:
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use futures_util::{SinkExt, StreamExt};
//! use tidegate_tokio::core::Frame;
//! use tidegate_tokio::{ConnectRequest, Connector, TlsOptions, connect_once};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let connector = Connector::default().tls(TlsOptions::default().ca_file("company-ca.pem"))?;
//! let request = ConnectRequest::new("wss://feed.example.com/prices")?;
//! let mut connection = connect_once(request, &connector, Duration::from_secs(10)).await?;
//!
//! connection.send(Frame::from("subscribe")).await?;
//! while let Some(frame) = connection.next().await {
//!     println!("{:?}", frame?);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Logs
//! tidegate itself shows no header value, query or payload. tungstenite, through the `log` crate, prints messages at `trace` and
//! reasons for closing at `debug`: where such lines are kept, filter them out (`tungstenite=off`).
//!
//! # Features
//! - `ring` (default), `aws-lc-rs`: which cryptography TLS uses; with both, `ring`.
//! - `metrics`: see `tidegate_driver`.

mod net;
mod tokio;

pub use self::tokio::{SocketRuntime, feed, feed_over, feed_with};
pub use net::{TokioNet, WebSocket, connect_once};
pub use tidegate_driver::net::names::*;
