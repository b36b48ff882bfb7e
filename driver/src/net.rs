//! What the adapters for real runtimes share: everything from a URL to frames, over any sockets.
//!
//! An adapter brings [`Net`]: sockets, a timer, threads that may block. Here are the rest: the race between the addresses of
//! a host, proxies, TLS through rustls, the HTTP upgrade with its redirects, and WebSocket framing. Unfragmented messages are
//! read here; tungstenite reads all other frames, and writes.
//!
//! | to change | open |
//! |---|---|
//! | what an adapter must bring | `net/platform.rs` |
//! | a runtime made of that | `net/runtime.rs` |
//! | the standard library's sockets as streams | `net/std_stream.rs` |
//! | the order of steps, and redirects | `net/dial.rs` |
//! | what applications can set | `net/builder.rs`, `net/connector.rs`, `net/limits.rs`, `net/tls.rs` |
//! | connections that the application opens | `net/over.rs`, `net/over/tungstenite.rs` |
//! | options of TCP | `net/tcp.rs` |
//! | the addresses of a host, and which is taken | `net/hosts.rs`, `net/eyeballs.rs` |
//! | proxies, and those of the environment | `net/proxy.rs` |
//! | TLS's configuration | `net/client_config.rs` |
//! | the HTTP upgrade, and what a refusal says | `net/handshake.rs`, `net/head.rs`, `net/answer.rs`, `net/body.rs` |
//! | frames | `net/transport.rs`, `net/message.rs`; how they are read: `net/buffer.rs`, `net/header.rs`, `net/blocking.rs`, `net/memory.rs`, `net/shared.rs` |
//! | how errors are told | `net/failure.rs` |
//! | what the fuzz targets reach | `net/fuzzing.rs` |

mod answer;
mod blocking;
mod body;
mod buffer;
mod builder;
mod client_config;
mod connector;
mod dial;
mod eyeballs;
mod failure;
#[cfg(fuzzing)]
pub mod fuzzing;
mod handshake;
mod head;
mod header;
mod hosts;
mod limits;
mod memory;
mod message;
mod over;
mod platform;
mod proxy;
mod redirect;
mod retry_after;
mod runtime;
mod shared;
mod socket;
mod std_stream;
mod tcp;
mod tls;
mod transport;

pub use builder::Networked;
pub use connector::{Connector, connect_once};
pub use futures_rustls::rustls;
pub use limits::{LimitError, Limits};
pub use over::Over;
#[cfg(feature = "tungstenite")]
pub use over::TungsteniteTransport;
pub use platform::{Net, SpawnNet};
pub use proxy::{Proxy, ProxyError};
pub use runtime::{SleepAlarm, SocketRuntime};
pub use std_stream::{Interest, Readiness, StdStream};
pub use tls::{TlsError, TlsOptions};
pub use transport::Transport;
#[cfg(feature = "tungstenite")]
pub use tungstenite;

/// What every adapter gives under its own name as well, so that one can be put in the place of another.
pub mod names {
    pub use super::{Connector, LimitError, Limits, Over, Proxy, ProxyError, TlsError, TlsOptions, rustls};
    pub use crate::{ConnectRequest, RequestError, Scheme, UrlError, core};
}
