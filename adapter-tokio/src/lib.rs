//! `tidegate` on tokio: its clock and timer, its sockets, TLS through rustls, WebSocket framing through
//! async-tungstenite.
//!
//! [`Tokio`] is the runtime that feeds run on, and [`Connector`] says how connections are made. A single connection,
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
//! connection.send(Frame::Text("subscribe".into())).await?;
//! while let Some(frame) = connection.next().await {
//!     println!("{:?}", frame?);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Logs
//! tidegate itself shows no header value, query or payload. tungstenite, through the `log` crate, prints the whole request
//! and every message at `trace`, and reasons for closing at `debug`: where such lines are kept, filter them out
//! (`tungstenite=off`).
//!
//! # Features
//! - `ring` (default), `aws-lc-rs`: which cryptography TLS uses; with both, `ring`.
//! - `metrics`: see `tidegate_driver`.

mod client_config;
mod connector;
mod failure;
mod feed;
mod handshake;
mod head;
mod limits;
mod retry_after;
mod runtime;
mod socket;
mod tls;
mod transport;

pub use connector::{Connector, connect_once};
pub use feed::{feed, feed_with};
pub use limits::{LimitError, Limits};
pub use runtime::{Tokio, TokioAlarm};
pub use tidegate_driver::{ConnectRequest, Scheme, UrlError, core};
pub use tls::{TlsError, TlsOptions};
pub use tokio_rustls::rustls;
pub use transport::Transport;
