//! `tidegate` on tokio: its clock, timers and sockets, TLS through rustls, and WebSocket connections.
//!
//! [`SocketRuntime`] is the runtime for feeds, and [`Connector`] has the options for making connections. This example
//! makes a single connection, without a feed around it:
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
//! tidegate shows no header value, query or payload. tungstenite logs through the `log` crate: messages at `trace`, and
//! reasons for closing at `debug`. Filter them out (`tungstenite=off`) where such logs are kept.
//!
//! # Features
//! - `ring` (default), `aws-lc-rs`: the cryptography of TLS. With both, `ring` is used.
//! - `metrics`: counters, gauges and histograms through the `metrics` facade.

mod net;
mod tokio;

pub use self::tokio::{SocketRuntime, feed, feed_over, feed_with};
pub use net::{TokioNet, WebSocket, connect_once};
pub use tidegate_driver::net::names::*;
